"""trilha privacy, trilha profile: the data subject's rights, and what an operator must be able to see and to tell."""

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from backends.build import local_spools, open_redis
from backends.redis import RedisStore
from backends.spools import LocalSpools
from backends.sql.engine import make_engine
from backends.sql.erasure import Copies, SqlErasures
from backends.sql.subject import Extent, SqlSubjects
from cli.access_log import access_log
from cli.common import (
    CLOCK,
    PATIENCE,
    Json,
    catalog_of,
    duration_ms,
    local_time,
    run,
    settings,
    show,
    show_table,
)
from cli.record import record
from cli.retention import retention
from daemon.erasure import Discarder, Erasure, ErasureReport
from daemon.stored import PeriodKey, categories, cells, notice_due, period_keys
from daemon.subject import Subjects, local_iso, profile_json
from domain.errors import ConfigError, StoreUnavailable
from privacy.keyring import Keyring
from privacy.seal import Sealer
from runtime.settings import Settings

privacy = typer.Typer(help="The data subject's rights (LGPD), and what is stored.", no_args_is_help=True)
privacy.command()(retention)
privacy.command()(record)
privacy.command("access-log")(access_log)
Person = Annotated[
    str,
    typer.Option(
        "--telegram-id",
        help="The person's numeric Telegram id; `-` reads it from standard input, out of the process list.",
    ),
]
LATE_MS = 86_400_000
EXIT_NO = 1
EXIT_STORE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hands:
    """What these commands work with."""

    given: Settings
    keyring: Keyring
    erasures: SqlErasures
    subjects: SqlSubjects
    redis: RedisStore | None
    spools: LocalSpools

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
        )


@privacy.command()
def export(
    telegram_id: Person,
    output: Annotated[
        Path | None, typer.Option("--output", help="A new file, 0600; default: standard output.")
    ] = None,
) -> None:
    """Everything that any store has of a person, as JSON. Exits 3 when a store could not be asked."""
    person = _person(telegram_id)

    async def gather() -> dict[str, Any]:
        async with _hands() as hands:
            found = await hands.subject().export(person)
            counts = {name: len(found[name]) for name in ("clicks", "starts", "conversions")}
            if "sql" not in found["incomplete"]:
                await hands.erasures.note("export", counts, CLOCK.now_ms())
            return found

    found = run(gather())
    text = json.dumps(found, indent=2, ensure_ascii=False)
    if output is None:
        print(text)
    else:
        _write_private(output, text)
        print(f"wrote {output} (0600)", file=sys.stderr)
    if not (found["clicks"] or found["starts"]):
        print("no store that could be asked has anything of this person", file=sys.stderr)
    if found["incomplete"]:
        print(f"could not be asked: {', '.join(found['incomplete'])}. Run it again", file=sys.stderr)
        sys.exit(EXIT_STORE)


@privacy.command()
def erase(telegram_id: Person, as_json: Json = False) -> None:
    """Erase a person from every store, for good. Exits 3 while something is still to do: run it again then."""
    person = _person(telegram_id)

    async def work() -> ErasureReport:
        async with _hands() as hands:
            return await hands.erasure().erase(person)

    try:
        report = run(work())
    except StoreUnavailable as error:
        raise StoreUnavailable(f"{error}. Still to do: everything; run it again") from error
    shown = {
        "audit": report.erased.audit_id,
        "erased": {
            "clicks": report.erased.clicks,
            "starts": report.erased.starts,
            "conversions": report.erased.conversions,
            "waiting_starts": report.pending,
        },
        "still_to_do": _still_to_do(report),
        "scrubbed": report.scrubbed,
    }
    show(shown, as_json=as_json, text=_erase_text(report, settings()))
    if not report.finished:
        sys.exit(EXIT_STORE)


@privacy.command()
def doctor(as_json: Json = False) -> None:
    """How a real row is stored, which keys there are, what is due to be destroyed. Exits 1 when something is overdue."""

    async def look() -> dict[str, Any]:
        async with _hands() as hands:
            return await _stored(hands)

    found = run(look())
    show(found, as_json=as_json, text="\n".join(_doctor_text(found)))
    if found["overdue"]:
        sys.exit(EXIT_NO)


@privacy.command()
def incident(
    since: Annotated[
        str, typer.Option("--since", help="ISO 8601 in your time zone, or how far back: 24h, 7d.")
    ],
    until: Annotated[str, typer.Option("--until", help="ISO 8601 in your time zone; default: now.")] = "",
    as_json: Json = False,
) -> None:
    """What an incident notice needs (LGPD art. 48): people, clicks, categories, keys, period, deadline."""

    async def count() -> dict[str, Any]:
        async with _hands() as hands:
            begin, end = _moment(since, hands.zone), _moment(until, hands.zone)
            if begin >= end:
                raise ConfigError("--since must lie before --until")
            extent = await hands.subjects.extent(since_ms=begin, until_ms=end)
            found = _incident(hands, extent, begin, end)
            counts = {"people": extent.people, "clicks": extent.clicks}
            number = await hands.erasures.note(
                "incident", counts | {"since": found["since"], "until": found["until"]}, CLOCK.now_ms()
            )
            return {"audit": number} | found

    found = run(count())
    show(found, as_json=as_json, text="\n".join(_incident_text(found)))


