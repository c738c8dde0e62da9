"""Settings as the dashboard shows them: without what is secret in them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from privacy.redact import redact_text
from runtime.settings import PREFIX, Settings

# What is in force where nothing is set.
_IN_FORCE: Mapping[str, Callable[[Settings], object]] = {
    "sql_url": lambda given: given.sql,
    "spool_dir": lambda given: given.spools,
    "secret_file": lambda given: given.secrets,
    "api_key_file": lambda given: given.api_keys,
    "telegram_api_hash_file": lambda given: given.api_hash,
    "public_url": lambda given: given.base_url,
    "geoip_paths": lambda given: given.geoip,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSetting:
    """A setting: its name in the environment, what is in force, and whether that was set."""

    name: str
    value: str
    default: str
    changed: bool
    description: str


def shown_settings(given: Settings) -> list[ShownSetting]:
    """All of them, in the order of the reference."""
    return [_shown(name, given) for name in Settings.model_fields]


def _shown(name: str, given: Settings) -> ShownSetting:
    field = Settings.model_fields[name]
    value = getattr(given, name)
    return ShownSetting(
        name=PREFIX + name.upper(),
        value=_safe(_IN_FORCE[name](given) if not value and name in _IN_FORCE else value),
        default=_text(field.default),
        changed=value != field.default,
        description=field.description or "",
    )


def _safe(value: object) -> str:
    """URLs may hold passwords. Addresses of listeners and proxies are the operator's own, and nobody's secret."""
    return redact_text(_text(value)) if isinstance(value, str) else _text(value)


def _text(value: Any) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
