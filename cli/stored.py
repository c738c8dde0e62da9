"""trilha privacy doctor, incident, audit: what is stored, and what an operator must be able to tell."""

import sys
from dataclasses import asdict
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from backends.sql.subject import Extent
from cli.common import (
    CLOCK,
    EXIT_FAILED,
    Json,
    run,
    settings,
    show,
    show_table,
)
from cli.hands import Hands, hands_of, moment, or_dash, pairs
from daemon.stored import PeriodKey, categories, cells, notice_due, period_keys
from daemon.subject import local_iso
from domain.errors import ConfigError
from domain.users import names_beside

LATE_MS = 86_400_000


def doctor(as_json: Json = False) -> None:
    """How a real row is stored, which keys there are, what is due to be destroyed. Exits 1 when something is overdue."""

    async def look() -> dict[str, Any]:
        async with hands_of() as hands:
            return await _stored(hands)

    found = run(look())
    show(found, as_json=as_json, text="\n".join(_doctor_text(found)))
    if found["overdue"]:
        sys.exit(EXIT_FAILED)


def incident(
    since: Annotated[
        str, typer.Option("--since", help="ISO 8601 in your time zone, or how far back: 24h, 7d.")
    ],
    until: Annotated[str, typer.Option("--until", help="ISO 8601 in your time zone; default: now.")] = "",
    as_json: Json = False,
) -> None:
    """What an incident notice needs (LGPD art. 48): people, clicks, categories, keys, period, deadline."""

    async def count() -> dict[str, Any]:
        async with hands_of() as hands:
            begin, end = moment(since, hands.zone), moment(until, hands.zone)
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


def audit(
    since: Annotated[str, typer.Option("--since", help="ISO 8601 in your time zone, or 24h, 7d.")] = "365d",
    as_json: Json = False,
) -> None:
    """What was done with personal data: the audit, which is only added to and holds none."""
    given = settings()

    async def read() -> list[dict[str, Any]]:
        async with hands_of() as hands:
            lines = await hands.erasures.audit(since_ms=moment(since, hands.zone))
            names = await hands.users.names()
            return [
                {
                    "id": line.id,
                    "at": local_iso(line.at_ms, hands.zone),
                    "action": line.action,
                    "detail": line.detail,
                    "names": names_beside(line.detail, names),
                }
                for line in lines
            ]

    found = run(read())
    if as_json:
        show(found, as_json=True, text="")
        return
    rows = [[str(line["id"]), line["at"], line["action"], _detail(line)] for line in found]
    empty = f"the audit has nothing since then ({given.timezone})"
    show_table(["no.", "at", "action", "detail"], rows, empty=empty)


def _detail(line: dict[str, Any]) -> str:
    beside = {key: f"{line['detail'][key]} ({name})" for key, name in line["names"].items()}
    return pairs(line["detail"] | beside)


async def _stored(hands: Hands) -> dict[str, Any]:
    ring = hands.keyring.describe()
    periods: list[int] = hands.keyring.periods()
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
    lines += [f"  {c['column']:18} {c['kind']:12} {or_dash(c['value'])}" for c in found["row"]]
    if not found["row"]:
        lines.append("  there is no click yet")
    lines += ["", "Day keys (UTC days):"]
    for key in found["keys"]:
        state = f"to be destroyed {key['due']}" if key["exists"] else "gone: what it sealed is unreadable"
        lines.append(f"  {key['day']}  {state}, {key['sealed_clicks']} sealed clicks")
    lines += ["", f"Copies of erased clicks still to be discarded: {pairs(found['to_discard']) or 'none'}"]
    return lines + ([f"OVERDUE: {what}" for what in found["overdue"]] or ["Nothing is overdue."])


def _incident(hands: Hands, extent: Extent, begin: int, end: int) -> dict[str, Any]:
    keys = period_keys(hands.keyring.periods(), extent.sealed, sealed_days=hands.given.sealed_days)
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
