"""trilha link greeting: what a link's bots answer to a start."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.incoming import Outgoing, Person
from bot.replies import reply_to, valid_template
from cli.common import Json, catalog_of, run, settings, show
from cli.shown_link import Slug, greeting_json
from domain.click import Ad
from domain.errors import ConfigError
from domain.links import Button, Greeting, Link, valid_button, valid_buttons, valid_language, valid_photo

_BUTTON = re.compile(r"(?P<text>.*?)=(?P<url>[a-z]+://.*)", re.DOTALL)
# In a preview an ad's names are not known: each stands for itself.
_AD = Ad(*(f"‹{name}›" for name in Ad._fields))


def greeting(
    slug: Slug,
    language: Annotated[str | None, typer.Option("--language", help="pt, en, pt-br, …")] = None,
    text_file: Annotated[
        str | None,
        typer.Option(
            "--text-file", help="The text, UTF-8; - for standard input. It may hold {name}, {campaign}, …"
        ),
    ] = None,
    buttons: Annotated[
        list[str] | None, typer.Option("--button", help="TEXT=https://… (or tg://…), up to eight times.")
    ] = None,
    photo: Annotated[
        str | None, typer.Option("--photo", help="https URL of a picture above the text.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Forget what is said in that language.")] = False,
    preview_name: Annotated[
        str | None, typer.Option("--preview-name", help="Only show what a person of that name would read.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What a link's bots answer to a start: show it, set it, remove it, or try it out."""
    draft = _draft(language, text_file, buttons or [], photo)
    if remove and (draft or preview_name is not None or language is None):
        raise ConfigError("--remove takes --language, and nothing else")
    link = run(_stored(slug, draft if preview_name is None else None, language if remove else None))
    if preview_name is None:
        _show(link, as_json=as_json)
        return
    if draft:
        link = replace(link, greetings=(draft,))
    person = Person(
        telegram_id=1, first_name=preview_name, language=valid_language(language) if language else ""
    )
    _show_preview(reply_to(person, link, _AD), as_json=as_json)


def _draft(
    language: str | None, text_file: str | None, buttons: list[str], photo: str | None
) -> Greeting | None:
    """The greeting that the options make, checked; None when they make none."""
    if text_file is None:
        if buttons or photo:
            raise ConfigError(
                "a greeting is set as a whole: give --text-file with its buttons and its picture"
            )
        return None
    if language is None:
        raise ConfigError("in which language is it? Give --language, such as pt or en")
    return Greeting(
        language=valid_language(language),
        text=valid_template(_read(text_file), with_photo=photo is not None),
        buttons=valid_buttons(_button(button) for button in buttons),
        photo_url=None if photo is None else valid_photo(photo),
    )


def _read(file: str) -> str:
    """The text of a file, or of standard input, without what surrounds it."""
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        text = raw.decode("utf-8-sig").replace("\r\n", "\n").strip()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8") from None
    if any(character < " " and character not in "\n\t" for character in text):
        raise ConfigError(f"{file} holds control characters")
    return text


def _button(text: str) -> Button:
    found = _BUTTON.fullmatch(text)
    if not found:
        raise ConfigError(f"not a button: {text!r}. Write TEXT=https://…")
    return valid_button(found["text"], found["url"])


async def _stored(slug: str, draft: Greeting | None, removed: str | None) -> Link:
    async with catalog_of(settings()) as catalog:
        if draft:
            return await catalog.put_greeting(slug, draft)
        if removed is not None:
            return await catalog.remove_greeting(slug, removed)
        return await catalog.link(slug)


def _show(link: Link, *, as_json: bool) -> None:
    found: list[dict[str, Any]] = [greeting_json(said) for said in link.greetings]
    text = "\n\n".join(_text(f"[{said.language}]", said) for said in link.greetings)
    show(found, as_json=as_json, text=text or f"{link.slug} has no greeting of its own: its bots say ours")


def _show_preview(answer: Outgoing, *, as_json: bool) -> None:
    value = {
        "text": answer.text,
        "buttons": [{"text": button.text, "url": button.url} for button in answer.buttons],
        "photo_url": answer.photo_url,
    }
    show(value, as_json=as_json, text=_text("", answer))


def _text(heading: str, said: Greeting | Outgoing) -> str:
    lines = [heading, f"(picture: {said.photo_url})" if said.photo_url else "", said.text]
    lines += [f"[ {button.text} ]  {button.url}" for button in said.buttons]
    return "\n".join(line for line in lines if line)
