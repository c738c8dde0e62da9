"""trilha link check: is that URL right for an ad."""

import sys
from typing import Annotated, Any

import typer

from analytics.adurl.check import Site, check
from analytics.adurl.finding import Checked, Finding
from cli.common import EXIT_FAILED, Json, catalog_of, run, settings, show
from runtime.settings import Settings

LONGEST = 65_536
Pasted = Annotated[
    str, typer.Argument(metavar="URL", help="What was pasted into the ad; - reads it from standard input.")
]
Clicked = Annotated[
    bool,
    typer.Option("--clicked", help="It is the address that a visitor arrived at: Meta has filled it in."),
]


def check_url(url: Pasted, clicked: Clicked = False, as_json: Json = False) -> None:
    """Say what is wrong with an ad's URL, or with what stands in Meta's URL parameters. Exits 1 on an error."""
    given = settings()
    pasted = sys.stdin.read(LONGEST) if url == "-" else url
    found = check(pasted, Site(given.base_url, run(_slugs(given))), clicked=clicked)
    show(_json(found), as_json=as_json, text=_text(found))
    if not found.sound:
        sys.exit(EXIT_FAILED)


async def _slugs(given: Settings) -> list[str]:
    async with catalog_of(given) as catalog:
        return [link.slug for link in (await catalog.load()).links]


def _json(found: Checked) -> dict[str, Any]:
    findings = [
        {
            "code": finding.code,
            "level": finding.level,
            **finding.values,
            "says": finding.says(),
            "mend": finding.mend(),
        }
        for finding in found.findings
    ]
    return {"sound": found.sound, "findings": findings, "mended": found.mended}


def _text(found: Checked) -> str:
    if not found.findings:
        return "nothing is wrong with it"
    return "\n".join([*map(_line, found.findings), "", "As it should be:", found.mended])


def _line(finding: Finding) -> str:
    return f"{finding.level}: {finding.says()} {finding.mend()}"
