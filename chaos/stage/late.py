"""A single person who presses START on a token, outside the crowd."""

from __future__ import annotations

import json
import time
from http.client import HTTPConnection, HTTPException
from typing import Any

from chaos.crowd.told import Started
from chaos.servers import HOST
from chaos.stage.home import BOT
from chaos.stage.stage import Stage

LATE_PERSON = 7_000_000_000
SECONDS = 10.0


def press_start(stage: Stage, token: str, person: int = LATE_PERSON) -> Started:
    """What that person is told by the first daemon; status 0 when nobody answers."""
    at = time.monotonic()
    body = json.dumps({"token": token, "bot": BOT, "telegram_id": person})
    status, said = _post(stage.daemons[0].port, stage.api_key, body)
    return Started.now(at, token, person, status, said)


def _post(port: int, api_key: str, body: str) -> tuple[int, dict[str, Any]]:
    connection = HTTPConnection(HOST, port, timeout=SECONDS)
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/v1/starts", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()) if answer.status == 200 else {}
    except (OSError, HTTPException):
        return 0, {}
    finally:
        connection.close()
