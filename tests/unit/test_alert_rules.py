"""Rules of alerts in force, and what is said of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from analytics.alerts.readings import is_of_node, node_in, node_subject
from analytics.alerts.rules import our_rules, rules_in_force
from analytics.alerts.texts import SEVERAL, Texts, figure
from domain.alerts import RULES, AlertState
from domain.errors import ConfigError
from runtime.settings import load_settings

NOW = 1_800_000_000_000
ENGLISH = Texts(language="en", zone=ZoneInfo("America/Sao_Paulo"))
PORTUGUESE = replace(ENGLISH, language="pt")
OURS = {rule.name: rule for rule in our_rules()}


def over(tmp_path: Path, text: str) -> dict[str, object]:
    (tmp_path / "rules.toml").write_text(text)
    return {rule.name: rule for rule in rules_in_force(file=tmp_path / "rules.toml")}


def test_without_settings_ours_are_in_force() -> None:
    assert tuple(rule.name for rule in rules_in_force()) == RULES


def test_a_rule_that_is_off_is_not_in_force(tmp_path: Path) -> None:
    assert "match_rate" not in {rule.name for rule in rules_in_force(off=["match_rate"])}
    assert "match_rate" not in over(tmp_path, "[match_rate]\noff = true")
    assert "match_rate" in over(tmp_path, "[match_rate]\noff = false")


def test_what_a_file_says_goes_over_ours_and_the_rest_stays(tmp_path: Path) -> None:
    found = over(tmp_path, '[unsent_age]\nbound = 4000\nseverity = "page"\nremind = 0.5')
    assert found["unsent_age"] == replace(OURS["unsent_age"], bound=4000, severity="page", remind=0.5)
    assert found["unsent_day"] == OURS["unsent_day"]


def test_a_bound_below_our_clear_takes_it_along(tmp_path: Path) -> None:
    assert over(tmp_path, "[unsent_age]\nbound = 60")["unsent_age"].clear == 60  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[no_such]\nbound = 1", "'no_such'"),
        ("[unsent_age]\nbond = 1", "bond of unsent_age cannot be set"),
        ("[unsent_age]\nexpr = 'x'", "expr of unsent_age cannot be set"),
        ("[unsent_age]\nbound = 'a'", "bound of unsent_age must be a number"),
        ("[unsent_age]\nbound = -1", "bound of unsent_age must be a number"),
        ("[unsent_age]\nbound = nan", "bound of unsent_age must be a number"),
        ("[unsent_age]\nbound = true", "bound of unsent_age must be a number"),
        ("[unsent_age]\nremind = 0", "remind of unsent_age must be more than 0"),
        ("[unsent_age]\nseverity = 'loud'", "severity of unsent_age must be page or warn"),
        ("[unsent_age]\noff = 1", "off of unsent_age must be true or false"),
        ("[unsent_age]\nbound = 5\nclear = 6", "clear of unsent_age is above its bound"),
        ("bound = 1", "bound stands in no rule"),
        ("[", "cannot be read"),
    ],
)
def test_what_a_file_may_not_say_is_an_error_that_names_it(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match="TRILHA_ALERT_RULES") as raised:
        over(tmp_path, text)
    assert said in str(raised.value)


def test_a_file_that_is_not_there_and_an_unknown_name_that_is_off_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        rules_in_force(file=tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="TRILHA_ALERTS_OFF: no alert rule 'nothing'"):
        rules_in_force(off=["nothing"])


def test_a_message_says_what_since_when_how_much_and_what_to_do() -> None:
    state = AlertState(since_ms=NOW, fired_ms=NOW, told_ms=NOW, measured=10_800)
    message = ENGLISH.message(OURS["unsent_age"], "meta/123", state, "firing", NOW)
    assert message.text.splitlines() == [
        "Trilha: Warning. Conversions wait for too long (meta/123)",
        "Since: 2027-01-15 05:00 (America/Sao_Paulo)",
        "Measured: 3 h (bound: 2 h)",
        OURS["unsent_age"].en.do,
        "More: docs/runbook.md#unsent_age",
    ]


def test_an_end_says_when_and_asks_for_nothing() -> None:
    state = AlertState(since_ms=NOW, fired_ms=NOW, told_ms=NOW, resolved_ms=NOW + 3_600_000)
    message = PORTUGUESE.message(OURS["lane_held"], "meta/123", state, "resolved", NOW + 3_600_000)
    assert message.text.splitlines() == [
        "Trilha: Resolvido: Um destino está retido: as conversões não são enviadas (meta/123)",
        "Desde: 2027-01-15 05:00 (America/Sao_Paulo)",
        "Resolvido em: 2027-01-15 06:00 (America/Sao_Paulo)",
        "Mais: docs/runbook.md#lane_held",
    ]


def test_many_in_one_are_as_loud_as_the_loudest_and_name_each() -> None:
    state = AlertState(since_ms=NOW, fired_ms=NOW)
    quiet = ENGLISH.message(OURS["unsent_age"], "a", state, "firing", NOW)
    loud = ENGLISH.message(OURS["lane_held"], "b", state, "firing", NOW)
    over_ = ENGLISH.message(OURS["lane_held"], "c", state, "resolved", NOW)
    whole = ENGLISH.together([over_, quiet, loud])
    assert (whole.rule, whole.kind, whole.severity) == (SEVERAL, "firing", "page")
    assert whole.text.splitlines()[1:] == [over_.headline, quiet.headline, loud.headline]


@pytest.mark.parametrize("rule", our_rules(), ids=lambda rule: rule.name)
def test_every_rule_has_words_in_both_languages_that_differ(rule: object) -> None:
    state = AlertState(since_ms=NOW, fired_ms=NOW, measured=5.5)
    texts = [t.message(rule, "", state, "firing", NOW).text for t in (ENGLISH, PORTUGUESE)]  # type: ignore[arg-type]
    assert texts[0] != texts[1]
    assert all(len(text) < 600 for text in texts)


@pytest.mark.parametrize(
    ("unit", "value", "said"),
    [
        ("seconds", 45, "45 s"),
        ("seconds", 60, "1 min"),
        ("seconds", 90, "90 s"),
        ("seconds", 7200, "2 h"),
        ("seconds", 604_800, "7 d"),
        ("share", 0.714, "71 %"),
        ("count", 12.0, "12"),
        ("surprise", 4.0, "1 : 10000"),
        ("surprise", 999.0, "1 : 1000000000000000"),
    ],
)
def test_figures_are_as_people_read_them(unit: object, value: float, said: str) -> None:
    assert figure(unit, value) == said  # type: ignore[arg-type]


def test_a_subject_says_whose_it_is() -> None:
    assert node_subject(1) == "node 1"
    assert is_of_node("node 1 redis", 1)
    assert not is_of_node("node 12", 1)
    assert not is_of_node("node 1", 12)
    assert [node_in(text) for text in ("node 12 home", "node 3", "meta/1", "node x", "")] == [
        12,
        3,
        None,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALERT_TELEGRAM", "shop_bot"),
        ("ALERT_TELEGRAM", "12@"),
        ("ALERT_TELEGRAM", "0@shop_bot"),
        ("ALERT_EMAIL", "nobody"),
        ("ALERT_EMAIL", "a@b\r\nBcc: c@d"),
        ("SMTP_URL", "http://mail.example.com"),
        ("SMTP_URL", "smtp://"),
        ("SMTP_URL", "smtp://user:hunter2@mail.example.com"),
        ("SMTP_URL", "smtp://mail.example.com:99999"),
        ("BOT_API_URL", "http://bots.example.com"),
        ("ALERT_LANGUAGE", "fr"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"TRILHA_{name}") as raised:
        load_settings({f"TRILHA_{name}": value})
    assert "hunter2" not in str(raised.value)


def test_settings_of_alerts_are_read_from_the_environment() -> None:
    found = load_settings(
        {
            "TRILHA_ALERTS_OFF": "match_rate, api_version",
            "TRILHA_ALERT_EMAIL": "a@example.com, b@example.com",
            "TRILHA_ALERT_TELEGRAM": "-100123@shop_bot",
            "TRILHA_SMTP_URL": "smtps://mail.example.com",
        }
    )
    assert found.alerts_off == ("match_rate", "api_version")
    assert found.alert_email == ("a@example.com", "b@example.com")
    assert found.smtp_password == found.home_dir / "secrets" / "smtp-password"
