"""How long the dashboard's pages take: signed in, page by page, over one warm connection. Sees only HTTP."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import unescape
from statistics import quantiles
from urllib.parse import urlencode, urljoin, urlsplit

from loadtests.plan import CannotRun, Say

SERVER_BAR_MS = 300.0
PAINT_BAR_MS = 1500.0
TIMEOUT = 60.0
_HREF = re.compile(r'<a\b[^>]*\bhref="([^"#]+)"')
_HIDDEN = re.compile(r'name="csrf" value="([^"]*)"')
_NOT_PAGES = ("/static/", "/sign-out", "/sign-in", "/healthz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, whole. seconds: from the request to its last byte."""

    status: int
    location: str
    kind: str
    text: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who looks."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTimes:
    """Milliseconds to the last byte of one page, and to its full paint where that was measured. is_page: not a download."""

    path: str
    status: int
    server: list[float]
    is_page: bool = True
    paint: list[float] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """Whether it answered with 200 within its bars: the 95th percentile of the server's time, the median of the paint."""
        painted = not self.paint or percentile(self.paint, 50) <= PAINT_BAR_MS
        return self.status == 200 and percentile(self.server, 95) <= SERVER_BAR_MS and painted


class Visitor:
    """A browser without a screen: one connection, and the cookies that it was given."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise CannotRun(f"not the URL of a dashboard: {base!r}")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self.base = f"{parts.scheme}://{parts.netloc}"
        self._connection = kind(parts.hostname, parts.port, timeout=TIMEOUT)
        self._cookies: dict[str, str] = {}

    def get(self, path: str) -> Answer:
        """Ask for a page; redirects are not followed."""
        return self._ask("GET", path, None)

    def post(self, path: str, fields: dict[str, str]) -> Answer:
        """Send a form."""
        return self._ask("POST", path, urlencode(fields))

    def sign_in(self, account: Account) -> None:
        """CannotRun when it is refused."""
        form = _HIDDEN.search(self.get("/sign-in").text)
        token = unescape(form[1]) if form else ""
        answer = self.post("/sign-in", {"csrf": token, "name": account.name, "password": account.password})
        if answer.status != 303:
            raise CannotRun(f"the dashboard did not let {account.name} in: it answered {answer.status}")

    def close(self) -> None:
        """Leave."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: str | None) -> Answer:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if body is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.base}
        began = time.perf_counter()
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise CannotRun(f"the dashboard does not answer at {self.base}: {type(error).__name__}") from None
        seconds = time.perf_counter() - began
        self._keep(answer.headers.get_all("set-cookie") or [])
        return Answer(
            status=answer.status,
            location=answer.headers.get("location", ""),
            kind=answer.headers.get_content_type(),
            text=text.decode(errors="replace"),
            seconds=seconds,
        )

    def _keep(self, given: Sequence[str]) -> None:
        for cookie in given:
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name.strip()] = value.strip()


def discover(visitor: Visitor, most: int = 60) -> list[str]:
    """Pages that the menu leads to, and one of each shape that those lead to: one link's page, one ad's."""
    found, queue = ["/"], ["/"]
    shapes: set[tuple[str, ...]] = {("",)}
    while queue and len(found) < most:
        here = queue.pop(0)
        answer = visitor.get(here)
        if answer.status != 200 or answer.kind != "text/html":
            continue
        for path in links_of(answer.text, here):
            if (shape := shape_of(path)) not in shapes:
                shapes.add(shape)
                found.append(path)
                queue.append(path)
    return found


def links_of(text: str, here: str) -> list[str]:
    """Paths of this site that a page leads to, without their queries, in its order."""
    paths = [urlsplit(urljoin(here, unescape(href))) for href in _HREF.findall(text)]
    return [
        part.path for part in paths if not part.netloc and part.path and not part.path.startswith(_NOT_PAGES)
    ]


def shape_of(path: str) -> tuple[str, ...]:
    """What kind of page it is: the second part of a path names which link, which ad; `new` is a page of its own."""
    parts = path.strip("/").split("/")
    return tuple("*" if at == 1 and part != "new" else part for at, part in enumerate(parts))


def measure(visitor: Visitor, paths: Sequence[str], times: int, query: str, say: Say) -> list[PageTimes]:
    """Each page so many times, after once that does not count."""
    found = []
    for path in paths:
        asked = path + (f"?{query}" if query else "")
        visitor.get(asked)
        answers = [visitor.get(asked) for _ in range(times)]
        statuses = {answer.status for answer in answers}
        seen = PageTimes(
            path=path,
            status=max(statuses),
            server=[answer.seconds * 1000 for answer in answers],
            is_page=answers[0].kind == "text/html",
        )
        say(f"{path}: p95 {percentile(seen.server, 95):.0f} ms")
        found.append(seen)
    return found


def percentile(values: Sequence[float], percent: int) -> float:
    """By linear interpolation between the values there are."""
    return values[0] if len(values) == 1 else quantiles(values, n=100, method="inclusive")[percent - 1]


def page_json(page: PageTimes) -> dict[str, object]:
    """One page of `--json`; milliseconds."""
    return {
        "path": page.path,
        "status": page.status,
        "p50_ms": round(percentile(page.server, 50), 1),
        "p95_ms": round(percentile(page.server, 95), 1),
        "max_ms": round(max(page.server), 1),
        "paint_ms": round(percentile(page.paint, 50)) if page.paint else None,
        "held": page.held,
    }


def as_row(page: PageTimes) -> list[str]:
    """One line of the table: the bar is full at 300 ms."""
    said = page_json(page)
    full = min(20, round(percentile(page.server, 95) / SERVER_BAR_MS * 20))
    figures = [str(said[name]) for name in ("status", "p50_ms", "p95_ms", "max_ms")]
    painted = "" if said["paint_ms"] is None else str(said["paint_ms"])
    return [page.path, *figures, painted, "#" * full + "." * (20 - full), "held" if page.held else "MISSED"]
