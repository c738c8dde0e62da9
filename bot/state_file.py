"""Where the worker notes how far a bot's updates are done. Older than the truth is harmless; newer never is."""

from pathlib import Path

import msgspec

from domain.accounts import UpdateState


class StateFile:
    """One file. What cannot be read is as good as absent: SQL has a state too, a few seconds older."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: UpdateState | None = None

    def read(self) -> UpdateState | None:
        """The state, if there is one."""
        try:
            self._kept = msgspec.json.decode(self._path.read_bytes(), type=UpdateState)
        except (OSError, msgspec.MsgspecError):
            return None
        return self._kept

    def write(self, state: UpdateState) -> None:
        """Keep it from now on: whole, or what was there before. Raises OSError."""
        if state == self._kept:
            return
        draft = self._path.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(state))
        draft.replace(self._path)
        self._kept = state


def later(*states: UpdateState | None) -> UpdateState | None:
    """The furthest of them: each was true once, so all before it is done."""
    known = [state for state in states if state is not None]
    return max(known, key=lambda state: state.pts, default=None)
