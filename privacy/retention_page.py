"""The retention table as Markdown, and docs/privacy.md with it: `python -m privacy.retention_page` writes that page."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Literal

from privacy.retention import TABLE
from privacy.retention_row import Row, Text
from runtime.settings import Settings, load_settings

Language = Literal["en", "pt-BR"]
PAGE = Path(__file__).parents[1] / "docs" / "privacy.md"
MARKER = "<!-- Rendered from privacy/retention.py by `python -m privacy.retention_page`. Nothing below is written by hand. -->"
STORES = {
    "memory": Text("Memory", "Memória"),
    "redis": Text("Redis", "Redis"),
    "spool": Text("Spool (disk)", "Spool (disco)"),
    "sql": Text("SQL", "SQL"),
    "disk": Text("Files", "Arquivos"),
    "logs": Text("Logs", "Logs"),
}
_KINDS = {
    "raw": Text("raw", "dado bruto"),
    "personal": Text("personal", "pessoal"),
    "pseudonym": Text("pseudonym", "pseudônimo"),
    "open": Text("open", "não pessoal"),
    "secret": Text("secret", "segredo"),
}
_ENDS = {
    "expiry": Text("expiry", "expiração"),
    "nulling": Text("nulling", "anulação"),
    "deletion": Text("deletion", "exclusão"),
    "aggregation": Text("aggregation, deletion", "agregação e exclusão"),
    "key destruction": Text("key destruction", "destruição da chave"),
    "settling": Text("settling", "gravação em SQL"),
    "replacement": Text("replacement", "substituição"),
    "process end": Text("the end of the request or process", "fim da requisição ou do processo"),
    "none": Text("-", "-"),
}
PURPOSES = {
    "attribution": Text(
        "to know which ad brought a person to the bot", "saber qual anúncio trouxe a pessoa ao bot"
    ),
    "reporting": Text("to report conversions to Meta", "informar conversões à Meta"),
    "quality": Text("to tell people from robots and fraud", "distinguir pessoas de robôs e fraudes"),
    "accounts": Text("to prove that no click was lost", "provar que nenhum clique se perdeu"),
    "operation": Text("to run the service", "operar o serviço"),
    "security": Text("to protect the data", "proteger os dados"),
    "legal": Text("to keep records that the law asks for", "guardar registros exigidos por lei"),
}
BASES = {
    "consent or legitimate interest": Text(
        "consent (art. 7, I) or legitimate interest (art. 7, IX)",
        "consentimento (art. 7º, I) ou legítimo interesse (art. 7º, IX)",
    ),
    "legitimate interest": Text("legitimate interest (art. 7, IX)", "legítimo interesse (art. 7º, IX)"),
    "legal obligation": Text("legal obligation (art. 7, II)", "obrigação legal (art. 7º, II)"),
    "not personal data": Text("not personal data", "não são dados pessoais"),
}
_HEADINGS = (
    Text("data", "dados"),
    Text("kind", "tipo"),
    Text("kept for", "prazo"),
    Text("ended by", "fim por"),
    Text("purpose", "finalidade"),
    Text("legal basis (LGPD)", "base legal (LGPD)"),
    Text("fields", "campos"),
)


def said(text: Text, language: Language) -> str:
    """The words in that language."""
    return text.en if language == "en" else text.pt


def render(settings: Settings, language: Language = "en", *, level: int = 3, fields: bool = True) -> str:
    """A table for each store, with the spans of these settings."""
    parts = []
    for store, title in STORES.items():
        rows = [cells(row, settings, language) for row in TABLE if row.store == store]
        headings = [said(heading, language) for heading in _HEADINGS]
        shown = [headings, ["---"] * len(headings), *rows]
        lines = [_line(cells if fields else cells[:-1]) for cells in shown]
        parts.append("\n".join([f"{'#' * level} {said(title, language)}", "", *lines]))
    return "\n\n".join(parts) + "\n"


def page(written: str) -> str:
    """The page: what is written by hand above the marker, the table with the default settings below it."""
    above, _, _ = written.partition(MARKER)
    return f"{above}{MARKER}\n\n{render(load_settings({}))}"


def cells(row: Row, settings: Settings, language: Language) -> list[str]:
    """A row in words: data, kind, kept for, ended by, purpose, legal basis, fields (in Markdown)."""
    kind = said(_KINDS[row.kind], language)
    sealed = (
        Text(" (originals sealed)", " (originais selados)")
        if row.kind != "raw"
        else Text(", sealed", ", selado")
    )
    return [
        said(row.group, language),
        kind + (said(sealed, language) if row.sealed else ""),
        said(row.life.text(settings), language),
        ", ".join(said(_ENDS[end], language) for end in row.ends),
        said(PURPOSES[row.purpose], language),
        said(BASES[row.basis], language),
        "; ".join(_shortened(row.fields)),
    ]


def _shortened(fields: Iterable[str]) -> Iterator[str]:
    """Fields in backticks, those of one table or record together."""
    for table, names in groupby(fields, key=_owner_of):
        columns = ", ".join(f"`{name.removeprefix(table + '.')}`" for name in names)
        yield f"`{table}`: {columns}" if table else columns


def _owner_of(field: str) -> str:
    """The table or record of a field; nothing for a file or a Redis key."""
    return "" if "/" in field else field.rpartition(".")[0]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
