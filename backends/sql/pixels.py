"""Pixels in SQL, with what they are sent to with (sealed)."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import insert_if_absent, one_row, query, transaction
from backends.sql.lanes import released
from backends.sql.schema import lanes, links, pixels
from domain.conversions import meta_lane
from domain.errors import ConfigError
from domain.links import valid_pixel
from domain.pixels import Pixel, SealedCredentials


class SqlPixels:
    """Reads and edits pixels. Raises StoreUnavailable; ConfigError for what is not allowed. No change is the catalog's: links
    know pixels by their ids.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, pixel: str, *, at_ms: int) -> None:
        """Register a pixel; the one that is there stays as it is."""
        values = {"id": valid_pixel(pixel), "created_at": at_ms}
        await transaction(
            self._engine,
            lambda connection: connection.execute(insert_if_absent(self._engine, pixels), values),
        )

    async def put(self, pixel: str, sealed: SealedCredentials, *, at_ms: int) -> bool:
        """Register a pixel, if need be, with these credentials in place of what it had; True when this released its lane."""
        values = {"id": valid_pixel(pixel), "created_at": at_ms}
        given = {"token": sealed.token, "app_secret": sealed.app_secret}

        async def write(connection: AsyncConnection) -> bool:
            await connection.execute(insert_if_absent(self._engine, pixels), values)
            await connection.execute(pixels.update().where(pixels.c.id == pixel).values(given))
            return bool((await connection.execute(released(meta_lane(pixel)))).rowcount)

        return await transaction(self._engine, write)

    async def forget_token(self, pixel: str) -> None:
        """Take the credentials out. ConfigError when there is no such pixel."""
        gone = pixels.update().where(pixels.c.id == pixel).values(token=None, app_secret=None)

        async def write(connection: AsyncConnection) -> None:
            if not (await connection.execute(gone)).rowcount:
                raise absent(pixel)

        await transaction(self._engine, write)

    async def remove(self, pixel: str) -> None:
        """Forget a pixel that no link uses, and how its lane was. ConfigError when one does, or when there is no such pixel."""

        async def write(connection: AsyncConnection) -> None:
            used = await connection.execute(select(links.c.slug).where(links.c.pixel_id == pixel))
            if slugs := sorted(used.scalars()):
                raise ConfigError(
                    f"pixel {pixel} is used by {', '.join(slugs)}. First: trilha link edit SLUG --pixel OTHER"
                )
            if not (await connection.execute(pixels.delete().where(pixels.c.id == pixel))).rowcount:
                raise absent(pixel)
            await connection.execute(lanes.delete().where(lanes.c.lane == meta_lane(pixel)))

        await transaction(self._engine, write)

    async def credentials(self, pixel: str) -> SealedCredentials | None:
        """What the pixel is sent to with, or None when there is no such pixel."""
        row = await one_row(self._engine, select(pixels).where(pixels.c.id == pixel))
        return None if row is None else _sealed(row)

    async def all(self) -> list[Pixel]:
        """Every pixel, by id, with the links that use it."""

        async def read(connection: AsyncConnection) -> list[Pixel]:
            used = select(links.c.pixel_id, links.c.slug).where(links.c.pixel_id.is_not(None))
            users = (await connection.execute(used.order_by(links.c.slug))).all()
            rows = (await connection.execute(select(pixels).order_by(pixels.c.id))).all()
            return [
                _pixel(row, tuple(user.slug for user in users if user.pixel_id == row.id)) for row in rows
            ]

        return await query(self._engine, read)


def absent(pixel: str) -> ConfigError:
    """What is said of a pixel that is not registered."""
    return ConfigError(f"no pixel {pixel}. See them all: trilha pixel list")


def _pixel(row: Any, links_of_it: tuple[str, ...]) -> Pixel:
    return Pixel(id=row.id, created_at_ms=row.created_at, sealed=_sealed(row), links=links_of_it)


def _sealed(row: Any) -> SealedCredentials:
    return SealedCredentials(token=row.token, app_secret=row.app_secret)