@privacy.command()
def audit(
    since: Annotated[str, typer.Option("--since", help="ISO 8601 in your time zone, or 24h, 7d.")] = "365d",
    as_json: Json = False,
) -> None:
    """What was done with personal data: the audit, which is only added to and holds none."""
    given = settings()

    async def read() -> list[dict[str, Any]]:
        async with _hands() as hands:
            lines = await hands.erasures.audit(since_ms=_moment(since, hands.zone))
            return [
                {
                    "id": line.id,
                    "at": local_iso(line.at_ms, hands.zone),
                    "action": line.action,
                    "detail": line.detail,
                }
                for line in lines
            ]

    found = run(read())
    if as_json:
        show(found, as_json=True, text="")
        return
    rows = [[str(line["id"]), line["at"], line["action"], _pairs(line["detail"])] for line in found]
    empty = f"the audit has nothing since then ({given.timezone})"
    show_table(["no.", "at", "action", "detail"], rows, empty=empty)


def profile(
    telegram_id: Person,
    bot: Annotated[str | None, typer.Option("--bot", help="Only clicks of that bot; default: all.")] = None,
    as_json: Json = False,
) -> None:
    """A person's profile: location, device, behaviour, quality, first and last touch. Exits 1 when there is none."""
    person = _person(telegram_id)

    async def compute() -> dict[str, Any]:
        async with _hands() as hands:
            bot_id = await _bot_id(hands.given, bot) if bot else None
            found = await hands.subject().profile(person, bot_id)
            await hands.erasures.note("profile", {"clicks": found.clicks}, CLOCK.now_ms())
            return profile_json(found, hands.zone)

    found = run(compute())
    lines = [f"{name:13} {_pairs(value)}" for name, value in found.items() if isinstance(value, dict)]
    text = "\n".join([f"clicks        {found['clicks']}", *lines])
    show(found, as_json=as_json, text=text if found["clicks"] else "no click of this person is known")
    if not found["clicks"]:
        sys.exit(EXIT_NO)


@asynccontextmanager
async def _hands() -> AsyncIterator[_Hands]:
    given = settings()
    engine = make_engine(given.sql, patience=PATIENCE)
    redis = open_redis(given)
    try:
        yield _Hands(
            given=given,
            keyring=Keyring(given.secrets, CLOCK),
            erasures=SqlErasures(engine),
            subjects=SqlSubjects(engine),
            redis=redis,
            spools=local_spools(given),
        )
    finally:
        if redis is not None:
            await redis.close()
        await engine.dispose()


def _person(text: str) -> int:
    """The id; its text is not repeated in the error."""
    given = sys.stdin.readline().strip() if text == "-" else text
    if not (given.isascii() and given.isdigit() and 1 <= len(given) <= 16 and int(given) < 1 << 52):
        raise ConfigError(
            "--telegram-id must be a Telegram user's numeric id, or `-` with the id on standard input"
        )
    return int(given)


def _moment(text: str, zone: ZoneInfo) -> int:
    """UTC milliseconds of a local time, a duration back from now, or now for an empty text."""
    if not text:
        return CLOCK.now_ms()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return CLOCK.now_ms() - duration_ms(text)
    return int((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp() * 1000)


def _write_private(path: Path, text: str) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be made: {error.strerror}. Name a file that is not there yet"
        ) from None
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")


async def _bot_id(given: Settings, name: str) -> int:
    async with catalog_of(given) as catalog:
        found = (await catalog.load()).bot(name)
    if found is None:
        raise ConfigError("no such bot is registered. See: trilha bot-account list")
    return found.id


def _still_to_do(report: ErasureReport) -> dict[str, int]:
    """Clicks by store; a spool that could not be asked is there with 0 known, SQL with 1 while its files are to be scrubbed."""
    return report.left if report.spools_read else {"spool": 0} | report.left


def _erase_text(report: ErasureReport, given: Settings) -> str:
    erased = report.erased
    lines = [
        f"clicks         {erased.clicks}",
        f"starts         {erased.starts}",
        f"conversions    {erased.conversions}",
        f"waiting starts {report.pending}",
        f"audit          no. {erased.audit_id}, {local_time(report.at_ms, given)}",
    ]
    if report.nothing:
        lines = [
            "no store had anything of this person (any more); starts from before now are refused",
            lines[-1],
        ]
    for store, copies in _still_to_do(report).items():
        what = "its files are to be written anew" if store == "sql" else f"{copies} clicks"
        lines.append(f"STILL TO DO: {store}, {what}. Run it again, or leave it to `trilha work`")
        if store == "redis":
            lines.append(f"  (a copy in Redis ends by itself {given.click_ttl} s after its click)")
    if not report.scrubbed:
        lines.append("A spool's file or log is still to be written anew: `trilha work` does it")
    return "\n".join(lines)


