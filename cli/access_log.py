"""trilha privacy access-log: what the access log of Marco Civil holds."""

import json
import sys
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from cli.common import CLOCK, Json, local_time, settings
from domain.clock import iso
from domain.errors import ConfigError
from privacy.access_log import Access, AccessLog
from runtime.settings import Settings


def access_log(
    since: Annotated[str, typer.Option("--since", help="From then on: 2026-11-27 or 2026-11-27T14:30.")],
    until: Annotated[str, typer.Option("--until", help="Before then, written likewise.")],
    as_json: Json = False,
) -> None:
    """The accesses of that time: when, and from which address. Times without a zone are in TRILHA_TIMEZONE.

    They are secret: hand them out on a court's order only (Lei 12.965/2014, art. 15, par. 3).
    """
    given = settings()
    log = AccessLog(given.access_log_dir, given.access_log_keys, CLOCK)
    number = 0
    for access in log.read(_at_ms("--since", since, given), _at_ms("--until", until, given)):
        print(_line(access, given, as_json=as_json))
        number += 1
    if not number and not as_json:
        print(_nothing(given), file=sys.stderr)


def _line(access: Access, given: Settings, *, as_json: bool) -> str:
    if as_json:
        return json.dumps({"at": iso(access.at_ms), "ip": access.ip, "click": str(access.click_id)})
    return f"{local_time(access.at_ms, given)}  {access.ip:39}  {access.click_id}"


def _nothing(given: Settings) -> str:
    if not given.access_log:
        return "No access of that time is kept. The access log is off: TRILHA_ACCESS_LOG"
    return "No access of that time is kept."


def _at_ms(option: str, text: str, given: Settings) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option}: write a time as 2026-11-27 or 2026-11-27T14:30") from None
    zoned = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(given.timezone))
    return int(zoned.timestamp() * 1000)
