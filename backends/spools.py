"""LocalSpools: every writer's spool on this machine at once, for whoever erases or exports what a person left there."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from backends.codec import decode_entry
from backends.spool import ASIDE, OfPerson, Spool, is_of, open_if_there, spools_under
from domain.click import Click
from domain.errors import ConfigError, StoreUnavailable
from runtime.logs import get_logger

T = TypeVar("T")
_log = get_logger("trilha.spools")


class LocalSpools:
    """Opens each spool for one piece of work, beside its writer. Raises nothing: what failed is said in the answer."""

    def __init__(self, root: Path, open_spool: Callable[[Path], Spool]) -> None:
        self._root = root
        self._open = open_spool

    async def of_person(self, telegram_id: int) -> tuple[list[OfPerson], bool]:
        """That person's starts and conversions that wait here; False with it when a spool could not be read."""
        return await self.waiting(lambda record: is_of(record, telegram_id))

    async def waiting(self, wanted: Callable[[OfPerson], bool]) -> tuple[list[OfPerson], bool]:
        """Starts and conversions that wait here and are wanted; False with it when a spool could not be read."""
        found, all_read = await self._each(lambda spool: spool.waiting(wanted))
        return [record for records in found for record in records], all_read

    async def find(self, ids: Sequence[UUID]) -> tuple[dict[UUID, Click], bool]:
        """Those of the clicks that lie here; False with it when a spool could not be read."""

        def look(spool: Spool) -> dict[UUID, Click]:
            return {click_id: click for click_id in ids if (click := spool.find(click_id)) is not None}

        found, all_read = await self._each(look) if ids else ([], True)
        return {click_id: click for part in found for click_id, click in part.items()}, all_read

    async def discard(self, ids: Sequence[UUID]) -> bool:
        """Put tombstones in the places of those clicks, remove conversions that name them, and delete what was set aside of
        them. False: not all of it.
        """

        def remove(spool: Spool) -> None:
            for click_id in ids:
                spool.remove(click_id)

        _, done = await self._each(remove)
        aside = await asyncio.to_thread(self._clear_aside, lambda piece: any(i.bytes in piece for i in ids))
        return done and aside

    async def remove_person(self, telegram_id: int, *, until_ms: int) -> bool:
        """Remove that person's starts and conversions up to that moment. False: not all of them could be."""
        _, done = await self._each(lambda spool: spool.remove_person(telegram_id, until_ms=until_ms))
        return (
            await asyncio.to_thread(self._clear_aside, lambda piece: _is_theirs(piece, telegram_id)) and done
        )

    async def scrub(self) -> bool:
        """Write the files of all spools anew and empty their logs; False when one was in use, or is too large now."""
        scrubbed, all_done = await self._each(Spool.scrub)
        return all_done and all(scrubbed)

    async def _each(self, work: Callable[[Spool], T]) -> tuple[list[T], bool]:
        return await asyncio.to_thread(self._in_turn, work)

    def _in_turn(self, work: Callable[[Spool], T]) -> tuple[list[T], bool]:
        answers, sound = [], True
        for folder in spools_under(self._root):
            try:
                spool = open_if_there(folder, self._open)
                if spool is not None:
                    try:
                        answers.append(work(spool))
                    finally:
                        spool.close()
            except (ConfigError, StoreUnavailable) as error:
                _log.warning("a spool is left out", spool=folder.name, reason=str(error))
                # Settled and removed in the meantime: then there is nothing left in it.
                sound = sound and not folder.exists()
        return answers, sound

    def _clear_aside(self, wanted: Callable[[bytes], bool]) -> bool:
        try:
            for path in self._aside():
                with suppress(FileNotFoundError):
                    if wanted(path.read_bytes()):
                        path.write_bytes(b"\0" * path.stat().st_size)
                        path.unlink()
        except OSError as error:
            _log.warning("what was set aside cannot be read", reason=str(error.strerror))
            return False
        return True

    def _aside(self) -> Iterable[Path]:
        return sorted((self._root / ASIDE).glob("*.bin"))


def _is_theirs(piece: bytes, telegram_id: int) -> bool:
    """A start or conversion of that person; of a damaged piece, one that has the id as their bytes have it (MessagePack)."""
    found = decode_entry(piece)
    if any(is_of(record, telegram_id) for record in found.records):
        return True
    size = 4 if telegram_id < 1 << 32 else 8
    return bool(found.damaged) and telegram_id >= 1 << 16 and telegram_id.to_bytes(size, "big") in piece