async def _stored(hands: _Hands) -> dict[str, Any]:
    ring = hands.keyring.describe()
    periods: list[int] = list(hands.keyring.keys.periods)
    now, zone = CLOCK.now_ms(), hands.zone
    row = await hands.subjects.newest_row()
    sealed = await hands.subjects.sealed_periods()
    keys = period_keys(periods, sealed, sealed_days=hands.given.sealed_days)
    left, last = await hands.erasures.left(), await hands.erasures.last()
    overdue = [
        f"the key of {key.day} ({key.clicks} clicks)" for key in keys if key.exists and key.due_ms <= now
    ]
    if now - last > LATE_MS:
        overdue += [f"{count} copies of erased clicks in {store}" for store, count in left.items()]
    await hands.erasures.note("doctor", {"rows": int(row is not None)}, now)
    shown = cells(row, periods=periods, sealed_days=hands.given.sealed_days, zone=zone) if row else []
    return {
        "row": [asdict(cell) for cell in shown],
        "ring": ring,
        "keys": [_key_json(key, zone) for key in keys],
        "to_discard": left,
        "overdue": overdue,
    }


def _key_json(key: PeriodKey, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "day": key.day,
        "exists": key.exists,
        "due": local_iso(key.due_ms, zone),
        "sealed_clicks": key.clicks,
    }


def _doctor_text(found: dict[str, Any]) -> list[str]:
    lines = ["The newest click, as it is stored:"]
    lines += [f"  {c['column']:18} {c['kind']:12} {_or_dash(c['value'])}" for c in found["row"]]
    if not found["row"]:
        lines.append("  there is no click yet")
    lines += ["", "Day keys (UTC days):"]
    for key in found["keys"]:
        state = f"to be destroyed {key['due']}" if key["exists"] else "gone: what it sealed is unreadable"
        lines.append(f"  {key['day']}  {state}, {key['sealed_clicks']} sealed clicks")
    lines += ["", f"Copies of erased clicks still to be discarded: {_pairs(found['to_discard']) or 'none'}"]
    return lines + ([f"OVERDUE: {what}" for what in found["overdue"]] or ["Nothing is overdue."])


def _incident(hands: _Hands, extent: Extent, begin: int, end: int) -> dict[str, Any]:
    keys = period_keys(list(hands.keyring.keys.periods), extent.sealed, sealed_days=hands.given.sealed_days)
    affected = [key for key in keys if key.clicks]
    return {
        "since": local_iso(begin, hands.zone),
        "until": local_iso(end, hands.zone),
        "people": extent.people,
        "visitors": extent.visitors,
        "clicks": extent.clicks,
        "starts": extent.starts,
        "erased_before": extent.erased,
        "categories": categories(extent),
        "sealed": [_key_json(key, hands.zone) for key in affected],
        "measures": [
            "IP addresses and user agents are kept only sealed (AES-256-GCM), a key for each UTC day",
            f"day keys are to be destroyed {hands.given.sealed_days} days after their day; what they sealed is then unreadable",
            "visitors and Meta click ids are pseudonyms (HMAC-SHA-256); keys lie apart from the data",
            "erased people left no data behind, tombstones only",
        ],
        "notice_due_if_known_today": notice_due(CLOCK.now_ms(), hands.zone),
    }


def _incident_text(found: dict[str, Any]) -> list[str]:
    lines = [f"From {found['since']} to {found['until']} (audit no. {found['audit']})", ""]
    lines += [f"people    {found['people']:>9}   distinct Telegram ids"]
    lines += [f"visitors  {found['visitors']:>9}   distinct pseudonyms, each within one UTC day"]
    lines += [
        f"clicks    {found['clicks']:>9}   and {found['starts']} starts; {found['erased_before']} erased",
        "",
    ]
    lines += [f"{item['count']:>9}  {item['category']} ({item['form']})" for item in found["categories"]]
    lines += ["", "Sealed originals, by the day of their key:"]
    for key in found["sealed"]:
        state = "the key EXISTS" if key["exists"] else "the key is gone: unreadable"
        lines.append(f"  {key['day']}  {key['sealed_clicks']} clicks, {state}")
    if not found["sealed"]:
        lines.append("  none")
    lines += ["", "Measures in force:", *(f"  - {measure}" for measure in found["measures"])]
    return [
        *lines,
        "",
        f"Notice due, if it became known today: {found['notice_due_if_known_today']} (3 business days)",
    ]


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_or_dash(value)}" for name, value in values.items())


def _or_dash(value: Any) -> Any:
    return "-" if value is None else value
