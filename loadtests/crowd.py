"""Who comes, and what they send: drawn from the distributions in data/*.toml. The same seed gives the same crowd."""

from __future__ import annotations

import base64
import ipaddress
import random
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from loadtests.ad import BOT, SLUG

DATA = Path(__file__).parent / "data"
HOST = "go.example.com"
ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
TOKEN_BYTES = 46
FIRST_AD = 120_210_000_000_000_000
ADS = 240  # that run at once; each names itself in the same way in all its parameters
# A token of the documentation's test vectors: well formed, years off, and signed with a key that nobody uses.
OLD_TOKEN = "EAAAAAABAaMYXFAAcACAAAAAAAAAAAAwQqVhBl2XLKsaTdKM-4YeWMPp0m8BWew"
_HOLE = re.compile(r"\{(\w+)(?::(\d+))?\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request and what it is to be answered. `kept`: a 302 means that a click was acknowledged. `key`: it bears ours."""

    name: str
    path: str
    listener: Literal["public", "private"] = "public"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    expected: frozenset[int] = frozenset({302})
    kept: bool = False
    key: bool = False


class Crowd:
    """Draws visitors, robots and attackers."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._ads = _read("ads")
        self._browsers = _read("browsers")["browsers"]
        self._robots = _read("robots")
        self._attacks = _read("attacks")["attacks"]
        self._networks = [ipaddress.ip_network(text) for text in self._ads["networks"]]

    def ad_click(self, name: str = "click") -> Request:
        """A person taps on an ad."""
        browser = self._weighed(self._browsers)
        headers = self._visitor(self._chance.choice(browser["agents"]))
        if browser["referer"]:
            headers["Referer"] = browser["referer"]
        if browser["app"]:
            headers["X-Requested-With"] = browser["app"]
        return Request(name=name, path=self._ad_path(), headers=headers, kept=True)

    def crawl(self) -> Request:
        """A robot fetches the link to make a card of it, or to index it."""
        robot = self._weighed(self._robots["crawlers"])
        headers = self._visitor(robot["agent"]) | robot.get("headers", {})
        path, method = self._ad_path(), robot.get("method", "GET")
        return Request(name="crawler", path=path, method=method, headers=headers, kept=True)

    def prefetch(self) -> Request:
        """A browser or an app fetches the link before anybody has tapped on it."""
        click = self.ad_click("prefetch")
        sign = self._weighed(self._robots["prefetches"])["headers"]
        return Request(name=click.name, path=click.path, headers={**click.headers, **sign}, kept=True)

    def attack(self, token: str) -> Request:
        """Something that is to be refused. `token`: one of a real click, or "" when there is none yet."""
        chosen = self._weighed(self._attacks)
        body = self._filled(chosen.get("body", ""), token=token)
        headers = {"Content-Type": "application/json"} if body else {}
        if chosen["listener"] == "public":
            headers |= self._visitor("python-requests/2.32.3")
        return Request(
            name=chosen["name"],
            path=self._filled(chosen["path"], token=token),
            listener=chosen["listener"],
            method=chosen["method"],
            headers=headers,
            body=body,
            expected=frozenset(chosen["expected"]),
            kept=chosen.get("kept", False),
            key=chosen.get("key", False),
        )

    def address(self) -> str:
        """An address of a network that is reserved for documentation."""
        network = self._chance.choices(self._networks, self._ads["network_weights"])[0]
        return str(network[self._chance.randrange(1, network.num_addresses - 1)])

    def think_seconds(self) -> float:
        """From the tap on the ad to START in Telegram: about 4 s for most, far longer for some, never above 30."""
        return min(30.0, self._chance.lognormvariate(1.4, 0.6))

    def one_of(self, tokens: Sequence[str]) -> str:
        """Any of them; "" when there is none."""
        return self._chance.choice(tokens) if tokens else ""

    def _ad_path(self) -> str:
        text = self._filled(self._weighed(self._ads["queries"])["text"], ad=self._chance.randrange(ADS))
        return f"/go/{SLUG}?{text}" if text else f"/go/{SLUG}"

    def _visitor(self, agent: str) -> dict[str, str]:
        language = self._chance.choices(self._ads["languages"], self._ads["language_weights"])[0]
        return {
            "Host": HOST,
            "User-Agent": agent,
            "Accept": ACCEPT,
            "Accept-Language": language,
            "X-Forwarded-For": self.address(),
            "X-Forwarded-Proto": "https",
        }

    def _weighed(self, choices: Sequence[Any]) -> Any:
        return self._chance.choices(choices, [choice["weight"] for choice in choices])[0]

    def _filled(self, text: str, *, token: str = "", ad: int = 0) -> str:
        """The text with its holes filled; JSON's own braces have no bare word in them and stay."""
        return _HOLE.sub(lambda hole: self._fill(hole, token, ad), text)

    def _fill(self, hole: re.Match[str], token: str, ad: int) -> str:
        if hole[1] == "long":
            return "x" * int(hole[2])
        if hole[1] == "fbclid":
            return f"PAZXh0bgNhZW0B{self._text(52)}_aem_{self._text(16)}"
        fixed = {
            "id": str(FIRST_AD + ad),
            "n": str(ad % 12 + 1),
            "token": token or OLD_TOKEN,
            "altered": _altered(token or OLD_TOKEN),
            "old": OLD_TOKEN,
            "bot": BOT,
            "slug": SLUG,
        }
        return fixed.get(hole[1]) or self._text(TOKEN_BYTES)  # what is left is `forged`

    def _text(self, length: int) -> str:
        return base64.urlsafe_b64encode(self._chance.randbytes(length)).decode().rstrip("=")


def _altered(token: str) -> str:
    """One character in the middle is another."""
    return token[:30] + ("A" if token[30] != "A" else "B") + token[31:]


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((DATA / f"{name}.toml").read_text(encoding="utf-8"))
