"""What is measured in SQL. Every call raises StoreUnavailable, and then nothing of it is known."""

from collections.abc import Mapping
from contextlib import suppress
from zoneinfo import ZoneInfo

from analytics.alerts.match import Rates, surprise
from analytics.alerts.readings import Reading, Readings, node_subject
from analytics.statements import statement
from backends.build import open_all_spools
from backends.sql.alerts import SqlAlerts
from backends.sql.books import read_books
from backends.sql.engine import Engine
from backends.sql.outbox import SqlOutbox
from backends.sql.reading import Question, SqlReader
from backends.sql.retention import SqlRetention
from backends.sql.signs import BotSign, SqlSigns
from domain.books import MINUTE_MS
from domain.conversions import UNATTRIBUTED
from domain.errors import ConfigError
from domain.rollups import hour_of
from privacy.bot_tokens import read_bot_tokens
from runtime.settings import Settings

TOKEN_ONLY_MINUTES = 10
DAY_MS = 86_400_000
SETTLED_MS = 10 * MINUTE_MS
"""What is older than this is settled, if nothing waits: books are read, and hours compared, up to there."""
BOOKS_MS = 60 * MINUTE_MS
MATCH_MINUTES = 180
FRESH_MS = 5 * MINUTE_MS
_UNFIT = ("revoked", "renamed")


class SqlMeasures:
    """Reads SQL."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine
        self._signs = SqlSigns(engine)
        self._alerts = SqlAlerts(engine)
        self._zone = ZoneInfo(settings.timezone)

    async def lanes(self, now_ms: int) -> Readings:
        """Of each lane to a destination: whether it is held, whether it warns, how old the oldest is that waits."""
        lanes = [lane for lane in await SqlOutbox(self._engine).lanes() if lane.lane != UNATTRIBUTED]
        ages = {lane.lane: (now_ms - lane.oldest_at_ms) / 1000 for lane in lanes if lane.oldest_at_ms}
        return {
            "lane_held": Reading({lane.lane: float(lane.held_at_ms is not None) for lane in lanes}),
            "lane_warned": Reading({lane.lane: float(lane.warning is not None) for lane in lanes}),
            "unsent": Reading({lane: max(0.0, age) for lane, age in ages.items()}),
        }

    async def bots(self, now_ms: int) -> Readings:
        """Of each bot: whether people reach it, and for how long its worker has not heard from Telegram."""
        bots = await self._signs.bots()
        in_file = self._in_file()
        ours = [bot for bot in bots if _fit(bot) and (bot.has_token or bot.username.lower() in in_file)]
        heard = {f"@{bot.username}": max(0.0, (now_ms - bot.heard_ms) / 1000) for bot in ours}
        return {
            "bot_unfit": Reading({f"@{bot.username}": float(_unfit(bot)) for bot in bots}),
            "bot_unheard": Reading(heard),
        }

    async def token_only(self, now_ms: int) -> Readings:
        """Clicks of the last minutes that no store had, where the settings promise more than that."""
        given = self._settings
        if given.ack != "durable" or given.wait_for not in {"both", "durability"}:
            return {}
        counts = await self._signs.token_only(now_ms // MINUTE_MS - TOKEN_ONLY_MINUTES)
        return {"token_only": Reading({node_subject(node): float(clicks) for node, clicks in counts.items()})}

    async def books(self, now_ms: int) -> Readings:
        """How many lines of an hour's books do not hold. Not known while any spool anywhere still has something of then."""
        until_ms = now_ms - SETTLED_MS
        if not await self._settled(now_ms, until_ms):
            return {}
        spools = open_all_spools(self._settings)
        try:
            books = await read_books(self._engine, spools, since_ms=until_ms - BOOKS_MS, until_ms=until_ms)
        finally:
            for spool in spools:
                spool.close()
        return {"books": Reading({"": float(len(books.faults))})}

    async def match_rate(self, now_ms: int) -> Readings:
        """How surprisingly few starts each link has had in the last three whole hours."""
        until = hour_of(now_ms - SETTLED_MS, self._zone)
        asked = Question(statement("alert_match_rate"), {"since": until - MATCH_MINUTES, "until": until})
        (rows,) = await SqlReader(self._engine).ask(asked)
        return {"match_rate": Reading({row.slug: surprise(_rates(row)) for row in rows})}

    async def rollups(self, _now_ms: int) -> Readings:
        """How many changes wait for the rollups."""
        return {"rollups_waiting": Reading({"": float(await self._signs.changes_waiting())})}

    async def retention(self, now_ms: int) -> Readings:
        """How many kinds of data should have been ended more than a day ago."""
        sql = SqlRetention(self._engine)
        originals_ms = now_ms - (self._settings.sealed_days + 1) * DAY_MS
        clicks_ms = now_ms - (self._settings.click_days + 1) * DAY_MS
        late = [
            await sql.originals_due(originals_ms),
            await sql.digests_due(originals_ms),
            await sql.clicks_due(clicks_ms),
            await sql.direct_starts_due(clicks_ms),
            await sql.conversions_due(clicks_ms),
            await sql.bot_users_due(clicks_ms),
        ]
        return {"retention_overdue": Reading({"": float(sum(waiting.rows > 0 for waiting in late))})}

    async def workers(self, now_ms: int) -> Readings:
        """Seconds since each worker judged."""
        judges = await self._alerts.judges()
        ages = {node_subject(judge.node): max(0.0, (now_ms - judge.judged_ms) / 1000) for judge in judges}
        return {"worker_silent": Reading(ages)}

    async def _settled(self, now_ms: int, until_ms: int) -> bool:
        return all(
            judge.judged_ms > now_ms - FRESH_MS
            and (judge.waits_since_ms is None or judge.waits_since_ms >= until_ms)
            for judge in await self._alerts.judges()
        )

    def _in_file(self) -> Mapping[str, str]:
        # A tokens file that is not as it must be is what `trilha doctor` and `trilha bot` say.
        with suppress(ConfigError):
            return read_bot_tokens(self._settings.bot_tokens_file)
        return {}


def _fit(bot: BotSign) -> bool:
    return bot.health in {"unknown", "ok"}


def _unfit(bot: BotSign) -> bool:
    """A banned one that no link leads to is nobody's trouble."""
    return bot.health in _UNFIT or (bot.health == "banned" and bot.pooled)


def _rates(row: object) -> Rates:
    names = ("clicks", "starts", "clicks_before", "starts_before")
    return Rates(**{name: getattr(row, name) for name in names})
