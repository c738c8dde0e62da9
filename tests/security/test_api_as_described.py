"""The private API against what its OpenAPI document allows, and against what it does not: schemathesis asks a real daemon."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from daemon.openapi import describe
from tests.daemon_fixture import Door, Site

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]
EXAMPLES = 40
schema = schemathesis.openapi.from_dict(describe())


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A daemon on a loop of its own."""
    site = Site(tmp_path_factory.mktemp("described"))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running = site.running()

    async def begin() -> Door:
        await site.prepare()
        return await running.__aenter__()

    with ExitStack() as stack:
        stack.callback(thread.join)
        stack.callback(lambda: loop.call_soon_threadsafe(loop.stop))
        asyncio.run_coroutine_threadsafe(begin(), loop).result()
        stack.callback(
            lambda: asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result()
        )
        yield site
    loop.close()


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_asked_is_answered_as_described(case: schemathesis.Case, daemon: Site) -> None:
    case.call_and_validate(
        base_url=f"http://{daemon.settings.private_bind}",
        headers={"Authorization": f"Bearer {daemon.key}"},
        checks=CHECKS,
    )
