"""What is outside of Trilha in a drill, where its stage has it: Meta and who delivers to it, Telegram and who presses START."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from chaos.checker.held import Held
from chaos.checker.meta import AtMeta, MetaFindings, Report, check_meta
from chaos.checker.outbox import read_reports
from chaos.checker.telegram import TelegramFindings, check_telegram
from chaos.stage.people import People
from chaos.stage.stage import Stage

META = (*(f"meta_{name}" for name in MetaFindings.__slots__), "meta_unfelt", "meta_twice")
TELEGRAM = tuple(f"telegram_{name}" for name in TelegramFindings.__slots__)


class Outside:
    """From `begin` to `end`, on a stage that is set up."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._people: People | None = None

    def begin(self) -> None:
        """Let people come to Telegram, if there is one."""
        if self._stage.telegram is not None:
            self._people = People(self._stage.telegram, self._stage.told_file)
            self._people.start()

    def end(self) -> None:
        """No more people; those who have a token press START first."""
        if self._people is not None:
            self._people.stop()

    def settled(self) -> bool:
        """Whether nothing waits for Meta, and everybody who pressed START is answered. OSError: it cannot be known now."""
        if any(report.state == "pending" for report in self._reports()):
            return False
        return self._people is None or {each.person for each in self._people.pressed} <= set(self._sent())

    def figures(
        self, held: Held, *, events: Collection[str], erased: Collection[str], now: float, final: bool
    ) -> dict[str, Any]:
        """What the checkers say, by the names of figures; None for what the stage does not have. now: Unix seconds.

        final: all is settled, and whoever is not answered or delivered now never is.
        """
        return self._meta(held, events, erased, now, final=final) | self._telegram(held, erased, final=final)

    def _meta(
        self, held: Held, events: Collection[str], erased: Collection[str], now: float, *, final: bool
    ) -> dict[str, Any]:
        if self._stage.meta is None:
            return dict.fromkeys(META)
        # The outbox first: what it calls sent is at Meta then, and what Meta has may be marked a moment later.
        reports = self._reports()
        meta = AtMeta(accepted=self._stage.meta.accepted(), faulty=self._stage.meta.faulty())
        found = check_meta(held, reports, meta, events=events, erased=erased, now=now, final=final)
        counts = {f"meta_{name}": getattr(found, name).count for name in MetaFindings.__slots__}
        stats = self._stage.meta.stats()
        counts["meta_unfelt"] = int(final and not stats["struck"] and not stats["refused"])
        counts["meta_twice"] = sum(times > 1 for times in meta.accepted.values())
        return counts | {"meta": found, "delivery": _delivery(reports, meta, stats)}

    def _telegram(self, held: Held, erased: Collection[str], *, final: bool) -> dict[str, Any]:
        if self._people is None:
            return dict.fromkeys(TELEGRAM)
        pressed = [(each.person, each.token) for each in self._people.pressed] if final else []
        found = check_telegram(held, pressed, self._sent() if final else [], erased=erased)
        counts = {f"telegram_{name}": getattr(found, name).count for name in TelegramFindings.__slots__}
        return counts | {"telegram": found, "pressed": len(pressed)}

    def _reports(self) -> list[Report]:
        return [] if self._stage.meta is None else read_reports(self._stage.direct_sql_url)

    def _sent(self) -> list[int]:
        return [] if self._stage.telegram is None else self._stage.telegram.sent()


def _delivery(reports: Collection[Report], meta: AtMeta, stats: dict[str, Any]) -> dict[str, Any]:
    """How delivery went, for the report. late_s: of the slowest event, from when it happened until it was taken."""
    states = {
        name: sum(each.state == name for each in reports) for name in ("sent", "rejected", "dead", "skipped")
    }
    late = [each.sent_at - each.at for each in reports if each.sent_at is not None]
    return states | {
        "at_meta": len(meta.accepted),
        "calls": stats["calls"],
        "refused": stats["refused"],
        "struck": stats["struck"],
        "late_s": round(max(late, default=0.0), 1),
    }
