"""Where the worker notes how far a bot's updates are done. Older than the truth is harmless; newer never is."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from domain.accounts import UpdateState


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """Whose numbers they are: another account's would be a place in another sequence."""

    telegram_id: int
    state: UpdateState


class StateFile:
    """One file. What cannot be read is as good as absent: SQL has a state too, a few seconds older."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: _Kept | None = None

    def read(self, telegram_id: int) -> UpdateState | None:
        """The state of that account, if there is one."""
        try:
            self._kept = msgspec.json.decode(self._path.read_bytes(), type=_Kept)
        except (OSError, msgspec.MsgspecError):
            return None
        return self._kept.state if self._kept.telegram_id == telegram_id else None

    def write(self, telegram_id: int, state: UpdateState) -> None:
        """Keep it from now on: whole, or what was there before. Raises OSError."""
        kept = _Kept(telegram_id=telegram_id, state=state)
        if kept == self._kept:
            return
        draft = self._path.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(kept))
        draft.replace(self._path)
        self._kept = kept


def later(*states: UpdateState | None) -> UpdateState | None:
    """The furthest of them: each was true once, so all before it is done."""
    known = [state for state in states if state is not None]
    return max(known, key=lambda state: state.pts, default=None)
