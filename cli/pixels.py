"""trilha pixel: Meta's datasets, and the tokens that they are sent to with. No token is ever an argument."""

import sys
from typing import Annotated, Any

import typer

from cli.common import CLOCK, Json, local_time, read_secret, run, settings, show, show_table
from cli.pixel_facts import NONE_YET, PixelFacts, PixelId, all_pixels, pixel_of, pixels_of
from cli.pixel_status import status
from cli.pixel_trial import try_pixel
from domain.clock import iso
from domain.errors import ConfigError
from domain.links import valid_pixel
from domain.pixels import SealedCredentials
from privacy.keyring import Keyring
from privacy.pixel_tokens import Credentials, PixelTokens, valid_access_token, valid_app_secret
from runtime.settings import Settings

pixels = typer.Typer(help="The Meta datasets (pixels) that conversions go to.", no_args_is_help=True)
TokenFile = Annotated[
    str | None,
    typer.Option("--token-file", help="File with the access token, 0600; '-' reads it from standard input."),
]
AppSecretFile = Annotated[
    str | None,
    typer.Option(
        "--app-secret-file",
        help="File with the secret of the token's app, 0600, where the app demands proof.",
    ),
]


@pixels.command("add")
def add_pixel(
    pixel: PixelId, token_file: TokenFile = None, app_secret_file: AppSecretFile = None, as_json: Json = False
) -> None:
    """Register a pixel, with the access token that Meta's Events Manager makes for it."""
    given = settings()
    sealed = _sealed(given, pixel, token_file, app_secret_file)

    async def add() -> tuple[PixelFacts, bool]:
        async with pixels_of(given) as room:
            if sealed is None:
                await room.pixels.add(pixel, at_ms=CLOCK.now_ms())
                return await pixel_of(room, given, pixel), False
            released = await room.pixels.put(pixel, sealed, at_ms=CLOCK.now_ms())
            return await pixel_of(room, given, pixel), released

    found, released = run(add())
    _show(found, as_json=as_json, done="is registered", released=released)


@pixels.command("token")
def put_token(
    pixel: PixelId,
    token_file: TokenFile = None,
    app_secret_file: AppSecretFile = None,
    forget: Annotated[bool, typer.Option("--forget", help="Take token and app secret out of SQL.")] = False,
    as_json: Json = False,
) -> None:
    """Give a pixel another token, or forget the one it has. What its lane was held for is tried again."""
    if forget is (token_file is not None):
        raise ConfigError("give either --token-file FILE (or --token-file -) or --forget")
    given = settings()
    sealed = _sealed(given, pixel, token_file, app_secret_file)

    async def put() -> tuple[PixelFacts, bool]:
        async with pixels_of(given) as room:
            await pixel_of(room, given, pixel)
            if sealed is None:
                await room.pixels.forget_token(pixel)
                return await pixel_of(room, given, pixel), False
            released = await room.pixels.put(pixel, sealed, at_ms=CLOCK.now_ms())
            return await pixel_of(room, given, pixel), released

    found, released = run(put())
    done = "has no token any more" if sealed is None else "has a new token"
    _show(found, as_json=as_json, done=done, released=released)


@pixels.command("forget")
def forget_pixel(pixel: PixelId, as_json: Json = False) -> None:
    """Take a pixel that no link uses out of SQL, with its token. What still waits for it is skipped."""
    given = settings()

    async def forget() -> PixelFacts:
        async with pixels_of(given) as room:
            found = await pixel_of(room, given, pixel)
            await room.pixels.remove(pixel)
            return found

    found = run(forget())
    text = f"pixel {pixel} is forgotten"
    if found.lane.pending:
        text += f"; {found.lane.pending} conversions that waited for it will be skipped"
    show({"pixel": pixel, "skipped": found.lane.pending}, as_json=as_json, text=text)


@pixels.command("list")
def list_pixels(as_json: Json = False) -> None:
    """All registered pixels: whether they have a token, who uses them, and how their lanes are."""
    given = settings()

    async def load() -> list[PixelFacts]:
        async with pixels_of(given) as room:
            return await all_pixels(room, given)

    found = run(load())
    if as_json:
        show([_json(item) for item in found], as_json=True, text="")
        return
    show_table(
        ["pixel", "token", "state", "waiting", "last accepted", "links"],
        [_row(item, given) for item in found],
        empty=NONE_YET,
    )


pixels.command("status")(status)
pixels.command("test")(try_pixel)


def _sealed(
    given: Settings, pixel: str, token_file: str | None, app_secret_file: str | None
) -> SealedCredentials | None:
    """What was given, sealed; None for nothing. All that may be wrong with it is wrong before SQL is asked."""
    valid_pixel(pixel)
    if token_file is None:
        if app_secret_file is not None:
            raise ConfigError("an app secret proves a token: give --token-file too")
        return None
    if {token_file, app_secret_file} == {"-"}:
        raise ConfigError("one of the two secrets has to be in a file: standard input is read once")
    token = valid_access_token(read_secret(token_file, "access token"))
    secret = None
    if app_secret_file is not None:
        secret = valid_app_secret(read_secret(app_secret_file, "app secret"))
    return PixelTokens(Keyring(given.secrets, CLOCK)).seal(pixel, Credentials(token=token, app_secret=secret))


def _row(found: PixelFacts, given: Settings) -> list[str]:
    lane = found.lane
    return [
        found.id,
        found.state,
        "held" if lane.held_at_ms is not None else "open",
        str(lane.pending),
        local_time(lane.sent_at_ms, given),
        ", ".join(found.pixel.links) or "-",
    ]


def _json(found: PixelFacts) -> dict[str, Any]:
    lane = found.lane
    return {
        "id": found.id,
        "token": found.state,
        "app_secret": found.pixel.sealed.app_secret is not None,
        "links": list(found.pixel.links),
        "held_at": None if lane.held_at_ms is None else iso(lane.held_at_ms),
        "pending": lane.pending,
        "sent_at": None if lane.sent_at_ms is None else iso(lane.sent_at_ms),
    }


def _show(found: PixelFacts, *, as_json: bool, done: str, released: bool) -> None:
    lines = {"token": found.state, "links": ", ".join(found.pixel.links) or "-"}
    text = "\n".join([f"pixel {found.id} {done}", *(f"  {name:<6} {value}" for name, value in lines.items())])
    if released:
        text += "\nIts lane was held and is released: what waits is sent now."
    show(_json(found) | {"released": released}, as_json=as_json, text=text)
    if found.state == "none":
        print(
            f"note: nothing is sent without a token: trilha pixel token {found.id} --token-file -",
            file=sys.stderr,
        )
