"""Where another process sets faults and reads what was accepted: /_fake/ on the same port. Bodies are JSON objects.

GET  /_fake/accepted?pixel=&limit=100   {"count", "events": [{"pixel", "times", "event"}]}, the last ones first
GET  /_fake/faulty                      {"event_ids"} of events that a call was refused for
GET  /_fake/stats                       counts; `leaks` and `oddities` should be empty
POST /_fake/faults                      {"fault": "throttle", "share": 0.1, …}: the arguments of faults.py
POST /_fake/clear                       nothing is wrong any more
POST /_fake/pixels                      {"pixel", "token", "app_secret"?}
POST /_fake/revoke                      {"token"}, or {"pixel"}: whatever token it has
POST /_fake/renew                       {"pixel", "token"}
POST /_fake/drop                        every connection is closed
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from tests.meta.wire import Answer, Request

if TYPE_CHECKING:
    from tests.meta.server import FakeMeta

FAULTS = frozenset(
    {
        *("throttle", "fail", "refuse", "hang", "slow", "reset", "lose_answers", "short", "warn_version"),
        *("poison", "spoil"),
    }
)


class Control:
    """The control surface of one server."""

    def __init__(self, meta: FakeMeta) -> None:
        self._meta = meta
        self._ways: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
            ("GET", "accepted"): self._accepted,
            ("GET", "faulty"): lambda _: {"event_ids": sorted(meta.kept.faulty)},
            ("GET", "stats"): self._stats,
            ("POST", "faults"): self._fault,
            ("POST", "clear"): lambda _: meta.faults.clear(),
            ("POST", "pixels"): self._pixel,
            ("POST", "revoke"): self._revoke,
            ("POST", "renew"): lambda said: meta.renew(said["pixel"], said["token"]),
            ("POST", "drop"): lambda _: self._drop(),
            ("GET", "followed"): lambda _: self._followed(),
            ("POST", "followed"): lambda _: self._followed(),
        }

    def answer(self, request: Request) -> Answer:
        """200 with what is asked for; 404 for another path, 400 for what cannot be understood."""
        way = self._ways.get((request.method, request.path.removeprefix("/_fake/")))
        if way is None:
            return _answer(404, {"error": "there is no such thing"})
        try:
            return _answer(200, way({**request.query, **_body(request)}) or {})
        except (KeyError, TypeError, ValueError) as problem:
            return _answer(400, {"error": f"{type(problem).__name__}: {problem}"})

    def _accepted(self, said: dict[str, Any]) -> dict[str, Any]:
        pixel, limit = said.get("pixel"), int(said.get("limit", 100))
        keys = [key for key in self._meta.accepted if pixel in {None, key[0]}]
        shown = itertools.islice(reversed(keys), limit)
        return {"count": len(keys), "events": [self._shown(key) for key in shown]}

    def _shown(self, key: tuple[str, str, str]) -> dict[str, Any]:
        pixel, name, number = key
        event = self._meta.accepted[key] or {"event_name": name, "event_id": number}
        return {"pixel": pixel, "times": self._meta.received[key], "event": event}

    def _stats(self, _: dict[str, Any]) -> dict[str, Any]:
        meta = self._meta
        return {
            "accepted": len(meta.accepted),
            "received": meta.received.total(),
            "counted": meta.counted.total(),
            "tested": len(meta.tested),
            "unnamed": len(meta.kept.unnamed),
            "calls": len(meta.calls),
            "connections": meta.connections,
            "refused": meta.refused,
            "faults": meta.faults.names,
            "struck": meta.faults.struck,
            "leaks": meta.leaks,
            "oddities": meta.oddities,
        }

    def _drop(self) -> None:
        asyncio.get_running_loop().call_soon(self._meta.drop)  # after this answer

    def _followed(self) -> None:
        """Where the fault `fail(how="redirect")` leads."""
        self._meta.kept.leak("a redirect was followed")

    def _fault(self, said: dict[str, Any]) -> None:
        set_fault(self._meta, said)

    def _pixel(self, said: dict[str, Any]) -> None:
        self._meta.add_pixel(said["pixel"], said["token"], said.get("app_secret"))

    def _revoke(self, said: dict[str, Any]) -> None:
        self._meta.revoke(said["token"] if "token" in said else self._meta.pixels.token_of(said["pixel"]))


def set_fault(meta: FakeMeta, said: dict[str, Any]) -> None:
    """{"fault": NAME, and its arguments}. Raises KeyError, TypeError or ValueError."""
    name = said.pop("fault")
    if name not in FAULTS:
        raise ValueError(f"there is no fault {name}")
    getattr(meta.faults, name)(**said)


def _body(request: Request) -> dict[str, Any]:
    return msgspec.json.decode(request.body, type=dict[str, Any]) if request.body else {}


def _answer(status: int, said: Any) -> Answer:
    return Answer(status=status, body=msgspec.json.encode(said))
