"""The SQL of the read side lies in files (analytics/queries/NAME.sql), which both engines understand."""

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("queries")


@cache
def statement(name: str) -> str:
    """The text of that file."""
    return (FOLDER / f"{name}.sql").read_text()
