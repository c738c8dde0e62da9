"""What the privacy commands work with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from backends.build import local_spools, open_redis
from backends.redis import RedisStore
from backends.spools import LocalSpools
from backends.sql.engine import Engine, make_engine
from backends.sql.erasure import Copies, SqlErasures
from backends.sql.retention import SqlRetention
from backends.sql.subject import SqlSubjects
from backends.sql.users import SqlUsers
from cli.common import CLOCK, PATIENCE, beside_up, duration_ms, settings
from daemon.erasure import Discarder, Erasure
from daemon.retention import Retention
from daemon.subject import Subjects
from privacy.erasure_journal import ErasureJournal
from privacy.keyring import Keyring
from privacy.seal import Sealer
from runtime.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What these commands work with, and the dashboard's page of privacy too."""

    given: Settings
    keyring: Keyring
    erasures: SqlErasures
    subjects: SqlSubjects
    users: SqlUsers
    ends: SqlRetention
    redis: RedisStore | None
    spools: LocalSpools

    @classmethod
    def over(cls, given: Settings, engine: Engine, redis: RedisStore | None, keyring: Keyring) -> "Hands":
        """Over stores that are somebody else's to close."""
        return cls(
            given=given,
            keyring=keyring,
            erasures=SqlErasures(engine),
            subjects=SqlSubjects(engine),
            users=SqlUsers(engine, CLOCK),
            ends=SqlRetention(engine),
            redis=redis,
            spools=local_spools(given),
        )

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.given.timezone)

    def subject(self) -> Subjects:
        return Subjects(
            subjects=self.subjects,
            redis=self.redis,
            spools=self.spools,
            sealer=Sealer(self.keyring),
            person_key=self.keyring.person_key,
            clock=CLOCK,
            zone=self.zone,
        )

    def erasure(self) -> Erasure:
        elsewhere: tuple[Copies, ...] = ("redis", "spool") if self.redis is not None else ("spool",)
        return Erasure(
            erasures=self.erasures,
            spools=self.spools,
            discarder=Discarder(erasures=self.erasures, redis=self.redis, spools=self.spools, clock=CLOCK),
            elsewhere=elsewhere,
            person_key=self.keyring.person_key,
            clock=CLOCK,
            journal=ErasureJournal.beside(self.given.secrets),
        )

    def retention(self) -> Retention:
        return Retention(self.ends, self.given, CLOCK, keys=self.keyring)


@asynccontextmanager
async def hands_of(given: Settings | None = None) -> AsyncIterator[Hands]:
    """Stores and keys in force, or of those settings, closed afterwards."""
    given = settings() if given is None else beside_up(given)
    engine = make_engine(given.sql, patience=PATIENCE)
    redis = open_redis(given)
    try:
        yield Hands.over(given, engine, redis, Keyring(given.secrets, CLOCK))
    finally:
        if redis is not None:
            await redis.close()
        await engine.dispose()


def moment(text: str, zone: ZoneInfo) -> int:
    """UTC milliseconds of a local time, a duration back from now, or now for an empty text."""
    if not text:
        return CLOCK.now_ms()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return CLOCK.now_ms() - duration_ms(text)
    return int((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp() * 1000)


def pairs(values: dict[str, Any]) -> str:
    """Names with their values, in a line."""
    return ", ".join(f"{name} {or_dash(value)}" for name, value in values.items())


def or_dash(value: Any) -> Any:
    """The value, or a dash for none."""
    return "-" if value is None else value
