"""trilha privacy export and erase, trilha profile: the rights of a data subject."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.common import (
    CLOCK,
    EXIT_FAILED,
    EXIT_STORE,
    Json,
    catalog_of,
    local_time,
    run,
    settings,
    show,
)
from cli.hands import hands_of, pairs
from cli.privacy_desk import COUNTED, erased_counts, export_noted, still_to_do
from daemon.erasure import ErasureReport
from domain.errors import ConfigError, StoreUnavailable
from domain.people import telegram_id_of
from runtime.settings import Settings

Person = Annotated[
    str,
    typer.Option(
        "--telegram-id",
        help="The person's numeric Telegram id; `-` reads it from standard input, out of the process list.",
    ),
]

_OF_A_BOT = ("bot", "first_started_at", "last_started_at", "blocked", "blocked_at")
_TOUCHES = ("first_touch", "last_touch")


def export(
    telegram_id: Person,
    output: Annotated[
        Path | None, typer.Option("--output", help="A new file, 0600; default: standard output.")
    ] = None,
) -> None:
    """Everything that any store has of a person, as JSON. Exits 3 when a store could not be asked."""
    person = _person(telegram_id)

    async def gather() -> dict[str, Any]:
        async with hands_of() as hands:
            return await export_noted(hands, person)

    found = run(gather())
    text = json.dumps(found, indent=2, ensure_ascii=False)
    if output is None:
        print(text)
    else:
        _write_private(output, text)
        print(f"wrote {output} (0600)", file=sys.stderr)
    if not any(found[name] for name in COUNTED):
        print("no store that could be asked has anything of this person", file=sys.stderr)
    if found["incomplete"]:
        print(f"could not be asked: {', '.join(found['incomplete'])}. Run it again", file=sys.stderr)
        sys.exit(EXIT_STORE)


def erase(telegram_id: Person, as_json: Json = False) -> None:
    """Erase a person from every store, for good. Exits 3 while something is still to do: run it again then."""
    person = _person(telegram_id)

    async def work() -> ErasureReport:
        async with hands_of() as hands:
            return await hands.erasure().erase(person)

    try:
        report = run(work())
    except StoreUnavailable as error:
        raise StoreUnavailable(f"{error}. Still to do: everything; run it again") from error
    shown = {
        "audit": report.erased.audit_id,
        "erased": erased_counts(report),
        "still_to_do": still_to_do(report),
        "scrubbed": report.scrubbed,
    }
    show(shown, as_json=as_json, text=_erase_text(report, settings()))
    if not report.finished:
        sys.exit(EXIT_STORE)


def profile(
    telegram_id: Person,
    bot: Annotated[str | None, typer.Option("--bot", help="Only clicks of that bot; default: all.")] = None,
    as_json: Json = False,
) -> None:
    """A person's profile: location, device, behaviour, quality, first and last touch. Exits 1 when there is none."""
    person = _person(telegram_id)

    async def compute() -> dict[str, Any]:
        async with hands_of() as hands:
            bot_id = await _bot_id(hands.given, bot) if bot else None
            found = await hands.subject().profile(person, bot_id)
            counts = {"clicks": found["clicks"], "bot_users": len(found["bot_users"])}
            await hands.erasures.note("profile", counts, CLOCK.now_ms())
            return found

    found = run(compute())
    show(found, as_json=as_json, text="\n".join(_profile_text(found)))
    if not found["clicks"]:
        sys.exit(EXIT_FAILED)


def _profile_text(found: dict[str, Any]) -> list[str]:
    lines = ["no click of this person is known"]
    if found["clicks"]:
        lines = [f"clicks        {found['clicks']}"]
        lines += [f"{name:13} {pairs(value)}" for name, value in found.items() if isinstance(value, dict)]
    for known in found["bot_users"]:
        lines.append(f"in a bot      {pairs({name: known[name] for name in _OF_A_BOT})}")
        lines += [f"  {name:11} {pairs(known[name])}" for name in _TOUCHES if known[name]]
    return lines


def _person(text: str) -> int:
    """The id; its text is not repeated in the error."""
    given = sys.stdin.readline().strip() if text == "-" else text
    person = telegram_id_of(given)
    if person is None:
        raise ConfigError(
            "--telegram-id must be a Telegram user's numeric id, or `-` with the id on standard input"
        )
    return person


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


def _erase_text(report: ErasureReport, given: Settings) -> str:
    erased = report.erased
    lines = [
        f"clicks         {erased.clicks}",
        f"starts         {erased.starts}",
        f"conversions    {erased.conversions}",
        f"people of bots {erased.bot_users}",
        f"waiting        {report.pending} starts, {report.conversions} conversions",
        f"audit          no. {erased.audit_id}, {local_time(report.at_ms, given)}",
    ]
    if report.nothing:
        lines = [
            "no store had anything of this person (any more); starts from before now are refused",
            lines[-1],
        ]
    for store, copies in still_to_do(report).items():
        what = "its files are to be written anew" if store == "sql" else f"{copies} clicks"
        lines.append(f"STILL TO DO: {store}, {what}. Run it again, or leave it to `trilha work`")
        if store == "redis":
            lines.append(f"  (a copy in Redis ends by itself {given.click_ttl} s after its click)")
    if not report.scrubbed:
        lines.append("A spool's file or log is still to be written anew: `trilha work` does it")
    return "\n".join(lines)
