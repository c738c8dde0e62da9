"""trilha pixel, as the operator's hands use it: real commands on a real file, against a Meta of this machine."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backends.sql.engine import make_engine
from backends.sql.outbox import SqlOutbox
from backends.sql.pixels import SqlPixels
from backends.sql.schema import outbox
from cli.main import make_app
from domain.clock import SystemClock
from domain.conversions import meta_lane
from domain.errors import ConfigError
from domain.pixels import SealedCredentials
from privacy.keyring import Keyring
from privacy.pixel_tokens import Credentials, HeldCredentials, PixelTokens
from tests.making import PATIENT, new_id
from tests.meta import FakeMeta

PIXEL, OTHER = "123456789012345", "987654321098765"
TOKEN = "EAABtestZCOnlyZBnoRealTokenAtAll0123456789ZDZD"
NEWER = "EAABnewerZCOnlyZBnoRealTokenAtAll0123456789ZDZD"
APP_SECRET = "0123456789abcdef0123456789abcdef"
HOUR_MS = 3_600_000
DEVELOPMENT = {"TRILHA_PROFILE": "development"}


@contextmanager
def running() -> Iterator[FakeMeta]:
    """A Meta on a loop of its own: commands have theirs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    meta = FakeMeta()
    asyncio.run_coroutine_threadsafe(meta.come_up(), loop).result()
    try:
        yield meta
    finally:
        asyncio.run_coroutine_threadsafe(meta.go_down(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Hands:
    """The command line over one home. All that it has said is kept."""

    def __init__(self, home: Path, meta_url: str) -> None:
        self.home, self.said = home, ""
        self.env = {"TRILHA_HOME_DIR": str(home), "TRILHA_META_URL": meta_url}
        self.runner = CliRunner(env=self.env)
        self.run("keys", "create")
        self.run("migrate")

    def run(self, *words: str, given: str = "", code: int = 0, env: dict[str, str] | None = None) -> str:
        """What a command says; code 2: why it is refused."""
        done = self.runner.invoke(make_app(), words, input=given, env=env)
        self.said += f"{done.output}{done.exception}"
        if code == 2:
            assert isinstance(done.exception, ConfigError), (done.output, done.exception)
            return str(done.exception)
        assert done.exit_code == code, (done.output, done.exception)
        return done.stdout

    def __call__(self, *words: str, **how: Any) -> str:
        return self.run("pixel", *words, **how)

    def json(self, *words: str, **how: Any) -> Any:
        return json.loads(self(*words, "--json", **how))

    def test(self, *words: str, **how: Any) -> str:
        return self("test", PIXEL, "--code", "TEST123", *words, env=DEVELOPMENT, **how)

    def in_sql(self, work: Any) -> Any:
        """What comes of `work`, given an engine on the same file."""

        async def whole() -> Any:
            engine = make_engine(f"sqlite+aiosqlite:///{self.home / 'trilha.db'}", patience=PATIENT)
            try:
                return await work(engine)
            finally:
                await engine.dispose()

        return asyncio.run(whole())

    def hold(self, reason: str = "no access token") -> None:
        now_ms = SystemClock().now_ms()
        self.in_sql(lambda engine: SqlOutbox(engine).hold(meta_lane(PIXEL), reason, at_ms=now_ms))

    def put(self, ago_ms: int = 0, **changes: Any) -> None:
        """A row of the outbox, of something that happened so long ago."""
        at_ms = SystemClock().now_ms() - ago_ms
        row = {"event_id": new_id(), "lane": meta_lane(PIXEL), "event": "Lead", "state": "sent"}
        row |= {"event_at": at_ms, "next_at": at_ms} | changes

        async def write(engine: Any) -> None:
            async with engine.begin() as connection:
                await connection.execute(outbox.insert(), row)

        self.in_sql(write)

    def opened(self) -> HeldCredentials:
        """The credentials as a relay opens them."""
        sealed = self.in_sql(lambda engine: SqlPixels(engine).credentials(PIXEL))
        return PixelTokens(Keyring(self.home / "secrets" / "keyring.json", SystemClock())).open(PIXEL, sealed)


@pytest.fixture(scope="module")
def meta() -> Iterator[FakeMeta]:
    with running() as made:
        yield made


@pytest.fixture
def trilha(tmp_path: Path, meta: FakeMeta) -> Iterator[Hands]:
    meta.faults.clear()
    meta.add_pixel(PIXEL, TOKEN)
    hands = Hands(tmp_path / "var", meta.url)
    yield hands
    for secret in (TOKEN, NEWER, APP_SECRET):
        assert secret not in hands.said


def private(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


# ---------------------------------------------------------------- tokens


def test_a_token_goes_in_by_standard_input_or_a_private_file_and_is_sealed(
    trilha: Hands, tmp_path: Path
) -> None:
    made = trilha.json("add", PIXEL, "--token-file", "-", given=f"{TOKEN}\n")
    assert (made["id"], made["token"], made["app_secret"], made["released"]) == (
        PIXEL,
        "sealed",
        False,
        False,
    )
    assert trilha.opened().credentials == Credentials(token=TOKEN)
    file, secret = private(tmp_path / "t", NEWER), private(tmp_path / "s", APP_SECRET)
    trilha("token", PIXEL, "--token-file", file, "--app-secret-file", secret)
    assert trilha.opened().credentials == Credentials(token=NEWER, app_secret=APP_SECRET)
    for path in tmp_path.rglob("*.db*"):
        assert TOKEN.encode() not in path.read_bytes()
        assert NEWER.encode() not in path.read_bytes()


def test_a_pixel_without_a_token_is_registered_and_says_that_nothing_is_sent(trilha: Hands) -> None:
    assert "is registered" in trilha("add", PIXEL)
    assert "nothing is sent without a token" in trilha.said
    assert trilha.json("list")[0]["token"] == "none"


def test_a_forgotten_token_is_gone_and_a_forgotten_pixel_too(trilha: Hands) -> None:
    trilha("add", PIXEL, "--token-file", "-", given=TOKEN)
    assert "has no token any more" in trilha("token", PIXEL, "--forget")
    assert trilha.opened() == HeldCredentials(state="none")
    trilha.put(state="pending")
    assert "1 conversions that waited for it will be skipped" in trilha("forget", PIXEL)
    assert trilha("list").startswith("no pixels yet")


def test_a_pixel_that_a_link_uses_is_not_forgotten(trilha: Hands) -> None:
    trilha.run("bot-account", "add", "um_bot")
    trilha.run("link", "add", "verao", "--bot", "um_bot", "--pixel", PIXEL)
    assert "used by verao" in trilha("forget", PIXEL, code=2)
    assert trilha.json("list")[0]["links"] == ["verao"]


def test_a_new_token_releases_the_lane_and_says_so(trilha: Hands) -> None:
    trilha("add", PIXEL)
    trilha.hold()
    assert trilha.json("list")[0]["held_at"] is not None
    assert "held" in trilha("list")
    assert "is released" in trilha("token", PIXEL, "--token-file", "-", given=TOKEN)
    assert trilha.json("list")[0]["held_at"] is None


def test_mistakes_are_refused_in_words_and_show_no_secret(trilha: Hands, tmp_path: Path) -> None:
    open_to_all = private(tmp_path / "t", TOKEN)
    (tmp_path / "t").chmod(0o644)
    for words, given, why in (
        (("add", "12x"), "", "not a Meta pixel id"),
        (("add", PIXEL, "--token-file", "-"), "EAA short", "no access token"),
        (("add", PIXEL, "--token-file", open_to_all), "", "chmod 600"),
        (("add", PIXEL, "--token-file", str(tmp_path / "none")), "", "cannot be read"),
        (("add", PIXEL, "--app-secret-file", "-"), APP_SECRET, "give --token-file too"),
        (("add", PIXEL, "--token-file", "-", "--app-secret-file", "-"), TOKEN, "read once"),
        (("token", PIXEL), "", "either"),
        (("token", PIXEL, "--forget", "--token-file", "-"), TOKEN, "either"),
        (("token", PIXEL, "--token-file", "-"), TOKEN, "no pixel"),
        (("forget", PIXEL), "", "no pixel"),
        (("status", PIXEL), "", "no pixel"),
    ):
        assert why in trilha(*words, given=given, code=2), words
    assert trilha.json("list") == []


# ---------------------------------------------------------------- a test event


def test_a_test_event_passes_metas_rules_and_says_what_meta_answered(trilha: Hands, meta: FakeMeta) -> None:
    trilha("add", PIXEL, "--token-file", "-", given=TOKEN)
    before, took = len(meta.tested), dict(meta.accepted)
    said = trilha.test()
    assert "Meta has received 1 event" in said
    assert "fbtrace_id: A" in said
    [(pixel, event)] = meta.tested[before:]
    assert (pixel, event["event_name"]) == (PIXEL, "PageView")
    assert (meta.accepted, meta.leaks, meta.oddities) == (took, [], [])
    assert json.loads(trilha.test("--json"))["accepted"] is True
    assert len({event["event_id"] for _, event in meta.tested[before:]}) == 2


def test_no_test_event_is_sent_in_production(trilha: Hands, meta: FakeMeta) -> None:
    trilha("add", PIXEL, "--token-file", "-", given=TOKEN)
    calls = len(meta.calls)
    why = trilha("test", PIXEL, "--code", "TEST123", code=2)
    assert "TRILHA_PROFILE=development trilha pixel test" in why
    assert len(meta.calls) == calls


def test_a_test_event_that_is_taken_releases_the_lane_and_a_refused_one_does_not(
    trilha: Hands, meta: FakeMeta
) -> None:
    trilha("add", PIXEL, "--token-file", "-", given=NEWER)
    trilha.hold()
    assert "mend: make a new access token" in trilha.test(code=1)
    assert trilha.json("list")[0]["held_at"] is not None
    meta.add_pixel(PIXEL, NEWER)
    assert "is released" in trilha.test()
    assert trilha.json("list")[0]["held_at"] is None


@pytest.mark.parametrize(
    ("code", "subcode", "says"),
    [
        (190, 463, "make a new access token"),
        (100, 33, "compare its id with Events Manager"),
        (200, None, "system user manage the pixel"),
        (2635, None, "update Trilha"),
        (4, None, "try again in some minutes"),
        (2, None, "try again in a minute"),
        (100, 2804003, "connect-a-pixel.md"),
    ],
)
def test_a_refusal_says_its_code_and_how_to_mend_it(
    trilha: Hands, meta: FakeMeta, code: int, subcode: int | None, says: str
) -> None:
    trilha("add", PIXEL, "--token-file", "-", given=TOKEN)
    meta.faults.refuse(code=code, subcode=subcode)
    found = json.loads(trilha.test("--json", code=1))
    assert found["accepted"] is False
    assert found["code"] == (f"{code}/{subcode}" if subcode else str(code))
    assert says in found["mend"]
    assert f"({found['code']})" in trilha.test(code=1)


def test_an_app_that_demands_a_proof_says_so_until_it_has_one(
    trilha: Hands, meta: FakeMeta, tmp_path: Path
) -> None:
    meta.add_pixel(PIXEL, TOKEN, APP_SECRET)
    trilha("add", PIXEL, "--token-file", "-", given=TOKEN)
    assert "--app-secret-file FILE" in trilha.test(code=1)
    secret = private(tmp_path / "s", APP_SECRET)
    trilha("token", PIXEL, "--token-file", "-", "--app-secret-file", secret, given=TOKEN)
    assert "Meta has received 1 event" in trilha.test()


def test_a_meta_that_is_not_there_is_said_and_not_thrown(trilha: Hands) -> None:
    trilha("add", PIXEL, "--token-file", "-", given=TOKEN)
    nowhere = {"TRILHA_META_URL": "http://127.0.0.1:9"} | DEVELOPMENT
    said = trilha("test", PIXEL, "--code", "TEST123", env=nowhere, code=1)
    assert "(connection)" in said
    assert "TRILHA_META_URL" in said


def test_without_a_token_that_opens_there_is_no_test(trilha: Hands, tmp_path: Path) -> None:
    trilha("add", PIXEL)
    assert "is missing" in trilha.test(code=2)
    foreign = PixelTokens(Keyring.create(tmp_path / "other" / "keyring.json", SystemClock()))
    sealed: SealedCredentials = foreign.seal(PIXEL, Credentials(token=TOKEN))
    trilha.in_sql(lambda engine: SqlPixels(engine).put(PIXEL, sealed, at_ms=1))
    assert "does not open with this key ring" in trilha.test(code=2)
    assert "not a test code" in trilha("test", PIXEL, "--code", "a b", env=DEVELOPMENT, code=2)


# ---------------------------------------------------------------- status


def test_status_tells_what_became_of_the_last_day_why_and_how_much_can_be_matched(trilha: Hands) -> None:
    trilha("add", PIXEL, "--token-file", "-", given=TOKEN)
    trilha.put(matched="client_ip_address fbc")
    trilha.put(matched="client_ip_address", ago_ms=HOUR_MS)
    trilha.put(state="skipped", reason="the link does not report Lead")
    trilha.put(state="dead", reason="too late", ago_ms=7 * 24 * HOUR_MS, next_at=SystemClock().now_ms())
    trilha.put(ago_ms=25 * HOUR_MS)
    trilha.put(lane=meta_lane(OTHER))
    [found] = trilha.json("status", PIXEL)
    assert found["last_24_hours"] == {"sent": 2, "skipped": 1, "rejected": 0, "dead": 1}
    assert found["match_rates"] == {"client_ip_address": 1.0, "fbc": 0.5}
    assert [why["reason"] for why in found["reasons"]] == ["too late", "the link does not report Lead"]
    said = trilha("status")
    for words in (
        "2 sent, 1 skipped, 0 rejected, 1 dead",
        "1 dead: too late",
        "fbc 50%",
        "state          open",
    ):
        assert words in said


def test_a_held_pixel_is_the_answer_no_with_the_reason_and_the_way_out(trilha: Hands) -> None:
    trilha("add", PIXEL, "--token-file", "-", given=TOKEN)
    trilha("add", OTHER)
    trilha("status")
    trilha.hold("Error validating access token")
    said = trilha("status", code=1)
    assert "Error validating access token" in said
    assert f"trilha pixel token {PIXEL} --token-file -" in said
    assert [bool(found["mend"]) for found in trilha.json("status", code=1)] == [True, False]
    trilha("status", OTHER)


def test_what_waits_for_a_day_is_the_answer_no(trilha: Hands) -> None:
    trilha("add", PIXEL, "--token-file", "-", given=TOKEN)
    trilha.put(state="pending", ago_ms=23 * HOUR_MS)
    [found] = trilha.json("status")
    assert (found["pending"], found["oldest_at"] is not None) == (1, True)
    trilha.put(state="pending", ago_ms=25 * HOUR_MS)
    assert "2, the oldest of" in trilha("status", code=1)


def test_quality_is_what_meta_says_of_each_event_or_why_it_does_not(trilha: Hands, meta: FakeMeta) -> None:
    trilha("add", PIXEL, "--token-file", "-", given=TOKEN)
    trilha("add", OTHER)
    said = trilha.json("status", "--quality")
    assert [found["quality"] for found in said] == [[], None]
    assert "Meta has none yet" in trilha("status", PIXEL, "--quality")
    meta.kept.coverage[PIXEL, "Lead"] = Counter({"events": 2, "fbc": 1})
    try:
        assert "Lead: 1.5 of 10 (fb_click_id 50%)" in trilha("status", PIXEL, "--quality")
    finally:
        meta.kept.coverage.clear()
    meta.add_pixel(PIXEL, NEWER)
    [found] = trilha.json("status", PIXEL, "--quality")
    assert found["quality"]["code"].startswith("190")
    assert "Meta does not say (190" in trilha("status", PIXEL, "--quality")


# ---------------------------------------------------------------- doctor


def test_doctor_tells_of_delivery_what_is_not_well_and_that_all_is_once_it_is_mended(trilha: Hands) -> None:
    def said(code: int) -> tuple[str, str]:
        found = json.loads(trilha.run("doctor", "--json", code=code))
        [finding] = [item for item in found if item["check"] == "delivery"]
        return finding["verdict"], finding["detail"]

    assert said(0) == ("ok", "0 pixels, 0 in use; 0 conversions wait")
    trilha.run("bot-account", "add", "um_bot")
    trilha.run("link", "add", "verao", "--bot", "um_bot", "--pixel", PIXEL)
    trilha.put(state="pending", ago_ms=3 * HOUR_MS)
    trilha.put(state="rejected", reason="not hashed")
    verdict, detail = said(1)
    assert verdict == "failed"
    for words in (
        "has no token",
        "the oldest for 3 hours",
        "for 180 minutes",
        "not hashed",
        "TRILHA_PUBLIC_URL",
    ):
        assert words in detail
    trilha("token", PIXEL, "--token-file", "-", given=TOKEN)
    assert said(0)[0] == "warning"
    trilha.in_sql(
        lambda engine: SqlOutbox(engine).hold(
            meta_lane(PIXEL), "token [redacted]", at_ms=SystemClock().now_ms()
        )
    )
    assert "is held, 1 wait (token [redacted])" in said(1)[1]
    assert "(token [redacted])" in " ".join(trilha.run("doctor", code=1).split())
