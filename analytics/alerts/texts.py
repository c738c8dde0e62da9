"""What people are told of an alert, in English and Portuguese. Nothing personal is in any of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from analytics.alerts.rules import Rule, Unit
from domain.alerts import AlertState, Kind, Language, Message

_KINDS: dict[Language, dict[Kind, str]] = {
    "en": {"firing": "", "reminder": "Still: ", "resolved": "Over: ", "test": "Test: "},
    "pt": {"firing": "", "reminder": "Ainda: ", "resolved": "Resolvido: ", "test": "Teste: "},
}
_SEVERITY: dict[Language, dict[str, str]] = {
    "en": {"page": "URGENT", "warn": "Warning"},
    "pt": {"page": "URGENTE", "warn": "Aviso"},
}
_LINES: dict[Language, dict[str, str]] = {
    "en": {
        "since": "Since",
        "measured": "Measured",
        "bound": "bound",
        "see": "More",
        "until": "Over at",
        "several": "alerts at once",
        "test": "This is a test of Trilha's alerts. Nothing is wrong.",
    },
    "pt": {
        "since": "Desde",
        "measured": "Medido",
        "bound": "limite",
        "see": "Mais",
        "until": "Resolvido em",
        "several": "alertas de uma vez",
        "test": "Este é um teste dos alertas da Trilha. Não há nada errado.",
    },
}
SEVERAL = "several"


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Writes messages in a language, with times of a zone."""

    language: Language
    zone: ZoneInfo

    def message(self, rule: Rule, subject: str, state: AlertState, kind: Kind, now_ms: int) -> Message:
        """What is told of one alert."""
        words, lines = rule.words(self.language), _LINES[self.language]
        about = f" ({subject})" if subject else ""
        headline = f"{self._begins(rule, kind)}{words.title}{about}"
        text = [headline, f"{lines['since']}: {self.time(state.since_ms)}"]
        if kind == "resolved":
            text.append(f"{lines['until']}: {self.time(now_ms)}")
        else:
            text += [self._figures(rule, state.measured), words.do]
        text.append(f"{lines['see']}: {rule.anchor}")
        return Message(
            kind=kind,
            rule=rule.name,
            subject=subject,
            severity=rule.severity,
            headline=headline,
            text="\n".join(line for line in text if line),
            since_ms=state.since_ms,
            at_ms=now_ms,
        )

    def together(self, messages: Sequence[Message]) -> Message:
        """Many in one, so that nobody's telephone rings fifty times."""
        worst = min(messages, key=lambda item: (item.kind == "resolved", item.severity != "page"))
        headline = f"Trilha: {len(messages)} {_LINES[self.language]['several']}"
        return Message(
            kind=worst.kind,
            rule=SEVERAL,
            subject="",
            severity=worst.severity,
            headline=headline,
            text="\n".join([headline, *(message.headline for message in messages)]),
            since_ms=min(message.since_ms for message in messages),
            at_ms=worst.at_ms,
        )

    def test(self, now_ms: int) -> Message:
        """What `trilha alerts test` sends."""
        text = f"{_KINDS[self.language]['test']}Trilha"
        return Message(
            kind="test",
            rule="test",
            subject="",
            severity="warn",
            headline=text,
            text=f"{text}\n{_LINES[self.language]['test']}",
            since_ms=now_ms,
            at_ms=now_ms,
        )

    def time(self, at_ms: int) -> str:
        """A moment, with its zone."""
        return f"{datetime.fromtimestamp(at_ms / 1000, self.zone):%Y-%m-%d %H:%M} ({self.zone.key})"

    def _begins(self, rule: Rule, kind: Kind) -> str:
        severity = "" if kind == "resolved" else f"{_SEVERITY[self.language][rule.severity]}. "
        return f"Trilha: {_KINDS[self.language][kind]}{severity}"

    def _figures(self, rule: Rule, measured: float) -> str:
        if rule.unit == "count" and rule.bound == 0 and measured <= 1:
            return ""
        lines = _LINES[self.language]
        said = figure(rule.unit, measured)
        return f"{lines['measured']}: {said} ({lines['bound']}: {figure(rule.unit, rule.bound)})"


def figure(unit: Unit, value: float) -> str:
    """A figure as people read it."""
    if unit == "share":
        return f"{value * 100:.0f} %"
    if unit == "surprise":
        return f"1 : {float(f'{10 ** min(value, 15):.2g}'):.0f}"  # two digits say it
    if unit == "count":
        return f"{value:.0f}"
    return _duration(value)


def _duration(seconds: float) -> str:
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or (seconds >= size and seconds % size == 0):
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"
