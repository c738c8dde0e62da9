"""A pixel, and a sender of events that knows its token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest_asyncio

from tests.meta import FakeMeta
from tests.meta.events import PIXEL, TOKEN, good_event


class Sender:
    """Calls Meta as the product would, and as it should not."""

    def __init__(self, url: str, client: httpx2.AsyncClient) -> None:
        self.url = url
        self.client = client

    async def send(
        self,
        *events: Any,
        pixel: str = PIXEL,
        token: str | None = TOKEN,
        version: str = "v26.0",
        query: str = "",
        **body: Any,
    ) -> httpx2.Response:
        """A batch of these events, or of one good event."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        data = list(events) or [good_event()]
        url = f"{self.url}/{version}/{pixel}/events{query}"
        return await self.client.post(url, json={"data": data, **body}, headers=headers)


@pytest_asyncio.fixture
async def sender(meta: FakeMeta) -> AsyncIterator[Sender]:
    """Somebody with the token of the only pixel there is."""
    meta.add_pixel(PIXEL, TOKEN)
    async with httpx2.AsyncClient(timeout=5, verify=False) as client:
        yield Sender(meta.url, client)
