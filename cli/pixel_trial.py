"""trilha pixel test: one real event, to see what Meta says."""

import re
import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from cli.common import CLOCK, EXIT_FAILED, Json, run, settings, show
from cli.pixel_advice import of_refusal
from cli.pixel_facts import PixelId, pixel_of, pixels_of
from delivery.destination import Accepted, Answer
from delivery.meta.client import MetaClient
from delivery.meta.trial import event_for_test
from domain.conversions import meta_lane
from domain.errors import ConfigError
from domain.ids import random_uuid
from runtime.settings import Settings

_CODE = re.compile(r"[A-Za-z0-9_-]{1,50}")


@dataclass(frozen=True, slots=True)
class Tried:
    """What Meta said, and whether that released the pixel's lane."""

    answer: Answer
    released: bool


def try_pixel(
    pixel: PixelId,
    code: Annotated[
        str,
        typer.Option("--code", help="The code that Events Manager shows under Test events, such as TEST123."),
    ],
    as_json: Json = False,
) -> None:
    """Send one test event, and say what Meta answers. Its success releases the pixel's lane. Exits 1 when it is refused."""
    given = settings()
    if given.profile == "production":
        raise ConfigError(
            "Meta uses test events for targeting and measurement like any other, so none is sent in production. "
            f"To send one all the same: TRILHA_PROFILE=development trilha pixel test {pixel} --code {_valid(code)}"
        )
    tried = run(_try(given, pixel, _valid(code)))
    _show(tried, pixel, as_json=as_json)
    if not isinstance(tried.answer, Accepted):
        sys.exit(EXIT_FAILED)


async def _try(given: Settings, pixel: str, code: str) -> Tried:
    async with pixels_of(given) as room:
        found = await pixel_of(room, given, pixel)
        if found.credentials is None:
            word = "does not open with this key ring" if found.state == "unreadable" else "is missing"
            raise ConfigError(f"the token of pixel {pixel} {word}: trilha pixel token {pixel} --token-file -")
        event = event_for_test(random_uuid(), given.base_url, CLOCK.now_ms())
        meta = MetaClient(given.meta_url)
        try:
            answer = await meta.events(pixel, found.credentials, [event], test_code=code)
        finally:
            await meta.close()
        released = isinstance(answer, Accepted) and found.lane.held_at_ms is not None
        if released:
            await room.outbox.release(meta_lane(pixel))
        return Tried(answer, released)


def _show(tried: Tried, pixel: str, *, as_json: bool) -> None:
    answer = tried.answer
    found = {"pixel": pixel, "accepted": isinstance(answer, Accepted), "fbtrace_id": answer.trace}
    found |= {"warning": answer.warning, "released": tried.released}
    if isinstance(answer, Accepted):
        found |= {"events_received": 1}
        lines = ["Meta has received 1 event; Events Manager shows it under Test events"]
    else:
        mend = of_refusal(pixel, answer)
        found |= {"kind": answer.kind, "code": answer.code, "reason": answer.reason, "mend": mend}
        lines = [f"Meta refuses it ({answer.code}): {answer.reason}", f"mend: {mend}"]
    if answer.trace:
        lines.append(f"fbtrace_id: {answer.trace}")
    if answer.warning:
        lines.append(f"Meta warns: {answer.warning}")
    if tried.released:
        lines.append("The lane was held and is released: what waits is sent now.")
    show(found, as_json=as_json, text="\n".join(lines))


def _valid(code: str) -> str:
    if not _CODE.fullmatch(code):
        raise ConfigError("not a test code: Events Manager shows it under Test events, such as TEST12345")
    return code
