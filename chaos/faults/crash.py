"""SIGKILL at a named point of the code: the process dies there by its own hand, under load."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage

SECONDS = 15.0
WORDS = {
    "before_write": "before a write to the spool",
    "after_write": "after a write to the spool, before its fsync",
    "after_fsync": "after the spool's fsync, before the answer",
    "after_302": "after a redirect was answered",
    "after_commit_before_trim": "after COMMIT, before the trim",
    "bot_after_upsert": "after a start's COMMIT, before its answer",
    "relay_after_send": "after a destination took events, before the mark",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """kill -9 of `target` the `count`-th time that it passes `point` (chaos/inside/crash.py), and its start afterwards.

    The stage must make it possible: `inside: {serve: [crash]}`.
    """

    target: str
    point: str
    count: int = 1

    @property
    def says(self) -> str:
        """For the report."""
        return f"{self.target} is killed {WORDS.get(self.point, self.point)}"

    @property
    def loses_receipts(self) -> bool:
        """A daemon counts its receipts, and writes the counts down every now and then."""
        return self.target.startswith("serve")

    def begin(self, stage: Stage) -> None:
        """Returns when it is dead. TimeoutError: it never came to that point."""
        stage.switches(self.target).on("crash", point=self.point, count=self.count)
        if stage.trilha(self.target).wait_for_end(SECONDS) is None:
            raise TimeoutError(f"within {SECONDS:.0f} s {self.target} did not come to {self.point}")

    def end(self, stage: Stage) -> None:
        """Returns when it answers again."""
        stage.switches(self.target).off("crash")
        stage.servers[self.target].start()
