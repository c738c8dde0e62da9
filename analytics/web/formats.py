"""How figures, money and moments are written, in each language."""

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup

from analytics.web.texts import Language
from domain.clock import iso
from domain.rollups import date_of

_SYMBOLS = {"BRL": "R$", "USD": "US$", "EUR": "€"}
_WHOLE = frozenset({"CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND"})
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SWAP = str.maketrans(",.", ".,")
_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000))
NONE = "–"
_FIRST_WORD = re.compile(r"([^\W\d_]+)(?=[ ,:;.]|$)")
_AS_THEY_ARE = frozenset({"trilha", "sqlite", "postgresql", "fbclid", "direct", "direto", "taken"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Formats:
    """Writes values for one reader. None is a dash everywhere."""

    language: Language
    zone: ZoneInfo

    def number(self, value: float | None, digits: int = 0) -> str:
        """`1,234` or `1.234`."""
        return NONE if value is None else self._local(f"{value:,.{digits}f}")

    def percent(self, share: float | None, digits: int = 1) -> str:
        """A share of 1: `12.3%`."""
        return NONE if share is None else self._local(f"{100 * share:,.{digits}f}%")

    def change(self, share: float | None) -> str:
        """A change as a share of what was before, with its sign: `+12%`."""
        if share is None:
            return NONE
        rounded = round(100 * share)
        return self._local(f"{rounded:+,}%".replace("-", "−")) if rounded else "±0%"

    def money(self, micros: int | None, currency: str) -> str:
        """Millionths of a currency: `R$ 1.234,56`."""
        if micros is None:
            return NONE
        text = self._local(f"{micros / 1_000_000:,.{0 if currency in _WHOLE else 2}f}")
        return f"{_SYMBOLS.get(currency, currency)}\u00a0{text}"

    def moment(self, at_ms: int | None) -> str:
        """Local time to the second; the zone's name is its title, and stands below every page."""
        if at_ms is None:
            return NONE
        local = datetime.fromtimestamp(at_ms / 1000, self.zone)
        text = f"{self._date(local)} {local:%H:%M:%S}"
        return Markup('<time datetime="{}" title="{}">{}</time>').format(iso(at_ms), self.zone.key, text)

    def hour(self, at_ms: int) -> str:
        """Local time of the day: `14:00`."""
        return f"{datetime.fromtimestamp(at_ms / 1000, self.zone):%H:%M}"

    def day(self, day: int) -> str:
        """A day of the rollups (YYYYMMDD)."""
        found = date_of(day)
        return self._date(datetime(found.year, found.month, found.day, tzinfo=self.zone))

    def span(self, milliseconds: int | None) -> str:
        """`850 ms`, `3 min 20 s`, `2 d 4 h`: the two largest units."""
        if milliseconds is None:
            return NONE
        if milliseconds < 1000:
            return f"{milliseconds} ms"
        rest, parts = milliseconds, []
        for unit, size in _UNITS:
            count, rest = divmod(rest, size)
            parts.append((count, unit))
        first = next(at for at, (count, _) in enumerate(parts) if count)
        return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)

    def sentence(self, text: str) -> str:
        """A clause of ours as a line of its own: it begins with a capital, unless with a name, a command or a code."""
        first = _FIRST_WORD.match(text)
        return text if first is None or first[1] in _AS_THEY_ARE else text[:1].upper() + text[1:]

    def _local(self, text: str) -> str:
        return text.translate(_SWAP) if self.language == "pt" else text

    def _date(self, local: datetime) -> str:
        if self.language == "pt":
            return f"{local:%d/%m/%Y}"
        return f"{local.day} {_MONTHS[local.month - 1]} {local.year}"
