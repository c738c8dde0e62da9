"""LinkForm: a link as the form of the dashboard has it, and what is typed there as a link."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from domain.conversions import CLICK_EVENT
from domain.errors import ConfigError
from domain.links import Link, Strategy
from domain.pools import Place

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkForm:
    """What stands in the fields, as text: wrong input is shown again as it was typed.

    places: weight and priority of each bot of the pool, by username.
    """

    slug: str = ""
    name: str = ""
    places: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    new_bot: str = ""
    strategy: str = "weighted"
    pixel: str = ""
    fallback_url: str = ""
    events_off: str = CLICK_EVENT
    bridge: bool = False

    @classmethod
    def of(cls, link: Link) -> "LinkForm":
        """As it is now."""
        return cls(
            slug=link.slug,
            name=link.name,
            places={m.bot.username: (str(m.weight), str(m.priority)) for m in link.pool},
            strategy=link.strategy,
            pixel=link.pixel or "",
            fallback_url=link.fallback_url or "",
            events_off=" ".join(link.events_off),
            bridge=link.bridge,
        )

    @classmethod
    def posted(cls, fields: Mapping[str, str], bots: Sequence[str]) -> "LinkForm":
        """As it was typed; bots: those that are ticked."""
        typed = {
            name: fields.get(name, "").strip()
            for name in ("slug", "name", "new_bot", "pixel", "fallback_url", "events_off")
        }
        return cls(
            **typed,
            places={
                bot: (fields.get(f"weight.{bot}", "1"), fields.get(f"priority.{bot}", "1")) for bot in bots
            },
            strategy=fields.get("strategy", "weighted"),
            bridge="bridge" in fields,
        )

    def changes(self) -> dict[str, Any]:
        """What the catalog takes, but for the slug; ConfigError for what is no number, or no strategy."""
        if self.strategy not in STRATEGIES:
            raise ConfigError(f"not a strategy: {self.strategy!r}. Use one of {', '.join(STRATEGIES)}")
        return {
            "name": self.name or self.slug,
            "fallback_url": self.fallback_url,
            "pixel": self.pixel,
            "strategy": self.strategy,
            "bridge": self.bridge,
            "events_off": self.events_off.replace(",", " ").split(),
            "pool": self.pool(),
        }

    def pool(self) -> list[Place]:
        """The bots that are ticked, and the new one."""
        places = [
            Place(bot=bot, weight=_number(weight, "weight"), priority=_number(priority, "priority"))
            for bot, (weight, priority) in self.places.items()
        ]
        new = self.new_bot.removeprefix("@")
        known = {place.bot.lower() for place in places}
        return [*places, Place(bot=new)] if new and new.lower() not in known else places


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 6):
        raise ConfigError(f"not a {what}: {text!r}. Give a whole number")
    return int(text)
