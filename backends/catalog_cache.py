"""CatalogCache: links and bots in memory, refreshed in the background, with a copy on disk to start from."""

from contextlib import suppress
from pathlib import Path

import msgspec

from domain.clock import Clock
from domain.errors import StoreUnavailable
from domain.ids import random_uuid
from domain.links import Bot, Catalog, Link
from domain.ports import CatalogSource
from runtime.logs import get_logger

REFRESH_SECONDS = 1.0
_log = get_logger("trilha.catalog")


class CatalogCache:
    """What requests read. They never wait for SQL: `refresh` runs beside them, every second."""

    def __init__(self, source: CatalogSource, file: Path, clock: Clock) -> None:
        self._source = source
        self._file = file
        self._clock = clock
        self._catalog: Catalog | None = None
        self._by_slug: dict[str, Link] = {}
        self._by_username: dict[str, Bot] = {}
        self._checked_ms: int | None = None

    @property
    def loaded(self) -> bool:
        """False only on a daemon that has never reached SQL and has no copy on disk."""
        return self._catalog is not None

    @property
    def checked_ms(self) -> int | None:
        """When SQL last confirmed what is in memory, UTC milliseconds."""
        return self._checked_ms

    def link(self, slug: str) -> Link | None:
        """The link of a slug."""
        return self._by_slug.get(slug)

    def bot(self, username: str) -> Bot | None:
        """The bot of a username, with or without `@`, in any case."""
        return self._by_username.get(username.removeprefix("@").lower())

    @property
    def bots(self) -> tuple[Bot, ...]:
        """Every registered bot."""
        return self._catalog.bots if self._catalog else ()

    def bot_name(self, bot_id: int) -> str | None:
        """The username of a bot's id."""
        return next((bot.username for bot in self.bots if bot.id == bot_id), None)

    def link_by_id(self, link_id: int) -> Link | None:
        """The link that a token names."""
        return self._catalog.link(link_id) if self._catalog else None

    def load_copy(self) -> None:
        """Take over the copy on disk, if there is one that can be read."""
        try:
            self._take(msgspec.json.decode(self._file.read_bytes(), type=Catalog))
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError) as error:
            _log.warning("the copy of the catalog cannot be read", error=type(error).__name__)

    async def refresh(self) -> None:
        """Load what has changed in SQL. When SQL is down, what is in memory goes on being used."""
        try:
            version = await self._source.version()
            if self._catalog is None or version != self._catalog.version:
                self._take(await self._source.load())
                self._save()
        except StoreUnavailable:
            return
        self._checked_ms = self._clock.now_ms()

    def _take(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._by_slug = catalog.by_slug()
        self._by_username = {bot.username.lower(): bot for bot in catalog.bots}

    def _save(self) -> None:
        # Several daemons of one home write this copy: a draft that two wrote at once would be moved into place torn.
        draft = self._file.with_suffix(f".{random_uuid().hex[:12]}.new")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_bytes(msgspec.json.encode(self._catalog))
            draft.replace(self._file)
        except OSError as error:
            _log.warning("the copy of the catalog cannot be written", error=type(error).__name__)
            with suppress(OSError):
                draft.unlink(missing_ok=True)
