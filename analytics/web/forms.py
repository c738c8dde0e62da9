"""Forms: what was posted, and whether a page of ours posted it."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

MOST_FIELDS = 500
Fields = Mapping[str, tuple[str, ...]]


class BadForm(Exception):
    """Not a form of ours, or not one that can be read."""


async def read_fields(request: Request) -> Fields:
    """The fields of a URL-encoded form, each with its values in order. BadForm for anything else."""
    if (
        request.headers.get("content-type", "").partition(";")[0].strip()
        != "application/x-www-form-urlencoded"
    ):
        raise BadForm
    try:
        pairs = parse_qsl(
            (await request.body()).decode(),
            keep_blank_values=True,
            max_num_fields=MOST_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise BadForm from None
    found: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        found[name] = (*found.get(name, ()), value)
    return found


def last(fields: Fields, name: str) -> str:
    """The last value of that name; empty without one."""
    return fields.get(name, ("",))[-1]


def from_our_page(request: Request) -> bool:
    """False when the browser says that another site posted it.

    `Origin: null` says nothing: browsers send it from our own pages too, as these have no referrer.
    """
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = request.headers.get("origin", "null")
    return origin == "null" or urlsplit(origin).netloc == request.headers.get("host")


def path_of_ours(text: str, default: str = "/") -> str:
    """Where to go on to: a path of this dashboard, never an address that a browser takes for another site's."""
    plain = text.isprintable() and "\\" not in text and text.startswith("/") and not text.startswith("//")
    return text if plain and len(text) <= 2000 else default
