"""A row of another tracker becomes a click and a start of ours. The raw address ends here, as that of a visit does."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Literal

from msgspec.structs import replace

from backends.sql.import_source import SourceRow
from daemon.client_ip import canonical, parse_address
from domain.ad_url import is_ad_param
from domain.attribution import ClickRef, Owner, Start
from domain.books import IMPORTED_NODE
from domain.click import Ad, Click, Visit
from domain.ids import uuid7_of
from privacy.mac import Mac
from privacy.pseudonymise import Pseudonymiser
from privacy.seal import Original
from privacy.token import ad_key

SKEW_MS = 3_600_000
MOST_PEOPLE = 1 << 52  # Telegram's ids have 52 bits at most
Refusal = Literal[
    "no time that can be read",
    "in the future",
    "older than TRILHA_CLICK_DAYS",
    "not a person's Telegram id",
    "no bot of this Trilha",
    "SQL refused it",
]
TOO_OLD: Refusal = "older than TRILHA_CLICK_DAYS"
Note = Literal["no address that can be read", "started before the click"]
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]*)?(e\+?[0-9]{1,2})?", re.IGNORECASE)
_WHOLE = re.compile(r"-?[0-9]{1,20}(\.0*)?")
# Numbers below are seconds, then milliseconds, microseconds, nanoseconds.
_UNITS = ((10**11, 1000.0), (10**14, 1.0), (10**17, 1e-3), (10**20, 1e-6))
_NOTHING = frozenset({"null", "none", "undefined", "nan"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a row becomes. `original` is for enriching only, and lives in memory. `notes`: what of the row was not taken."""

    click: Click
    start: Start | None
    original: Original
    notes: tuple[Note, ...]


class History:
    """Reads rows. Raises nothing over what is in them: a row that cannot be taken is a Refusal.

    `source` and `table` say whose rows these are; with a row's id and the key of `mac` they give the click's id. `bots`: ids by
    lower-case username; `bot` is that of all rows, None: each names its own. Times are milliseconds.
    """

    def __init__(
        self,
        *,
        pseudonymiser: Pseudonymiser,
        mac: Mac,
        source: str,
        table: str,
        link_id: int,
        bots: Mapping[str, int],
        bot: int | None,
        zone: tzinfo,
        now_ms: int,
        click_ms: int,
        sealed_ms: int,
    ) -> None:
        self._pseudonymiser = pseudonymiser
        self._mac = mac
        self._of = f"{len(source)}:{source}{len(table)}:{table}"
        self._link_id = link_id
        self._bots = bots
        self._bot = bot
        self._zone = zone
        self._now_ms = now_ms
        self._oldest_ms = now_ms - click_ms
        self._sealed_ms = now_ms - sealed_ms

    def of(self, row: SourceRow) -> Past | Refusal:
        """The click of that row, and the start where it names a person."""
        cells = {field: _clean(value) for field, value in row.cells.items()}
        created_ms = time_ms(cells.get("created_at", ""), self._zone)
        at_ms = time_ms(cells.get("clicked_at", ""), self._zone) or created_ms
        if at_ms is None:
            return "no time that can be read"
        if at_ms > self._now_ms + SKEW_MS:
            return "in the future"
        if at_ms < self._oldest_ms:
            return TOO_OLD
        person = person_id(cells.get("telegram_id", ""))
        if person is not None and not 0 < person < MOST_PEOPLE:
            return "not a person's Telegram id"
        bot = self._bot if self._bot is not None else self._bots.get(_username(cells.get("bot", "")))
        if person is not None and bot is None:
            return "no bot of this Trilha"
        owner = Owner(bot_id=bot, telegram_id=person) if person is not None and bot is not None else None
        return self._past(row, cells, at_ms, created_ms, owner)

    def _past(
        self,
        row: SourceRow,
        cells: Mapping[str, str],
        at_ms: int,
        created_ms: int | None,
        owner: Owner | None,
    ) -> Past:
        visit, notes = _visit(cells, at_ms)
        key = ad_key(visit.ad)
        click = self._pseudonymiser.click(
            visit,
            click_id=uuid7_of(at_ms, self._mac.of(f"{self._of}{row.key}".encode())),
            link_id=self._link_id,
            node=IMPORTED_NODE,
            ad_key=key,
        )
        if at_ms < self._sealed_ms or not visit.user_agent:
            # Too old to be kept at all; or of no use, as Meta takes no event without a user agent.
            click = replace(click, sealed=None)
        start = None
        if owner is not None:
            if created_ms is not None and created_ms < at_ms:
                notes = (*notes, "started before the click")
            reference = ClickRef(id=click.id, link_id=click.link_id, node=click.node, ad_key=key)
            started_ms = max(at_ms, min(created_ms or at_ms, self._now_ms))
            start = Start.with_token(owner, reference, at_ms=started_ms, update_id=None)
        original = Original(ip=visit.ip or "", user_agent=visit.user_agent)
        return Past(click=click, start=start, original=original, notes=notes)


def time_ms(text: str, zone: tzinfo) -> int | None:
    """UTC milliseconds of an ISO time, or of seconds, milliseconds, micro- or nanoseconds since the epoch; None: neither.

    A time without a zone is one of `zone`.
    """
    try:
        if _NUMBER.fullmatch(text):
            number = float(text)
            unit = next((factor for bound, factor in _UNITS if abs(number) < bound), None)
            found = None if unit is None or number <= 0 else int(number * unit)
        else:
            at = datetime.fromisoformat(text)
            at = at if at.tzinfo else at.replace(tzinfo=zone)
            found = round(at.astimezone(UTC).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return found if found is not None and 0 <= found < 1 << 48 else None


def person_id(text: str) -> int | None:
    """The number in a cell; None: nobody is named; 0: somebody is, and it is no number."""
    if not text or text == "0":
        return None
    return int(text.partition(".")[0]) if _WHOLE.fullmatch(text) else 0


def _visit(cells: Mapping[str, str], at_ms: int) -> tuple[Visit, tuple[Note, ...]]:
    given = cells.get("ip", "")
    address = _address(given)
    params = {field: value for field, value in cells.items() if value and is_ad_param(field)}
    visit = Visit(
        method="GET",
        at_ms=at_ms,
        ip=address,
        user_agent=cells.get("user_agent", ""),
        fbclid=cells.get("fbclid", ""),
        fbc_cookie=cells.get("fbc", ""),
        fbp_cookie=cells.get("fbp", ""),
        referer="",
        language="",
        prefetch="",
        params=params,
        ad=Ad.of(params),
    )
    return visit, ("no address that can be read",) if given and address is None else ()


def _address(text: str) -> str | None:
    """The first address of a cell: proxies make lists of them, PostgreSQL writes the size of a network behind."""
    first = text.partition(",")[0].strip().removesuffix("/32").removesuffix("/128")
    found = parse_address(first) if first else None
    return None if found is None else canonical(found)


def _clean(value: str | None) -> str:
    """A cell without what no store takes (NUL, halves of surrogates); the words for nothing are nothing."""
    text = (value or "").strip().replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return "" if text.lower() in _NOTHING else text


def _username(text: str) -> str:
    return text.removeprefix("@").lower()
