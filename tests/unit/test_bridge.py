"""The bridge page: what it says, what it asks for, and that nothing can be written into it."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from daemon.bridge import Bridge

TOKEN = "Ab-_" * 15 + "09"
BODY, HEADERS = Bridge("telegram.me").page("Shop_Bot", TOKEN)
PAGE = BODY.decode()
POLICY = dict(HEADERS)[b"content-security-policy"].decode()


class Elements(HTMLParser):
    """Tags with their attributes, and texts with the tag they stand in."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "img", "input", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def inside(self, tag: str) -> str:
        return "".join(text for where, text in self.texts if where == tag)


def test_it_leads_to_the_app_and_by_https_without_any_script() -> None:
    links = [attributes["href"] for tag, attributes in Elements(PAGE).tags if tag == "a"]
    assert links == [
        f"tg://resolve?domain=Shop_Bot&start={TOKEN}",
        f"https://telegram.me/Shop_Bot?start={TOKEN}",
    ]


def test_it_is_small_and_says_so_of_itself() -> None:
    assert len(BODY) < 6 * 1024
    assert dict(HEADERS)[b"content-length"] == str(len(BODY)).encode()
    assert dict(HEADERS)[b"content-type"] == b"text/html; charset=utf-8"


def test_its_policy_lets_in_its_own_script_and_style_and_nothing_else() -> None:
    elements = Elements(PAGE)
    hashes = [
        b64encode(sha256(elements.inside(tag).encode()).digest()).decode() for tag in ("script", "style")
    ]
    assert (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ) == POLICY
    assert [tag for tag, _ in elements.tags].count("script") == 1
    assert not [
        name for _, attributes in elements.tags for name in attributes if name == "style" or name[:2] == "on"
    ]


def test_it_asks_for_nothing_more() -> None:
    elements = Elements(PAGE)
    assert {tag for tag, _ in elements.tags}.isdisjoint(
        {"img", "link", "iframe", "form", "object", "video", "base"}
    )
    assert not [attributes for _, attributes in elements.tags if "src" in attributes]
    assert "url(" not in elements.inside("style")
    assert "@import" not in elements.inside("style")


def test_it_reads_in_portuguese_and_in_english() -> None:
    elements = Elements(PAGE)
    assert ("html", {"lang": "pt-BR"}) in elements.tags
    assert "Open Telegram" in elements.inside("span")
    assert "Abrir o Telegram" in elements.inside("a")
    marked = [attributes for tag, attributes in elements.tags if tag == "span"]
    assert marked == [{"lang": "en"}] * 4
    assert not elements.open


def test_its_texts_stand_out_in_light_and_in_dark() -> None:
    """WCAG 2: a contrast of 4.5 at least."""
    light, dark = re.findall(r":root\{([^}]*)\}", PAGE)
    bright = dict(re.findall(r"--(\w+):(#\w+)", light))
    pairs = [("text", "card"), ("soft", "card"), ("link", "card")]
    for colours in (bright, bright | dict(re.findall(r"--(\w+):(#\w+)", dark))):
        found = [contrast(colours[one], colours[other]) for one, other in pairs]
        assert min(*found, contrast("#fff", colours["button"])) >= 4.5


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    "hostile", ['"><script>alert(1)</script>', "&start=other", "a' onclick='x", "{token}"]
)
def test_neither_name_nor_token_can_write_into_it(hostile: str) -> None:
    """Both come from closed alphabets; the page does not rely on it."""
    body, headers = Bridge("t.me").page(hostile, hostile)
    elements = Elements(body.decode())
    assert dict(headers)[b"content-security-policy"].decode() == POLICY
    assert [(tag, list(attributes)) for tag, attributes in elements.tags] == [
        (tag, list(attributes)) for tag, attributes in Elements(PAGE).tags
    ]
    for tag, attributes in elements.tags:
        assert tag != "a" or str(attributes["href"]).count("=") == (2 if attributes["id"] == "app" else 1)
    assert elements.inside("strong") == "@" + hostile
