"""trilha link, as the operator's hands use it: pools, bridges and greetings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import make_app
from domain.errors import ConfigError

OFFER = {"text": "Ver a oferta", "url": "https://loja.example.com/?a=b"}


class Hands:
    """The command line over one home."""

    def __init__(self, home: Path) -> None:
        self.runner = CliRunner(env={"TRILHA_HOME_DIR": str(home)})

    def __call__(self, *words: str, given: str | bytes = "", refused: bool = False) -> str:
        """What a command said; when it is to be refused, why."""
        done = self.runner.invoke(make_app(), words, input=given)
        if not refused:
            assert done.exit_code == 0, (done.output, done.exception)
            return done.output
        assert isinstance(done.exception, ConfigError) or done.exit_code == 2, done
        return f"{done.output}{done.exception}"

    def read(self, *words: str, given: str = "") -> Any:
        return json.loads(self(*words, "--json", given=given))


@pytest.fixture
def trilha(tmp_path: Path) -> Hands:
    hands = Hands(tmp_path / "var")
    hands("migrate")
    for name in ("um_bot", "dois_bot"):
        hands("bot-account", "add", name)
    hands("link", "add", "verao", "--bot", "um_bot")
    return hands


def test_a_pool_is_made_shown_changed_and_taken_apart(trilha: Hands) -> None:
    trilha("link", "edit", "verao", "--strategy", "priority", "--bridge")
    made = trilha.read("link", "pool-add", "verao", "--bot", "@dois_bot", "--weight", "3", "--priority", "2")
    pool = [
        {"bot": "um_bot", "weight": 1, "priority": 1, "health": "unknown", "fit": True},
        {"bot": "dois_bot", "weight": 3, "priority": 2, "health": "unknown", "fit": True},
    ]
    assert (made["pool"], made["strategy"], made["bridge"], made["greetings"]) == (pool, "priority", True, [])
    assert trilha.read("link", "pool", "verao") == pool
    assert trilha.read("link", "list") == [trilha.read("link", "show", "verao")] == [made]
    shown = trilha("link", "pool", "verao")
    assert ("@dois_bot" in shown, "unknown" in shown, "priority" in shown) == (True, True, True)
    assert "@um_bot +1" in trilha("link", "list")
    assert [bot["links"] for bot in trilha.read("bot-account", "list")] == [1, 1]
    left = trilha.read("link", "pool-remove", "verao", "--bot", "um_bot")
    assert [member["bot"] for member in left["pool"]] == ["dois_bot"]
    moved = trilha.read("link", "edit", "verao", "--bot", "um_bot", "--no-bridge")
    assert ([member["bot"] for member in moved["pool"]], moved["bridge"]) == (["um_bot"], False)


def test_mistakes_are_refused_in_a_sentence(trilha: Hands) -> None:
    for words, said in (
        (("pool-remove", "verao", "--bot", "um_bot"), "trilha link pause verao"),
        (("pool-remove", "verao", "--bot", "dois_bot"), "not in the pool"),
        (("pool-add", "verao", "--bot", "dois_bot", "--weight", "0"), "not a weight"),
        (("pool-add", "verao", "--bot", "tres_bot"), "Register it first"),
        (("pool", "nothing"), "no link"),
        (("edit", "verao", "--strategy", "random"), "round_robin"),
        (("greeting", "verao", "--text-file", "-"), "Give --language"),
        (("greeting", "verao", "--language", "pt", "--button", "a=https://example.com"), "--text-file"),
        (("greeting", "verao", "--language", "pt", "--text-file", "/no/such"), "cannot be read"),
        (("greeting", "verao", "--language", "pt", "--remove"), "no greeting in pt"),
        (("greeting", "verao", "--remove"), "--remove takes --language"),
    ):
        assert said in trilha("link", *words, refused=True)


def test_a_greeting_is_tried_out_set_previewed_and_removed(trilha: Hands, tmp_path: Path) -> None:
    text = tmp_path / "greeting.txt"
    text.write_bytes("\ufeffOlá, {name}!\r\nVocê veio de {campaign}.\r\n".encode())
    draft = ("link", "greeting", "verao", "--language", "pt-BR", "--text-file", str(text))
    options = (
        "--button",
        "Ver a oferta=https://loja.example.com/?a=b",
        "--photo",
        "https://example.com/a.jpg",
    )
    wanted = {"text": "Olá, Ana!\nVocê veio de ‹campaign›.", "buttons": [OFFER], "photo_url": options[3]}
    assert trilha.read(*draft, *options, "--preview-name", "Ana") == wanted
    assert trilha.read("link", "greeting", "verao") == []
    stored = {
        "language": "pt-br",
        "text": "Olá, {name}!\nVocê veio de {campaign}.",
        "buttons": [OFFER],
        "photo_url": options[3],
    }
    assert trilha.read(*draft, *options) == [stored]
    assert trilha.read("link", "show", "verao")["greetings"] == [stored]
    assert trilha.read("link", "greeting", "verao", "--language", "pt-br", "--preview-name", "Ana") == wanted
    assert "[ Ver a oferta ]" in trilha("link", "greeting", "verao", "--preview-name", "Ana")
    assert trilha.read("link", "greeting", "verao", "--language", "PT-br", "--remove") == []


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("Olá, {nome}", (), "not a field of a greeting: {nome}"),
        ("Olá, {name.__class__}", (), "not a field"),
        ("Olá, {", (), "not a greeting"),
        ("", (), "1 to 4096"),
        ("x" * 1025, ("--photo", "https://example.com/a.jpg"), "1 to 1024"),
        ("a\x00b", (), "control characters"),
        (b"\xff", (), "not UTF-8"),
        ("a", ("--button", "no address"), "TEXT=https://"),
        ("a", ("--button", "a=javascript:alert(1)"), "TEXT=https://"),
        ("a", ("--button", "a=http://example.com"), "button's URL"),
        ("a", ("--photo", "http://example.com/a.jpg"), "picture's URL"),
        ("a", ("--button", "a=https://example.com") * 9, "8 buttons"),
    ],
)
def test_a_bad_greeting_is_refused_before_it_is_stored(
    trilha: Hands, text: str | bytes, options: tuple[str, ...], said: str
) -> None:
    command = ("link", "greeting", "verao", "--language", "pt", "--text-file", "-", *options)
    assert said in trilha(*command, given=text, refused=True)
    assert trilha.read("link", "greeting", "verao") == []


def test_events_are_switched_by_name_and_shown_wherever_the_link_is(trilha: Hands) -> None:
    assert trilha("link", "events", "verao") == "verao reports every event but PageView\n"
    trilha("link", "events", "verao", "--off", "ViewContent", "--off", "Lead", "--on", "PageView")
    assert "every event but Lead, ViewContent" in trilha("link", "show", "verao")
    assert trilha.read("link", "events", "verao")["events_off"] == ["Lead", "ViewContent"]
    again = trilha.read("link", "events", "verao", "--on", "ViewContent", "--on", "Lead", "--on", "Purchase")
    assert again["events_off"] == trilha.read("link", "show", "verao")["events_off"] == []
    assert trilha("link", "events", "verao") == "verao reports every event\n"


def test_an_event_that_is_no_event_or_both_on_and_off_is_refused(trilha: Hands) -> None:
    assert "not an event" in trilha("link", "events", "verao", "--off", "Page View", refused=True)
    assert "either" in trilha("link", "events", "verao", "--off", "Lead", "--on", "Lead", refused=True)
    assert "no link" in trilha("link", "events", "nenhum", refused=True)
    assert trilha.read("link", "show", "verao")["events_off"] == ["PageView"]
