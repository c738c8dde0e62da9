"""Alert rules, the runbook, Prometheus' rules and the dashboard are of one mind, and name only metrics that there are."""

from __future__ import annotations

import json
import re
import runpy
import tomllib
from pathlib import Path

import pytest
import yaml
from prometheus_client import Metric

from analytics.alerts.prometheus import expression, prometheus_rules
from analytics.alerts.rules import FILE, our_rules
from domain.alerts import RULES
from runtime.metrics import Metrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARD = DEPLOY / "grafana" / "trilha.json"


def sections() -> dict[str, str]:
    """What the runbook says under each heading that is a rule's name."""
    parts = re.split(r"^### `([a-z_]+)`$", (ROOT / "docs" / "runbook.md").read_text(), flags=re.MULTILINE)
    return {
        name: re.split(r"^#{2,3} ", text, flags=re.MULTILINE)[0]
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def series() -> set[str]:
    """The names of every series that we show."""
    families: list[Metric] = list(Metrics().registry.collect())
    counters = {f"{family.name}_total" for family in families if family.type == "counter"}
    buckets = {f"{family.name}_bucket" for family in families if family.type == "histogram"}
    return counters | buckets | {family.name for family in families if family.type == "gauge"}


def named_in(expression: str) -> set[str]:
    return set(re.findall(r"\btrilha_[a-z_]+", re.sub(r'"[^"]*"', "", expression)))


def labels_in(expression: str) -> list[tuple[str, str]]:
    return re.findall(r'(\w+)=~?"([^"]*)"', expression)


def test_the_rules_are_the_closed_set_that_metrics_know() -> None:
    assert tuple(rule.name for rule in our_rules()) == RULES


def test_every_key_of_the_rules_is_understood() -> None:
    known = {
        "measure",
        "subject",
        "local",
        "unit",
        "bound",
        "clear",
        "holds_for",
        "severity",
        "remind",
        "expr",
        "en",
        "pt",
    }
    for name, values in tomllib.loads(FILE.read_text()).items():
        assert values.keys() <= known, name
        assert values["en"].keys() == values["pt"].keys() == {"title", "do"}, name


def test_an_alert_never_ends_above_where_it_fires() -> None:
    assert all(rule.clear <= rule.bound for rule in our_rules())


@pytest.mark.parametrize("name", RULES)
def test_every_rule_has_a_section_of_the_runbook(name: str) -> None:
    text = sections()[name]
    for part in ("- **It means**", "- **See**", "- **Do**"):
        assert part in text


def test_the_runbook_has_no_section_of_a_rule_that_is_not() -> None:
    assert sections().keys() == set(RULES)


def test_the_rules_file_of_prometheus_is_what_the_command_prints() -> None:
    """After a change: `trilha alerts prometheus > deploy/prometheus/trilha.rules.yml`."""
    assert (DEPLOY / "prometheus" / "trilha.rules.yml").read_text() == prometheus_rules(our_rules())


def test_the_rules_file_is_yaml_with_the_bounds_and_texts_of_the_rules() -> None:
    (group,) = yaml.safe_load(prometheus_rules(our_rules()))["groups"]
    assert len(group["rules"]) == len(RULES)
    for rule, shown in zip(our_rules(), group["rules"], strict=True):
        assert shown["expr"] == expression(rule)
        assert "$bound" not in shown["expr"]
        assert shown["for"] == f"{rule.holds_for:.0f}s"
        assert shown["labels"] == {"severity": rule.severity, "rule": rule.name}
        assert shown["annotations"]["description"] == rule.en.do
        assert shown["annotations"]["summary_pt"] == rule.pt.title


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [expression(rule) for rule in our_rules()] + [
        t["expr"] for panel in panels for t in panel["targets"]
    ]


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_that_is_asked_for_is_shown_by_a_process(expression: str) -> None:
    assert named_in(expression) <= series()


@pytest.mark.parametrize("expression", expressions())
def test_every_label_that_is_asked_for_has_that_value(expression: str) -> None:
    jobs = {
        job["job_name"]
        for job in yaml.safe_load((DEPLOY / "prometheus" / "scrape.yml").read_text())["scrape_configs"]
    }
    known = {"job": jobs, "rule": set(RULES)}
    for collector in Metrics().registry._collector_to_names:
        values = getattr(collector, "_known", ())
        for label, allowed in zip(collector.labels, values, strict=False):  # type: ignore[attr-defined]
            known.setdefault(label, set()).update(allowed)
    for label, value in labels_in(expression):
        for part in value.split("|"):
            assert any(re.fullmatch(part, there) for there in known[label]), (label, part)


def test_the_dashboard_is_what_its_description_makes() -> None:
    """After a change: `python deploy/grafana/make.py`."""
    assert DASHBOARD.read_text() == runpy.run_path(str(DEPLOY / "grafana" / "make.py"))["dashboard"]()


def test_the_panels_of_the_dashboard_lie_beside_each_other() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
