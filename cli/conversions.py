"""trilha conversion: report one by hand, through the code of the API."""

import sys
from typing import Annotated, Any
from uuid import UUID

import msgspec
import typer

from cli.clicks import catalog_in, minter_of, read_token
from cli.common import CLOCK, LARGEST_SECRET, Json, run, settings, show, stores_of
from daemon.conversions import conversion_json
from delivery.report import PERSON_FIELDS, Report, ReportAnswer, ReportRequest
from domain.errors import ConfigError
from domain.observations import Silent
from privacy.keyring import Keyring
from runtime.settings import Settings


def conversion(
    event: Annotated[str, typer.Argument(help="Purchase, Lead or a name of your own.")],
    bot: Annotated[str, typer.Option("--bot", help="Username of the bot that it happened in.")],
    telegram_id: Annotated[
        int | None, typer.Option("--telegram-id", help="The person's numeric Telegram id.", min=1)
    ] = None,
    token: Annotated[
        str | None,
        typer.Option("--token", help="Instead: the token of the click; `-` reads it from standard input."),
    ] = None,
    click_id: Annotated[UUID | None, typer.Option("--click-id", help="Instead: the id of the click.")] = None,
    order_id: Annotated[
        str | None,
        typer.Option("--order-id", help="Your own key; the same order again is the same conversion."),
    ] = None,
    value: Annotated[str | None, typer.Option("--value", help="An amount such as 97.00.")] = None,
    currency: Annotated[str | None, typer.Option("--currency", help="Of the amount, such as BRL.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="When, in ISO 8601 with an offset; default: now.")
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(
            "--person", help="`-` reads a JSON object (email, phone, first_name …) from standard input."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Report a conversion. What is told of the person is never an argument: other users of the machine see those."""
    given = settings()
    if person is not None and token == "-":  # noqa: S105  the name of standard input
        raise ConfigError("only one of --token and --person can be read from standard input")
    request = ReportRequest(
        bot=bot,
        event=event,
        token=read_token(token) if token is not None else None,
        telegram_id=telegram_id,
        click_id=click_id,
        order_id=order_id,
        value=value,
        currency=currency,
        at=at,
        person=_person(person),
    )
    answer = run(_reported(given, request))
    shown = conversion_json(answer)
    show(shown, as_json=as_json, text="\n".join(f"{name:9} {_told(found)}" for name, found in shown.items()))


async def _reported(given: Settings, request: ReportRequest) -> ReportAnswer:
    async with stores_of(given) as stores:
        report = Report(
            minter=minter_of(given),
            external_id=Keyring(given.secrets, CLOCK).external_id,
            names=await catalog_in(stores, given),
            unsettled=stores.chain,
            ledger=stores.ledger,
            spool=stores.disk,
            phone_country=given.phone_country,
            clock=CLOCK,
            observer=Silent(),
        )
        return await report.report(request)


def _person(source: str | None) -> dict[str, str]:
    """A JSON object of texts. Its mistakes are told without its values."""
    if source is None:
        return {}
    if source != "-":
        raise ConfigError("--person takes - only: what is told of a person is read from standard input")
    try:
        found = msgspec.json.decode(sys.stdin.buffer.read(LARGEST_SECRET), type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ConfigError("--person -: standard input is not a JSON object of texts") from None
    if unknown := found.keys() - set(PERSON_FIELDS):
        raise ConfigError(f"--person -: {len(unknown)} unknown fields. Known: {', '.join(PERSON_FIELDS)}")
    return found


def _told(found: Any) -> str:
    if isinstance(found, bool):
        return "yes" if found else "no"
    if isinstance(found, list):
        return ", ".join(found) or "-"
    return "-" if found is None else str(found)
