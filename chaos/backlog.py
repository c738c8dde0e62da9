"""`python -m chaos.backlog CLICKS TOLD`: so many clicks into a spool of their own, as a daemon that has ended would have left.

They are made of the product's own parts, with the settings in the environment. In TOLD, the crowd's notebook, they are
written down like any others, as of before the drill, so that the checker looks for each of them in SQL.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from backends.codec import encode
from backends.spool import Spool
from chaos.crowd.clicks import AGENT
from chaos.crowd.plan import campaign, creative, fbclid
from chaos.crowd.told import Clicked, Notebook, Told
from domain.books import MINUTE_MS, BookEntry
from domain.click import Ad, Click, Visit
from domain.clock import SystemClock
from domain.ids import ClickIds, random_uuid
from privacy.keyring import Keyring
from privacy.pseudonymise import Pseudonymiser
from privacy.seal import Sealer
from privacy.token import Minter, ad_key
from runtime.settings import Settings, load_settings

FIRST = 10_000_000
AT_ONCE = 8  # clicks of one commit: what a daemon under load gathers
NODE = 0
ADDRESSES = 250


class Backlog:
    """Makes clicks, and keeps each with the token that its visitor was given."""

    def __init__(self, settings: Settings, link_id: int) -> None:
        self._clock = SystemClock()
        keyring = Keyring(settings.secrets, self._clock)
        self._link_id = link_id
        self._minter = Minter(keyring, self._clock, node=NODE, attribution_days=settings.attribution_days)
        self._pseudonymiser = Pseudonymiser(keyring, Sealer(keyring))
        self._ids = ClickIds()
        self._boot = random_uuid().hex[:12]
        folder = settings.spools / f"daemon-{self._boot}.1"
        self._spool = Spool(
            folder, quota=int(settings.spool_quota), synced=False, node=NODE, boot=f"{self._boot}.1"
        )

    def keep(self, numbers: Iterable[int]) -> list[tuple[int, str]]:
        """Clicks of those numbers, in one commit; each with its token."""
        made = [(number, *self._made(number)) for number in numbers]
        self._spool.append([(click, encode(click)) for _, click, _ in made])
        return [(number, token) for number, _, token in made]

    def close(self, minutes: dict[int, int]) -> None:
        """Write the books (clicks by minute), and leave the spool to whoever settles."""
        for minute, count in minutes.items():
            entry = BookEntry(node=NODE, boot=self._boot, minute=minute, issued=count, written=count)
            self._spool.append([(entry, encode(entry))])
        self._spool.close()

    @property
    def minute(self) -> int:
        """Of the clicks that are made now."""
        return self._clock.now_ms() // MINUTE_MS

    def _made(self, number: int) -> tuple[Click, str]:
        visit = visit_of(number, self._clock.now_ms())
        key = ad_key(visit.ad)
        click_id = self._ids.new(visit.at_ms)
        token = self._minter.mint(click_id, self._link_id, key)
        click = self._pseudonymiser.click(
            visit, click_id=click_id, link_id=self._link_id, node=NODE, ad_key=key
        )
        return click, token.text


def visit_of(number: int, at_ms: int) -> Visit:
    """As the crowd's visitor of that number comes (chaos/crowd/clicks.py)."""
    params = {
        "utm_source": "FB",
        "utm_medium": "cpc",
        "utm_campaign": campaign(number),
        "utm_content": creative(number),
    }
    return Visit(
        method="GET",
        at_ms=at_ms,
        ip=f"203.0.113.{number % ADDRESSES}",
        user_agent=AGENT,
        fbclid=fbclid(number),
        fbc_cookie="",
        fbp_cookie="",
        referer="",
        language="pt-BR",
        prefetch="",
        params=params,
        ad=Ad.of(params),
    )


def main() -> None:
    """From the command line."""
    count, path = int(sys.argv[1]), Path(sys.argv[2])
    settings = load_settings()
    backlog, notebook, minutes = Backlog(settings, _link_of(settings, path)), Notebook(path), dict[int, int]()
    for first in range(FIRST, FIRST + count, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, FIRST + count))
        for number, token in backlog.keep(numbers):
            notebook.clicked(Clicked(number=number, at=0.0, ms=0.0, late_ms=0.0, status=302, token=token))
        minutes[backlog.minute] = minutes.get(backlog.minute, 0) + len(numbers)
    backlog.close(minutes)
    notebook.close()


def _link_of(settings: Settings, told: Path) -> int:
    """The link that the crowd clicks on, as its own tokens say."""
    clock = SystemClock()
    minter = Minter(
        Keyring(settings.secrets, clock), clock, node=NODE, attribution_days=settings.attribution_days
    )
    token = next(click.token for click in Told.read(told).clicks if click.redirected)
    return minter.verify(token).link_id


if __name__ == "__main__":
    main()
