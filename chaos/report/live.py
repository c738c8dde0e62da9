"""What is going on while drills run: one line that changes on a terminal, plain lines anywhere else."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from chaos.report.numbers import count, ms, seconds
from chaos.report.result import Drill
from chaos.report.terminal import STYLES, said


class Live:
    """Told of each drill as it begins, goes on and ends. A context manager: it leaves the terminal as it was."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._now = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def started(self, name: str, number: int, total: int) -> None:
        """The drill of this name has begun, as the `number`th of `total`."""
        self._now = f"[{number:>{len(str(total))}}/{total}] {name}"
        if not self._console.is_terminal:
            self._print(Text(self._now))
            return
        self._stop()
        self._status = self._console.status(Text(self._now))
        self._status.start()

    def said(self, text: str) -> None:
        """Something worth knowing about the drill that runs; a terminal keeps only the last of it."""
        if self._status:
            self._status.update(Text.assemble(self._now, "  ", (text, "dim")))
        else:
            self._print(Text(f"  {text}"))

    def ended(self, drill: Drill) -> None:
        """The drill is over: its verdict stays on the screen, with the reasons if it did not hold."""
        self._stop()
        self._print(Text.assemble(said(drill.verdict), f"  {drill.name}", (_figures(drill), "dim")))
        for reason in drill.reasons:
            self._print(Text(f"    {reason}", style=STYLES[drill.verdict]))

    def _stop(self) -> None:
        if self._status:
            self._status.stop()
        self._status = None

    def _print(self, line: Text) -> None:
        # A log is not as wide as a terminal, and wants one line per thing said.
        self._console.print(line, soft_wrap=True)


def _figures(drill: Drill) -> str:
    parts = [seconds(drill.seconds)] if drill.seconds is not None else []
    if drill.fault:
        parts += [f"{count(drill.fault.asked)} visitors in the fault", f"slowest {ms(drill.fault.max_ms)}"]
    return "".join(f"  {part}" for part in parts)
