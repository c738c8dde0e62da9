"""What is fuzzed. A target takes any bytes, and raises AssertionError, or anything at all, when a promise is broken."""

from __future__ import annotations

import base64
import json
import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from backends.codec import decode, decode_click, decode_entry, encode
from daemon.capture import MAX_COOKIE, MAX_LANGUAGE, MAX_REFERER, MAX_USER_AGENT, Capture
from daemon.client_ip import ClientIp
from domain.ad_url import MAX_NAME, MAX_PARAMS, MAX_VALUE
from domain.click import Visit
from domain.clock import ManualClock
from domain.errors import InvalidToken, RecordRejected
from privacy.keyring import Keyring
from privacy.pseudonymise import MAX_FBCLID, Pseudonymiser
from privacy.seal import Sealer
from privacy.token import Minter, ad_key, looks_like_token
from tests.making import NOW, new_id

Target = Callable[[bytes], None]
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "token.md"
CAPTURE = Capture(ClientIp([]))
MARK = b"Zq7/Mark"
VECTORS = json.loads(re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)[0])


def token(data: bytes) -> None:
    """A token is refused, or it is one that we publish: nobody makes another without the key (I5)."""
    text = data.decode("latin-1")
    looks_like_token(text)
    minter, minted = _published()
    try:
        found = minter.verify(text)
    except InvalidToken:
        assert text not in minted
    else:
        assert minted[text] == str(found.id)


def capture(data: bytes) -> None:
    """First line the query, then a header a line. Whatever they are: a visit of bounded, storable text, and a click that
    comes back from its bytes as it was (I6), with none of the visitor's own words outside its sealed blob.
    """
    # No NUL: httptools refuses a head that has one, with 400.
    query, *lines = data.replace(b"\0", b"").split(b"\n")
    headers = [_header(*line.partition(b":")) for line in lines]
    scope = {"method": "GET", "query_string": query, "headers": headers, "client": ("177.1.2.3", 5000)}
    visit = CAPTURE.visit(scope, NOW)
    _bounded(visit)
    click = _pseudonymiser().click(visit, click_id=new_id(), link_id=1, node=0, ad_key=ad_key(visit.ad))
    try:
        raw = encode(click)
    except RecordRejected:
        return
    assert decode_click(raw) == click
    assert b"177.1.2.3" not in raw
    assert MARK not in raw


def record(data: bytes) -> None:
    """Bytes of a spool or of Redis: refused, or a record that is written again as the same one."""
    for found in decode_entry(data).records:
        assert decode(encode(found)) == found
    try:
        click = decode_click(data)
    except RecordRejected:
        return
    assert decode_click(encode(click)) == click


TARGETS: dict[str, Target] = {"token": token, "capture": capture, "record": record}


def _header(name: bytes, _colon: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Every user agent begins with a mark that is looked for afterwards."""
    return name.lower(), MARK + value.strip() if name.lower() == b"user-agent" else value.strip()


def _bounded(visit: Visit) -> None:
    assert len(visit.params) <= MAX_PARAMS
    for name, value in visit.params.items():
        assert len(name) <= MAX_NAME
        assert len(value) <= MAX_VALUE
    bounds = (
        (visit.user_agent, MAX_USER_AGENT),
        (visit.referer, MAX_REFERER),
        (visit.language, MAX_LANGUAGE),
        (visit.fbclid, MAX_FBCLID),
        (visit.fbc_cookie, MAX_COOKIE),
        (visit.fbp_cookie, MAX_COOKIE),
    )
    for text, most in bounds:
        assert len(text) <= most
        assert "\0" not in text
        text.encode()


@cache
def _published() -> tuple[Minter, dict[str, str]]:
    """A minter with the published keys, and the published tokens that may be redeemed."""
    keys = {n: base64.b64encode(bytes.fromhex(key)).decode() for n, key in VECTORS["mac_keys"].items()}
    master = base64.b64encode(bytes(32)).decode()
    ring = {"format": 1, "master": master, "mac": {"current": 0, "keys": keys}, "periods": {}}
    clock = ManualClock(now_ms=VECTORS["tokens"][0]["clicked_at_ms"] + 60_000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keyring.json"
        path.write_text(json.dumps(ring))
        path.chmod(0o600)
        minter = Minter(Keyring(path, clock), clock, node=0, attribution_days=28)
    live = [v for v in VECTORS["tokens"] if v["clicked_at_ms"] <= clock.now_ms()]
    return minter, {vector["token"]: vector["click_id"] for vector in live}


@cache
def _pseudonymiser() -> Pseudonymiser:
    with tempfile.TemporaryDirectory() as folder:
        ring = Keyring.create(Path(folder) / "keys" / "keyring.json", ManualClock(now_ms=NOW))
    return Pseudonymiser(ring, Sealer(ring))
