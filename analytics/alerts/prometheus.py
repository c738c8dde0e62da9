"""The rules as Prometheus reads them: the same bounds, texts and times."""

import json
from collections.abc import Iterable

from analytics.alerts.rules import Rule
from analytics.alerts.texts import figure

_HEAD = """\
# Alert rules of Trilha for Prometheus. Made by `trilha alerts prometheus`: change the bounds there (TRILHA_ALERT_RULES), not here.
# What Prometheus cannot see itself, `trilha work` shows at TRILHA_WORK_BIND as trilha_alert_measured.
groups:
  - name: trilha
    rules:
"""


def prometheus_rules(rules: Iterable[Rule]) -> str:
    """A rules file, YAML. The same rules give the same text."""
    return _HEAD + "".join(_alert(rule) for rule in rules)


def expression(rule: Rule) -> str:
    """Its expression, with the bound in force."""
    return rule.expr.replace("$bound", f"{rule.bound:g}" if rule.bound < 1e6 else f"{rule.bound:.0f}")


def _alert(rule: Rule) -> str:
    summary = f"{rule.en.title} (bound: {figure(rule.unit, rule.bound)})" if rule.bound else rule.en.title
    lines = [
        f"      - alert: {_camel(rule.name)}",
        f"        expr: {json.dumps(expression(rule))}",
        f"        for: {rule.holds_for:.0f}s",
        "        labels:",
        f"          severity: {rule.severity}",
        f"          rule: {rule.name}",
        "        annotations:",
        f"          summary: {_text(summary)}",
        f"          description: {_text(rule.en.do)}",
        f"          summary_pt: {_text(rule.pt.title)}",
        f"          description_pt: {_text(rule.pt.do)}",
        f"          runbook: {_text(rule.anchor)}",
    ]
    return "\n".join(lines) + "\n"


def _camel(name: str) -> str:
    return "Trilha" + "".join(word.capitalize() for word in name.split("_"))


def _text(text: str) -> str:
    """A string as YAML has it in double quotes, which JSON's are too."""
    return json.dumps(text, ensure_ascii=False)
