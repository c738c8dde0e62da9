"""Reference pages that are read off the code: `python -m cli.reference_pages` writes them into docs/reference/."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from cli.main import make_app
from daemon.openapi import describe
from domain import errors

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
_MADE = "<!-- Read off the code by `python -m cli.reference_pages`. Nothing here is written by hand. -->"


def pages() -> dict[str, str]:
    """Each page by its file's name."""
    texts = {
        "options.md": ("Options of every command", _options()),
        "api.md": ("The private API in full", _api()),
        "errors.md": ("Errors", _errors()),
    }
    return {
        name: f"# {title}\n\n{_MADE}\n\n" + "\n".join(lines) + "\n" for name, (title, lines) in texts.items()
    }


def _options() -> Iterator[str]:
    yield "What each of them is for, with examples: [command line](cli.md). Every command also has `--help`."
    for path, command in _commands(typer.main.get_command(make_app())):
        yield f"\n## `{path}`\n"
        yield _one_line(command.help)
        params = [param for param in command.params if param.name != "help"]
        if params:
            yield "\n| | | |\n|---|---|---|"
            yield from map(_row, params)


def _commands(command: Any, path: str = "trilha") -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", {})
    for name, child in below.items():
        yield from _commands(child, f"{path} {name}")
    if not below:
        yield path, command


def _row(param: Any) -> str:
    is_argument = param.param_type_name == "argument"
    name = param.name.upper() if is_argument else ", ".join([*param.opts, *param.secondary_opts])
    notes = ["required"] if param.required else []
    if param.default not in (None, False, "", ()) and not callable(param.default):
        notes.append(f"default: `{getattr(param.default, 'value', param.default)}`")
    if param.multiple:
        notes.append("may be repeated")
    return f"| `{name}` | {_one_line(param.help)} | {', '.join(notes)} |"


def _api() -> Iterator[str]:
    described = describe()
    yield "As `GET /v1/openapi.json` describes it; how it is meant to be used: [HTTP](http.md)."
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield f"\n## `{method.upper()} {path}`\n"
            yield _one_line(operation.get("summary"))
            yield "\n| | |\n|---|---|"
            for param in operation.get("parameters", []):
                yield f"| `{param['name']}` ({param['in']}) | {_one_line(param.get('description'))} |"
            if "requestBody" in operation:
                yield f"| body | {_shape(operation['requestBody'])} |"
            for status, answer in operation["responses"].items():
                yield f"| {status} | {_one_line(answer.get('description'))} {_shape(answer)} |"
    yield "\n## Shapes"
    for name, schema in described["components"]["schemas"].items():
        yield f"\n### `{name}`\n"
        yield _one_line(schema.get("description"))
        yield "\n| field | type | |\n|---|---|---|"
        for field, about in schema.get("properties", {}).items():
            needed = "required" if field in schema.get("required", []) else ""
            yield f"| `{field}` | {_type(about)} | {needed} |"


def _shape(said: Any) -> str:
    """The name of the shape of a body, if it has one."""
    schema = said.get("content", {}).get("application/json", {}).get("schema", {})
    return _type(schema) if schema else ""


def _type(schema: Any) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[`{name}`](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "items" in schema:
        return f"array of {_type(schema['items'])}"
    return str(schema.get("type", "any"))


def _errors() -> Iterator[str]:
    tree = (errors.__doc__ or "").partition("\n\n")[2].strip()
    yield "What a command prints after `trilha:`, what the log names, and what Python code can catch. Exit codes: [command line](cli.md#exit-codes);"
    yield "codes of HTTP: [HTTP](http.md#private-listener-trilha_private_bind).\n"
    yield f"```text\n{tree}\n```"


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def write() -> None:
    """Write them all."""
    for name, text in pages().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    write()
