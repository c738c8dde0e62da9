"""The dashboard's page of explanations, over the same stores as `trilha explain`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from analytics.explain.build import make_gathering
from analytics.explain.facts import Facts
from analytics.explain.gather import Gathering
from cli.clicks import catalog_in
from cli.common import CLOCK, beside_up, stores_of
from daemon.explain import valid_order
from privacy.keyring import Keyring
from runtime.settings import Settings


class ExplainDesk:
    """Fulfils analytics/web/explains.py. Stores are opened for each question: one is asked now and then, by hand."""

    def __init__(self, given: Settings, keyring: Keyring) -> None:
        self._given = given
        self._keyring = keyring

    async def token(self, token: str) -> Facts:
        async with self._gathering() as gathering:
            return await gathering.token(token)

    async def person(self, telegram_id: int) -> Facts:
        async with self._gathering() as gathering:
            return await gathering.person(telegram_id)

    async def order(self, order_id: str) -> Facts:
        wanted = valid_order(order_id)
        async with self._gathering() as gathering:
            return await gathering.order(wanted)

    @asynccontextmanager
    async def _gathering(self) -> AsyncIterator[Gathering]:
        given = beside_up(self._given)
        async with stores_of(given) as stores:
            names = await catalog_in(stores, given)
            yield make_gathering(given, stores, keyring=self._keyring, names=names, clock=CLOCK)
