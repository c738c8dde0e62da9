"""trilha explain: why is this sale missing?"""

import sys
from typing import Annotated

import typer
from rich.text import Text

from analytics.explain.build import make_gathering
from analytics.explain.explain import explain as told_of
from analytics.explain.explanation import Explanation, Step, Verdict, explanation_json
from analytics.explain.facts import Facts
from analytics.explain.gather import Gathering
from analytics.explain.words import Words, language_of
from cli.clicks import catalog_in, read_token
from cli.common import CLOCK, EXIT_FAILED, EXIT_STORE, Json, console, run, settings, show, stores_of
from daemon.explain import valid_order, valid_person
from domain.errors import ConfigError
from privacy.keyring import Keyring

_MARKS: dict[Verdict, tuple[str, str]] = {
    "done": ("✓", "green"),
    "waiting": ("·", "yellow"),
    "not": ("–", "dim"),
    "wrong": ("✗", "red"),
}


def explain(
    token: Annotated[
        str | None, typer.Argument(help="The token of the deep link; `-` reads it from standard input.")
    ] = None,
    telegram_id: Annotated[
        str | None,
        typer.Option(
            "--telegram-id", help="A person's numeric Telegram id; `-` reads it from standard input."
        ),
    ] = None,
    bot: Annotated[str | None, typer.Option("--bot", help="With --telegram-id: in that bot only.")] = None,
    order: Annotated[str | None, typer.Option("--order", help="An order id, of whatever bots.")] = None,
    language: Annotated[str, typer.Option("--language", help="en or pt.")] = "en",
    as_json: Json = False,
) -> None:
    """Why is this sale missing? The whole way from click to Meta's answer, and the reason for what did not happen."""
    given, spoken = settings(), language_of(language)
    if sum(one is not None for one in (token, telegram_id, order)) != 1 or (bot and telegram_id is None):
        raise ConfigError("give exactly one of: a token, --telegram-id (with --bot, if need be), --order")

    async def gather() -> Facts:
        async with stores_of(given) as stores:
            names = await catalog_in(stores, given)
            keyring = Keyring(given.secrets, CLOCK)
            gathering = make_gathering(given, stores, keyring=keyring, names=names, clock=CLOCK)
            return await _asked(gathering, token, telegram_id, bot, order)

    facts = run(gather())
    words = Words(spoken, facts.rules.zone)
    told = told_of(facts, words)
    if as_json:
        show(explanation_json(told), as_json=True, text="")
    else:
        _print(told, words)
    if facts.refused is not None or not told.known:
        sys.exit(EXIT_FAILED if facts.refused is not None or told.certain else EXIT_STORE)


async def _asked(
    gathering: Gathering, token: str | None, telegram_id: str | None, bot: str | None, order: str | None
) -> Facts:
    if token is not None:
        return await gathering.token(read_token(token))
    if telegram_id is not None:
        return await gathering.person(valid_person(read_token(telegram_id)), bot)
    return await gathering.order(valid_order(order or ""))


def _print(told: Explanation, words: Words) -> None:
    _line(_marked(told.verdict, told.headline, bold=True))
    if told.advice:
        _line(Text(f"  → {told.advice}"))
    for story in told.stories:
        console().print()
        _line(Text(story.title, style="bold"))
        for step in story.steps:
            _print_step(step, words)
    console().print()
    for note in told.notes:
        _line(Text(note, style="dim"))


def _print_step(step: Step, words: Words) -> None:
    times = "" if step.at_ms is None else words.time(step.at_ms)
    after = "" if step.after_ms is None else f" (+{words.span(step.after_ms)})"
    line = _marked(step.verdict, f"{times:19}  {step.title}{after}", bold=step.verdict == "wrong")
    _line(line)
    for text in step.detail:
        _line(Text(f"  │ {text}", style="dim"))
    if step.advice:
        _line(Text(f"  → {step.advice}"))


def _line(text: Text) -> None:
    """Whole, however wide the terminal is: commands in it are to be copied."""
    console().print(text, soft_wrap=True)


def _marked(verdict: Verdict, text: str, *, bold: bool) -> Text:
    """What is told is text, not markup: names of ads and words of Meta's may have brackets in them."""
    mark, colour = _MARKS[verdict]
    return Text.assemble((mark, colour), " ", (text, "bold" if bold else ""))
