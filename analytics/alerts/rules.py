"""Rules: what is an alert, from rules.toml beside this file and an operator's own file over it."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from domain.alerts import Language, Severity
from domain.errors import ConfigError

Unit = Literal["seconds", "share", "count", "surprise"]
Subject = Literal["node", "lane", "bot", "link", "all"]
FILE = Path(__file__).with_name("rules.toml")
_NUMBERS = ("bound", "clear", "holds_for", "remind")
CHANGEABLE = (*_NUMBERS, "severity", "off")
"""What an operator's file may say of a rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A rule in one language: what is wrong, and what to do first."""

    title: str
    do: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Fires while `measure` is above `bound`, once that has held for `holds_for` seconds; ends at or below `clear`.

    remind: hours between reminders. expr: the same for Prometheus, with `$bound` in it.
    """

    name: str
    measure: str
    subject: Subject
    unit: Unit
    bound: float
    clear: float
    holds_for: float
    remind: float
    severity: Severity
    expr: str
    en: Words
    pt: Words
    local: bool = False

    def words(self, language: Language) -> Words:
        """Its texts."""
        return self.pt if language == "pt" else self.en

    @property
    def anchor(self) -> str:
        """Where the runbook speaks of it."""
        return f"docs/runbook.md#{self.name}"


def our_rules() -> list[Rule]:
    """The rules as they are shipped."""
    return [_rule(name, values) for name, values in tomllib.loads(FILE.read_text()).items()]


def rules_in_force(*, off: Iterable[str] = (), file: Path | None = None) -> list[Rule]:
    """Ours, changed as the file says, without those that are off. ConfigError names what nobody knows."""
    changes = _read(file)
    found = {rule.name: rule for rule in our_rules()}
    silent = set(off)
    _known(silent, found, "TRILHA_ALERTS_OFF")
    _known(changes, found, "TRILHA_ALERT_RULES")
    for name, values in changes.items():
        found[name] = _changed(found[name], values)
        silent |= {name} if values.get("off") is True else set()
    return [rule for rule in found.values() if rule.name not in silent]


def _rule(name: str, values: Mapping[str, Any]) -> Rule:
    known = {field.name for field in fields(Rule)}
    given = {key: value for key, value in values.items() if key in known}
    words = {language: Words(**values[language]) for language in ("en", "pt")}
    return Rule(**({"name": name, "clear": values["bound"]} | given | words))


def _read(file: Path | None) -> dict[str, dict[str, Any]]:
    if file is None:
        return {}
    try:
        found = tomllib.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"TRILHA_ALERT_RULES: {file} cannot be read: {error}") from None
    if wrong := sorted(name for name, values in found.items() if not isinstance(values, dict)):
        raise ConfigError(f"TRILHA_ALERT_RULES: {wrong[0]} stands in no rule. Write [RULE] above it")
    return found


def _known(names: Iterable[str], rules: Mapping[str, Rule], setting: str) -> None:
    if unknown := sorted(set(names) - rules.keys()):
        raise ConfigError(f"{setting}: no alert rule {unknown[0]!r}. See them all: trilha alerts rules")


def _changed(rule: Rule, values: Mapping[str, Any]) -> Rule:
    for key, value in values.items():
        _check(rule.name, key, value)
    changes = {key: value for key, value in values.items() if key != "off"}
    made = replace(rule, **changes)
    # Another bound than ours makes our `clear` meaningless, unless it is still below.
    if "clear" not in values and made.clear > made.bound:
        made = replace(made, clear=made.bound)
    if made.clear > made.bound:
        raise ConfigError(f"TRILHA_ALERT_RULES: clear of {rule.name} is above its bound")
    return made


def _check(rule: str, key: str, value: object) -> None:
    said = f"TRILHA_ALERT_RULES: {key} of {rule}"
    if key not in CHANGEABLE:
        raise ConfigError(f"{said} cannot be set. What can: {', '.join(CHANGEABLE)}")
    if key in _NUMBERS and (isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0):
        raise ConfigError(f"{said} must be a number from 0 on")
    if key == "remind" and value == 0:
        raise ConfigError(f"{said} must be more than 0 hours")
    if key == "severity" and value not in get_args(Severity):
        raise ConfigError(f"{said} must be page or warn")
    if key == "off" and not isinstance(value, bool):
        raise ConfigError(f"{said} must be true or false")
