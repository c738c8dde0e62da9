"""What is counted is what its name says."""

from __future__ import annotations

import pytest

from runtime.metrics import Metrics


def opened(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("trilha_breaker_opened_total", {"tier": "redis"})


@pytest.mark.parametrize("failed_probes", [0, 1, 5])
def test_a_breaker_whose_probes_fail_has_opened_once(failed_probes: int) -> None:
    metrics = Metrics()
    for state in ("open", *("half_open", "open", "open") * failed_probes):
        metrics.breaker("redis", state)
    assert opened(metrics) == 1


def test_a_breaker_that_closed_in_between_has_opened_twice() -> None:
    metrics = Metrics()
    for state in ("open", "half_open", "closed", "open"):
        metrics.breaker("redis", state)
    assert opened(metrics) == 2
