"""Commands of trilha in a test's own process: what they say, and how they end."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass

import pytest

from cli.main import run as run_trilha


@dataclass(frozen=True, slots=True)
class Said:
    """What a command has said on standard output and on standard error."""

    out: str
    err: str


class Commands:
    """An operator at a terminal. All that the commands have said is kept."""

    def __init__(
        self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str], **settings: str
    ) -> None:
        self.said = ""
        self._patch, self._capture = patch, capture
        self.set(**settings)

    def set(self, **settings: str) -> None:
        """Settings by their names without prefix."""
        for name, value in settings.items():
            self._patch.setenv(f"TRILHA_{name.upper()}", value)

    def __call__(self, *words: str, given: str = "", code: int = 0) -> Said:
        """Run one, which has to end with that exit code; given: its standard input."""
        self._patch.setattr(sys, "argv", ["trilha", *words])
        self._patch.setattr(sys, "stdin", io.StringIO(given))
        with pytest.raises(SystemExit) as ended:
            run_trilha()
        said = Said(*self._capture.readouterr())
        self.said += said.out + said.err
        assert (ended.value.code or 0) == code, said
        return said
