"""The OpenAPI description says what the private listener answers, field by field."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

from backends.sql.schema import greetings
from daemon.shapes import StartBody
from tests.daemon_fixture import BOT, Door, Site
from tests.telegram_calls import SECRET, call, give_key, message

KINDS = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}


def faults(value: Any, schema: dict[str, Any], document: dict[str, Any], at: str = "$") -> list[str]:
    """Where a value is not as the schema says; a field that it does not say is one too."""
    if "$ref" in schema:
        return faults(value, named(schema["$ref"], document), document, at)
    if "anyOf" in schema:
        tried = [faults(value, part, document, at) for part in schema["anyOf"]]
        return [] if [] in tried else tried[0]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{at}: {value!r}"]
    if type(value) is not KINDS[schema["type"]]:
        return [f"{at}: {type(value).__name__}"]
    found = []
    if isinstance(value, list):
        for number, item in enumerate(value):
            found += faults(item, schema.get("items", {}), document, f"{at}[{number}]")
    if isinstance(value, dict) and "properties" in schema:
        described, needed = schema["properties"], set(schema.get("required", ()))
        found += [f"{at}.{name}" for name in (value.keys() - described.keys()) | (needed - value.keys())]
        for name in value.keys() & described.keys():
            found += faults(value[name], described[name], document, f"{at}.{name}")
    return found


def named(ref: str, document: dict[str, Any]) -> dict[str, Any]:
    name = ref.removeprefix("#/components/schemas/")
    schema: dict[str, Any] = document["components"]["schemas"][name]
    return schema


def schema_of(document: dict[str, Any], path: str, method: str, status: int) -> dict[str, Any]:
    answer = document["paths"][path][method]["responses"][str(status)]
    (content,) = answer["content"].values()
    schema: dict[str, Any] = content["schema"]
    return schema


async def described(door: Door) -> dict[str, Any]:
    answer = await door.api.get("/v1/openapi.json")
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


async def test_every_answer_is_as_it_is_described(site: Site) -> None:
    await give_key(site)
    row = {"link_id": 1, "language": "en", "text": "x", "photo_url": "https://p.example/x"}
    row["buttons"] = [{"text": "a", "url": "https://b.example"}]
    async with site.engine() as engine, engine.begin() as connection:
        await connection.execute(greetings.insert(), [row])
    async with site.running() as door:
        document = await described(door)
        agent = {"User-Agent": "Mozilla/5.0 (Linux; Android 14) Chrome/120.0 Mobile", "X-Purpose": "preview"}
        token = await door.click("utm_source=FB&src=x", agent)
        other = await door.click()
        body = {"bot": BOT, "telegram_id": 42, "token": token}
        seen: list[tuple[str, str, Any]] = []
        for _ in range(2):
            seen += [
                ("/v1/clicks/{token}", "get", await door.api.get(f"/v1/clicks/{token}")),
                ("/v1/starts", "post", await door.api.post("/v1/starts", json=body)),
                ("/v1/starts", "post", await door.api.post("/v1/starts", json=body | {"telegram_id": 43})),
                ("/v1/starts", "post", await door.api.post("/v1/starts", json=body | {"token": None})),
            ]
            await site.settle()
        for wrong in (
            body | {"bot": "nobody_bot"},
            body | {"token": "x"},
            {"bot": BOT},
            {"bot": "x" * 20_000},
        ):
            seen.append(("/v1/starts", "post", await door.api.post("/v1/starts", json=wrong)))
        lead = {"bot": BOT, "event": "Lead", "telegram_id": 42}
        for told in (
            lead,
            lead | {"telegram_id": 43},
            lead | {"email": "x"},
            lead | {"event": "PageView"},
            lead | {"ip": "x"},
            {"bot": "x" * 20_000},
        ):
            seen.append(("/v1/conversions", "post", await door.api.post("/v1/conversions", json=told)))
        seen += [
            ("/v1/explain/{token}", "get", await door.api.get(f"/v1/explain/{token}")),
            ("/v1/explain/{token}", "get", await door.api.get("/v1/explain/x")),
            ("/v1/explain", "get", await door.api.get("/v1/explain?telegram_id=42")),
            ("/v1/explain", "get", await door.api.get("/v1/explain?order=none&language=pt")),
            ("/v1/explain", "get", await door.api.get("/v1/explain")),
            ("/v1/explain", "get", await door.api.get("/v1/explain", headers={"authorization": ""})),
            ("/readyz", "get", await door.api.get("/readyz")),
            ("/telegram/{bot}", "post", await call(door.api, message(f"/start {other}"))),
            ("/telegram/{bot}", "post", await call(door.api, message("/start", message_id=8))),
            ("/telegram/{bot}", "post", await call(door.api, b"{")),
            ("/telegram/{bot}", "post", await call(door.api, b"{}", secret=SECRET + "x")),
            ("/telegram/{bot}", "post", await call(door.api, b" " * 300_000)),
            ("/v1/clicks/{token}", "get", await door.api.get("/v1/clicks/x")),
            ("/v1/clicks/{token}", "get", await door.api.get("/v1/clicks/x", headers={"authorization": ""})),
        ]
    for path, method, answer in seen:
        schema = schema_of(document, path, method, answer.status_code)
        assert faults(answer.json(), schema, document) == [], (path, answer.text)
    assert {answer.status_code for _, _, answer in seen} == {200, 400, 401, 413, 422}


async def test_the_description_needs_the_key_and_refers_to_nothing_that_is_not_there(door: Door) -> None:
    refused = await door.api.get("/v1/openapi.json", headers={"authorization": ""})
    assert refused.status_code == 401
    document = await described(door)
    assert document["openapi"] == "3.1.0"
    refs = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))
    assert refs
    assert all(named(ref, document)["type"] == "object" for ref in refs)
    for path, methods in document["paths"].items():
        for operation in methods.values():
            parameters = operation.get("parameters", ())
            given = {parameter["name"] for parameter in parameters if parameter["in"] == "path"}
            assert given == set(re.findall(r"\{(\w+)\}", path))
            assert all(
                name in document["components"]["securitySchemes"] for s in operation["security"] for name in s
            )


@pytest.mark.parametrize("telegram_id", [0, -1, 2**52])
def test_the_range_of_ids_that_is_described_is_the_one_that_is_kept(telegram_id: int) -> None:
    raw = json.dumps({"bot": BOT, "telegram_id": telegram_id}).encode()
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(raw, type=StartBody)
