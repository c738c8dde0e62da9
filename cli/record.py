"""trilha privacy record: the record of processing operations."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.common import Json, settings, show
from privacy.record import Record
from privacy.retention_page import Language

_LANGUAGES: dict[str, Language] = {"pt-BR": "pt-BR", "en": "en"}


class LanguageName(StrEnum):
    """What `--language` takes."""

    PT_BR = "pt-BR"
    EN = "en"


def record(
    controller: Annotated[
        str, typer.Option("--controller", help="Who decides: name and CNPJ or CPF. Default: a placeholder.")
    ] = "",
    contact: Annotated[
        str, typer.Option("--contact", help="Data-protection officer and how to reach them.")
    ] = "",
    language: Annotated[LanguageName, typer.Option("--language", help="Of the record.")] = LanguageName.PT_BR,
    as_json: Json = False,
) -> None:
    """The record of processing operations (LGPD, art. 37), as Markdown, with the settings in force."""
    made = Record.of(settings(), _LANGUAGES[language], controller=controller, contact=contact)
    show(made.values(), as_json=as_json, text=made.text())
