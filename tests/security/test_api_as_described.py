"""The private API against what its OpenAPI document allows, and against what it does not: schemathesis asks a real daemon."""

from __future__ import annotations

from collections.abc import Iterator

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
from tests.daemon_fixture import Site, running_beside

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
    with running_beside(Site(tmp_path_factory.mktemp("described"))) as door:
        yield door.site


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_asked_is_answered_as_described(case: schemathesis.Case, daemon: Site) -> None:
    case.call_and_validate(
        base_url=f"http://{daemon.settings.private_bind}",
        headers={"Authorization": f"Bearer {daemon.key}"},
        checks=CHECKS,
    )
