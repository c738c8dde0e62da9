"""A row of the retention table, and the words it is made of."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, NamedTuple

from runtime.settings import PREFIX, Settings

Store = Literal["memory", "redis", "spool", "sql", "disk", "logs"]
Kind = Literal["raw", "personal", "pseudonym", "open", "secret"]
End = Literal[
    "expiry",
    "nulling",
    "deletion",
    "aggregation",
    "key destruction",
    "settling",
    "replacement",
    "process end",
    "none",
]
Purpose = Literal["attribution", "reporting", "quality", "accounts", "operation", "security", "legal"]
Basis = Literal[
    "consent or legitimate interest", "legitimate interest", "legal obligation", "not personal data"
]


class Text(NamedTuple):
    """The same words in English and in Brazilian Portuguese."""

    en: str
    pt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """How long: a fixed span, a setting times its unit, or, where neither is given, until what `until` says."""

    span: timedelta | None = None
    setting: str | None = None
    unit: timedelta = timedelta(days=1)
    until: Text | None = None

    @classmethod
    def days(cls, days: int) -> "Life":
        """A fixed number of days."""
        return cls(span=timedelta(days=days))

    @classmethod
    def of_setting(cls, name: str, unit: timedelta = timedelta(days=1)) -> "Life":
        """As many units as the setting says."""
        return cls(setting=name, unit=unit)

    @classmethod
    def ended_by(cls, en: str, pt: str) -> "Life":
        """Until something happens."""
        return cls(until=Text(en, pt))

    def under(self, settings: Settings) -> timedelta | None:
        """The span in force; None when an event ends it, not a clock."""
        if self.setting is not None:
            return int(getattr(settings, self.setting)) * self.unit
        return self.span

    def text(self, settings: Settings) -> Text:
        """In words, with the setting's name."""
        span = self.under(settings)
        if span is None:
            return self.until or Text("no end", "sem fim")
        named = f" (`{PREFIX}{self.setting.upper()}`)" if self.setting else ""
        return Text(_span(span, "day", "days") + named, _span(span, "dia", "dias") + named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One group of data in one store.

    `fields` are named as in their store: `table.column`, `Record.field`, a Redis key, a file. `kind`: raw is the
    visitor's own data as it came; personal belongs to a Telegram user; a pseudonym singles out a visitor under a key;
    open singles out nobody; secret is a key of ours. `sealed`: readable only with the key of its day.
    """

    group: Text
    store: Store
    fields: tuple[str, ...]
    kind: Kind
    life: Life
    ends: tuple[End, ...]
    purpose: Purpose
    basis: Basis
    sealed: bool = False


def _span(span: timedelta, one: str, many: str) -> str:
    if span.seconds:
        return f"{int(span.total_seconds())} s"
    return f"{span.days} {one if span.days == 1 else many}"
