"""Users of the dashboard and their sessions in SQL."""

from typing import Any

from sqlalchemy import Row, Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import insert_if_absent, one_row, query, transaction
from backends.sql.operator_schema import LONGEST_MS, ended, sessions, users
from domain.clock import Clock
from domain.errors import ConfigError
from domain.users import ListedUser, Role, User, valid_user_name

SEEN_EVERY_MS = 60_000


class SqlUsers:
    """Users, their passwords as Argon2id hashes, and their sessions as digests. Raises StoreUnavailable, and ConfigError
    for what is not allowed.
    """

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def add(self, name: str, role: Role, password: str) -> User:
        """A new user. ConfigError when the name is taken, in whatever case."""
        values = {
            "name": valid_user_name(name),
            "name_key": name.lower(),
            "role": role,
            "password": password,
            "created_at": self._clock.now_ms(),
        }

        async def write(connection: AsyncConnection) -> User:
            made = await connection.execute(
                insert_if_absent(self._engine, users).returning(users.c.id), values
            )
            number = made.scalar_one_or_none()
            if number is None:
                raise ConfigError(f"there is a user {name!r} already. See them all: trilha user list")
            return User(id=number, name=name, role=role)

        return await transaction(self._engine, write)

    async def all(self) -> list[ListedUser]:
        """Every user, by name."""
        alive = _alive(self._clock.now_ms())
        seen = func.max(sessions.c.seen_at)
        wanted = (
            select(users, func.count(sessions.c.digest).label("open"), seen.label("seen"))
            .select_from(users.outerjoin(sessions, (sessions.c.user_id == users.c.id) & alive))
            .group_by(users.c.id)
            .order_by(users.c.name_key)
        )

        async def read(connection: AsyncConnection) -> list[ListedUser]:
            return [_listed(row) for row in await connection.execute(wanted)]

        return await query(self._engine, read)

    async def names(self) -> dict[int, str]:
        """The name of every user, by the number that the audit has."""

        async def read(connection: AsyncConnection) -> dict[int, str]:
            return {row.id: row.name for row in await connection.execute(select(users.c.id, users.c.name))}

        return await query(self._engine, read)

    async def hash_of(self, name: str) -> tuple[User, str] | None:
        """The user of that name, in whatever case, and the hash of their password."""
        row = await one_row(self._engine, _named(name))
        return None if row is None else (_user(row), row.password)

    async def set_password(self, name: str, password: str) -> User:
        """Another hash; every session of theirs ends."""

        async def write(connection: AsyncConnection, user: User) -> None:
            await connection.execute(users.update().where(users.c.id == user.id).values(password=password))
            await connection.execute(delete(sessions).where(sessions.c.user_id == user.id))

        return await self._change(name, write)

    async def rehash(self, user: User, before: str, password: str) -> None:
        """The same password's hash by newer parameters, unless it was changed meanwhile."""
        which = (users.c.id == user.id) & (users.c.password == before)

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(users.update().where(which).values(password=password))

        await transaction(self._engine, write)

    async def set_role(self, name: str, role: Role) -> User:
        """Another role, from the next request on. ConfigError when no owner would be left."""

        async def write(connection: AsyncConnection, user: User) -> None:
            await connection.execute(users.update().where(users.c.id == user.id).values(role=role))
            await _an_owner_is_left(connection)

        await self._change(name, write)
        found = await self.hash_of(name)
        if found is None:
            raise ConfigError(f"no user {name!r}. See them all: trilha user list")
        return found[0]

    async def remove(self, name: str) -> User:
        """Remove the user and their sessions. ConfigError when no owner would be left."""

        async def write(connection: AsyncConnection, user: User) -> None:
            await connection.execute(delete(sessions).where(sessions.c.user_id == user.id))
            await connection.execute(delete(users).where(users.c.id == user.id))
            await _an_owner_is_left(connection)

        return await self._change(name, write)

    async def open_session(self, user: User, digest: bytes) -> None:
        """A session that begins now."""
        now = self._clock.now_ms()
        values = {
            "digest": digest,
            "user_id": user.id,
            "created_at": now,
            "seen_at": now,
            "expires_at": now + LONGEST_MS,
        }

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(sessions.insert(), values)

        await transaction(self._engine, write)

    async def session(self, digest: bytes) -> User | None:
        """Whose session that is, if it has not ended; that it was seen is noted once a minute."""
        now = self._clock.now_ms()
        wanted = (
            select(users, sessions.c.seen_at)
            .join(sessions, sessions.c.user_id == users.c.id)
            .where(sessions.c.digest == digest, users.c.disabled_at.is_(None), _alive(now))
        )
        row = await one_row(self._engine, wanted)
        if row is None:
            return None
        if now - row.seen_at >= SEEN_EVERY_MS:
            await self._seen(digest, now)
        return _user(row)

    async def close_session(self, digest: bytes) -> None:
        """End it."""

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(delete(sessions).where(sessions.c.digest == digest))

        await transaction(self._engine, write)

    async def other_sessions(self, user: User, digest: bytes) -> int:
        """How many sessions of the user are open, without that one."""
        wanted = select(func.count()).select_from(sessions)
        row = await one_row(self._engine, wanted.where(_others(user, digest), _alive(self._clock.now_ms())))
        return 0 if row is None else int(row[0])

    async def close_other_sessions(self, user: User, digest: bytes) -> int:
        """End every session of the user but that one; how many were open."""
        alive = _alive(self._clock.now_ms())
        wanted = select(func.count()).select_from(sessions).where(_others(user, digest), alive)

        async def write(connection: AsyncConnection) -> int:
            found = int((await connection.execute(wanted)).scalar_one())
            await connection.execute(delete(sessions).where(_others(user, digest)))
            return found

        return await transaction(self._engine, write)

    async def _seen(self, digest: bytes, now: int) -> None:
        async def write(connection: AsyncConnection) -> None:
            await connection.execute(sessions.update().where(sessions.c.digest == digest).values(seen_at=now))

        await transaction(self._engine, write)

    async def _change(self, name: str, change: Any) -> User:
        async def write(connection: AsyncConnection) -> User:
            # First, so that two of them wait for one another: else each could leave the other's owner the last.
            await connection.execute(users.update().values(role=users.c.role))
            row = (await connection.execute(_named(name))).one_or_none()
            if row is None:
                raise ConfigError(f"no user {name!r}. See them all: trilha user list")
            await change(connection, _user(row))
            return _user(row)

        return await transaction(self._engine, write)


def _named(name: str) -> Select[Any]:
    return select(users).where(users.c.name_key == name.lower(), users.c.disabled_at.is_(None))


def _others(user: User, digest: bytes) -> Any:
    return (sessions.c.user_id == user.id) & (sessions.c.digest != digest)


def _alive(now: int) -> Any:
    return ~ended(now)


def _user(row: Row[Any]) -> User:
    return User(id=row.id, name=row.name, role=row.role)


def _listed(row: Row[Any]) -> ListedUser:
    return ListedUser(user=_user(row), created_ms=row.created_at, sessions=row.open, seen_ms=row.seen)


async def _an_owner_is_left(connection: AsyncConnection) -> None:
    owners = (
        select(func.count()).select_from(users).where(users.c.role == "owner", users.c.disabled_at.is_(None))
    )
    if not (await connection.execute(owners)).scalar_one():
        raise ConfigError("that is the last owner. Make another one first: trilha user role NAME owner")
