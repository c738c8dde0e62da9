"""trilha alerts: what fires, by which rules, and whether its messages arrive."""

import asyncio
from typing import Any

import typer

from analytics.alerts.prometheus import expression, prometheus_rules
from analytics.alerts.rules import Rule
from analytics.alerts.texts import figure
from backends.sql.alerts import SqlAlerts
from cli.common import CLOCK, EXIT_FAILED, Json, local_time, run, settings, show, show_table, sql_of
from daemon.alerting import channels_of, rules_of, texts_of
from domain.alerts import AlertKey, AlertState, Channel, JudgeStatus
from domain.clock import iso
from domain.errors import ConfigError
from privacy.keyring import Keyring

alerts = typer.Typer(help="What is wrong, who is told of it, and by which rules.", no_args_is_help=True)
Found = tuple[dict[AlertKey, AlertState], list[JudgeStatus]]


@alerts.command("list")
def list_alerts(as_json: Json = False) -> None:
    """What fires now and since when, what may soon, and when each worker judged last."""
    given = settings()
    rules = {rule.name: rule for rule in rules_of(given)}

    async def load() -> Found:
        async with sql_of(given) as engine:
            stored = SqlAlerts(engine)
            return await stored.load(), await stored.judges()

    states, judges = run(load())
    held = {key: state for key, state in states.items() if key.rule in rules and state.phase != "resolved"}
    late = _late(judges, rules)
    if as_json:
        shown = [_alert_json(rules[key.rule], key, state) for key, state in _ordered(held, rules)]
        show({"alerts": shown, "workers": _judges_json(judges, late)}, as_json=True, text="")
        return
    show_table(
        ["state", "severity", "rule", "about", "since", "measured", "told"],
        [
            [
                state.phase,
                rules[key.rule].severity,
                key.rule,
                key.subject or "-",
                local_time(state.since_ms, given),
                figure(rules[key.rule].unit, state.measured),
                local_time(state.told_ms, given),
            ]
            for key, state in _ordered(held, rules)
        ],
        empty="nothing fires",
    )
    print(_judges_text(judges, late))


@alerts.command("test")
def try_channels(as_json: Json = False) -> None:
    """Send a test message through every channel, and say what became of it. Exit code 1 unless all took it."""
    given = settings()
    message = texts_of(given).test(CLOCK.now_ms())

    async def send() -> list[dict[str, Any]]:
        async with sql_of(given) as engine:
            channels = channels_of(given, engine, Keyring(given.secrets, CLOCK), CLOCK)
            return list(await asyncio.gather(*(_tried(channel) for channel in channels)))

    async def _tried(channel: Channel) -> dict[str, Any]:
        began = CLOCK.monotonic()
        reason = await channel.tell(message)
        took_ms = round((CLOCK.monotonic() - began) * 1000)
        return {"channel": channel.name, "sent": reason is None, "reason": reason, "took_ms": took_ms}

    found = run(send())
    if not found:
        raise ConfigError(
            "no channel is set: TRILHA_ALERT_TELEGRAM, TRILHA_ALERT_EMAIL or TRILHA_ALERT_WEBHOOK. See docs/how-to/alerts.md"
        )
    show(found, as_json=as_json, text="\n".join(map(_tried_text, found)))
    if not all(item["sent"] for item in found):
        raise typer.Exit(EXIT_FAILED)


@alerts.command("rules")
def list_rules(as_json: Json = False) -> None:
    """Every rule in force, with its bounds. Those that are switched off are not shown."""
    rules = rules_of(settings())
    if as_json:
        show([_rule_json(rule) for rule in rules], as_json=True, text="")
        return
    show_table(
        ["rule", "severity", "fires above", "for", "ends at", "reminder", "what it is"],
        [
            [
                rule.name,
                rule.severity,
                figure(rule.unit, rule.bound),
                figure("seconds", rule.holds_for),
                figure(rule.unit, rule.clear),
                f"{rule.remind:g} h",
                rule.en.title,
            ]
            for rule in rules
        ],
        empty="every rule is switched off (TRILHA_ALERTS_OFF)",
    )


@alerts.command("prometheus")
def print_prometheus(as_json: Json = False) -> None:
    """Print the rules in force as a rules file for Prometheus."""
    rules = rules_of(settings())
    found = {rule.name: expression(rule) for rule in rules}
    show(found, as_json=as_json, text=prometheus_rules(rules).rstrip("\n"))


def _ordered(held: dict[AlertKey, AlertState], rules: dict[str, Rule]) -> list[tuple[AlertKey, AlertState]]:
    """What fires before what may, urgent first, oldest first."""

    def place(item: tuple[AlertKey, AlertState]) -> tuple[bool, bool, int]:
        key, state = item
        return state.phase != "firing", rules[key.rule].severity != "page", state.since_ms

    return sorted(held.items(), key=place)


def _late(judges: list[JudgeStatus], rules: dict[str, Rule]) -> set[int]:
    """Nodes whose worker judges no more."""
    bound = rules["worker_silent"].bound if "worker_silent" in rules else float("inf")
    return {judge.node for judge in judges if CLOCK.now_ms() - judge.judged_ms > bound * 1000}


def _alert_json(rule: Rule, key: AlertKey, state: AlertState) -> dict[str, Any]:
    return {
        "rule": key.rule,
        "subject": key.subject,
        "state": state.phase,
        "severity": rule.severity,
        "since": iso(state.since_ms),
        "fired_at": None if state.fired_ms is None else iso(state.fired_ms),
        "told_at": None if state.told_ms is None else iso(state.told_ms),
        "measured": state.measured,
        "bound": rule.bound,
    }


def _judges_json(judges: list[JudgeStatus], late: set[int]) -> list[dict[str, Any]]:
    return [
        {"node": judge.node, "judged_at": iso(judge.judged_ms), "silent": judge.node in late}
        for judge in judges
    ]


def _judges_text(judges: list[JudgeStatus], late: set[int]) -> str:
    if not judges:
        return "\nno worker has judged anything yet: is `trilha work` running?"
    now_ms = CLOCK.now_ms()
    return "\n" + "\n".join(
        f"the worker of node {judge.node} judged {figure('seconds', max(0, now_ms - judge.judged_ms) / 1000)} ago"
        + (": is `trilha work` running there? What is above may be old" if judge.node in late else "")
        for judge in judges
    )


def _tried_text(found: dict[str, Any]) -> str:
    said = "took the message" if found["sent"] else f"DID NOT take the message: {found['reason']}"
    return f"{found['channel']}: {said} ({found['took_ms']} ms)"


def _rule_json(rule: Rule) -> dict[str, Any]:
    return {
        "rule": rule.name,
        "severity": rule.severity,
        "unit": rule.unit,
        "bound": rule.bound,
        "clear": rule.clear,
        "holds_for": rule.holds_for,
        "remind": rule.remind,
        "title": {"en": rule.en.title, "pt": rule.pt.title},
        "do": {"en": rule.en.do, "pt": rule.pt.do},
        "expr": expression(rule),
        "runbook": rule.anchor,
    }
