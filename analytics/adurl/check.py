"""The check of an ad's URL: the address first, then each parameter. Pure; nothing is asked of anybody."""

import re
from collections.abc import Collection
from difflib import get_close_matches
from urllib.parse import SplitResult, urlsplit

from analytics.adurl.finding import Checked, Finding, Level
from analytics.adurl.parameters import Parameters
from domain.ad_url import URL_PARAMETERS, ad_url, is_ad_param

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[^\s/?#=&]+\.[^\s/?#=&]+(/|$)|localhost[:/]|[^\s/?#=&]+:\d+/")
_TELEGRAM = frozenset({"t.me", "telegram.me", "telegram.dog", "telegram.org"})
_LOST_MARK = re.compile(r"(/go/[A-Za-z0-9_-]+)/?&([A-Za-z0-9_.-]+=)")


class Site:
    """What a URL is held against: where the links are, their slugs, and the link that it is to be of, if that is known."""

    def __init__(self, base_url: str, slugs: Collection[str] = (), slug: str | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        self.base = urlsplit(self.base_url)
        self.slugs = tuple(slugs)
        self.slug = slug

    def nearest(self, text: str) -> str | None:
        """The slug that was meant, if it can be told."""
        if self.slug is not None:
            return self.slug
        lower = {slug.lower(): slug for slug in self.slugs}
        close = get_close_matches(text.lower().strip("/"), lower, n=1, cutoff=0.75)
        if close:
            return lower[close[0]]
        return self.slugs[0] if len(self.slugs) == 1 else None


def check(text: str, site: Site, *, clicked: bool = False) -> Checked:
    """What is wrong with a pasted ad URL, or with what goes into Meta's box of URL parameters, and how it should be.

    clicked: it is the address that a visitor arrived at, so that Meta has filled in its macros and added an fbclid.
    """
    review = _Review(site, clicked=clicked)
    mended = review.whole(text.strip().strip("\"'<>\u200b\ufeff"))
    found = sorted(review.findings, key=lambda finding: finding.level != "error")
    return Checked(findings=tuple(found), mended=mended)


class _Review:
    """One check: what was found so far."""

    def __init__(self, site: Site, *, clicked: bool) -> None:
        self._site = site
        self._clicked = clicked
        self.findings: list[Finding] = []

    def _note(self, code: str, level: Level = "error", **values: str) -> None:
        self.findings.append(Finding(code=code, level=level, values=values))

    def whole(self, text: str) -> str:
        """The text as it should be."""
        if not text:
            self._note("empty")
            return text
        if "&amp;" in text:
            self._note("html_escaped")
            text = text.replace("&amp;", "&")
        return self._url(text) if _URL.match(text) else self._parameters_alone(text)

    def _parameters_alone(self, text: str) -> str:
        bare = text.lstrip("?&")
        if bare != text:
            self._note("leading_mark", mark=text[0])
        return self._query(self._one_fragment(bare))

    def _url(self, text: str) -> str:
        text = self._with_scheme(self._marked(text))
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            self._note("not_a_url")
            return text
        if self._is_telegram(host):
            return self._instead_of_telegram(host)
        address = self._address(parts, host, port)
        _, _, query = text.partition("?")
        if parts.fragment or "#" in text:
            query = self._fragment(text)
        query = self._query(query)
        return f"{address}?{query}" if query else address

    def _marked(self, text: str) -> str:
        """The text with a `?` before its parameters."""
        if "?" in text or not _LOST_MARK.search(text):
            return text
        self._note("no_question_mark")
        return _LOST_MARK.sub(r"\1?\2", text, count=1)

    def _with_scheme(self, text: str) -> str:
        if "://" in re.split(r"[?#]", text, maxsplit=1)[0]:
            return text
        scheme = self._site.base.scheme or "https"
        self._note("no_scheme", scheme=scheme)
        return f"{scheme}://{text}"

    def _is_telegram(self, host: str) -> bool:
        return host in _TELEGRAM or host.endswith(tuple(f".{name}" for name in _TELEGRAM))

    def _instead_of_telegram(self, host: str) -> str:
        self._note("telegram_link", host=host)
        slug = self._site.nearest("")
        return ad_url(self._site.base_url, slug or "SLUG")

    def _address(self, parts: SplitResult, host: str, port: int | None) -> str:
        """Scheme, host and path as they should be."""
        base = self._site.base
        if (host, port) != (base.hostname, base.port):
            self._note("wrong_host", host=parts.netloc, ours=base.netloc)
        elif parts.scheme == "http" and base.scheme == "https":
            self._note("http")
        return self._site.base_url + self._path(parts.path)

    def _path(self, path: str) -> str:
        beginning = self._site.base.path + "/go/"
        if not path.startswith(beginning):
            self._note("wrong_path", path=path or "/")
            slug = self._site.nearest(path.rpartition("/")[2])
        else:
            slug = self._slug(path.removeprefix(beginning))
        return f"/go/{slug or path.rstrip('/').rpartition('/')[2] or 'SLUG'}"

    def _slug(self, written: str) -> str | None:
        wanted = (self._site.slug,) if self._site.slug else self._site.slugs
        if written in wanted:
            return written
        self._note("wrong_slug", slug=written)
        return self._site.nearest(written)

    def _fragment(self, text: str) -> str:
        """The query without the fragment, or out of it."""
        before, _, after = text.partition("#")
        _, _, query = before.partition("?")
        _, inside, hidden = after.partition("?")
        if inside or _holds_parameters(after):
            self._note("fragment_before_query")
            hidden = hidden if inside else after
            return f"{query}&{hidden}" if query else hidden
        self._note("fragment", "warning")
        return query

    def _one_fragment(self, text: str) -> str:
        if "#" not in text:
            return text
        return self._fragment(f"?{text}")

    def _query(self, query: str) -> str:
        if "?" in query:
            self._note("double_question_mark")
            query = re.sub(r"&?\?+&?", "&", query).strip("&")
        parameters = Parameters.read(query)
        found, mended = parameters.reviewed(clicked=self._clicked)
        self.findings += found
        return mended if query or self._clicked else URL_PARAMETERS


def _holds_parameters(text: str) -> bool:
    return any(is_ad_param(part.partition("=")[0].lower()) for part in text.split("&"))
