"""Switches: a folder through which a drill turns faults on and off in processes that run.

`NAME.json` is there while the fault is on, and holds its settings. Each process that knows the fault leaves a link
`NAME.PID.seen` that names what it has seen last: making a link takes no file descriptor, so that a process that has
none left can still answer.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

VARIABLE = "CHAOS_SWITCHES"
LOOK_SECONDS = 0.01
LIMIT_SECONDS = 5.0
OFF = "off"
FAILED = "failed: "
MAX_REASON = 300
Given = Mapping[str, Any]
Change = Callable[[Given | None], None]


class SwitchFailed(Exception):
    """A process did not say in time that it has seen a switch, or says that it cannot do what it was told to."""


@dataclass(slots=True)
class _Watched:
    """A switch as this process saw it last. signature: of its file, None while there is none."""

    change: Change
    digest: str = OFF
    signature: tuple[int, int] | None = None


class Switches:
    """Both ends: `on` and `off` are the drill's, `watch` and `start` are the process's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._watched: dict[str, _Watched] = {}
        folder.mkdir(parents=True, exist_ok=True)

    # ------------------------------------------------------------ the drill's end

    def on(self, name: str, **settings: Any) -> None:
        """Returns once every process that knows the fault has it on, or has ended since. SwitchFailed after 5 s, or if
        there is none.
        """
        watchers = self._watchers(name)
        if not watchers:
            raise SwitchFailed(f"no process knows the fault {name}")
        self._await(name, self.before_start(name, **settings), watchers)

    def before_start(self, name: str, **settings: Any) -> str:
        """On for processes that are yet to start, from their first moment. Returns the digest that they will answer with."""
        content = json.dumps({"at": time.time_ns(), "settings": settings}).encode()
        new = self._folder / f"{name}.new"
        new.write_bytes(content)
        new.replace(self._file(name))
        return _digest(content)

    def off(self, name: str) -> None:
        """Returns once every process that knows the fault has it off. SwitchFailed after 5 s."""
        watchers = self._watchers(name)
        self._file(name).unlink(missing_ok=True)
        self._await(name, OFF, watchers)

    def _await(self, name: str, wanted: str, watchers: list[int]) -> None:
        deadline = time.monotonic() + LIMIT_SECONDS
        for pid in watchers:
            while (said := self._said(name, pid)) != wanted and _lives(pid):
                if said.startswith(FAILED + wanted):
                    raise SwitchFailed(f"{name} in process {pid}: {said.removeprefix(FAILED + wanted)}")
                if time.monotonic() > deadline:
                    raise SwitchFailed(f"process {pid} did not see the switch {name}")
                time.sleep(LOOK_SECONDS / 2)

    def _watchers(self, name: str) -> list[int]:
        seen = (path.name.split(".")[-2] for path in self._folder.glob(f"{name}.*.seen"))
        return [int(pid) for pid in seen if pid.isdigit() and _lives(int(pid))]

    def _said(self, name: str, pid: int) -> str:
        with suppress(FileNotFoundError):
            return str(self._seen(name, pid).readlink())
        return ""

    # ------------------------------------------------------------ the process's end

    def watch(self, name: str, change: Change) -> None:
        """Call `change` with the settings when the fault goes on, and with None when it goes off; at once if it is on."""
        self._watched[name] = _Watched(change)
        self._say(name, OFF)
        self._look_at(name)

    def start(self) -> None:
        """From now on a thread of this process looks every 10 ms."""
        threading.Thread(target=self._look_on, name="switches", daemon=True).start()

    def _look_on(self) -> None:
        pause = threading.Event()  # never set
        while not pause.wait(LOOK_SECONDS):
            for name in self._watched:
                self._look_at(name)

    def _look_at(self, name: str) -> None:
        watched, file = self._watched[name], self._file(name)
        signature = _signature(file)
        if signature == watched.signature:
            return
        try:
            content = None if signature is None else file.read_bytes()
        except OSError:
            return  # gone again, or there is no descriptor left: at the next look
        watched.signature = signature
        digest = OFF if content is None else _digest(content)
        if digest != watched.digest:
            watched.digest = digest
            self._say(name, _changed(watched, None if content is None else json.loads(content)["settings"]))

    def _say(self, name: str, what: str) -> None:
        seen = self._seen(name, os.getpid())
        new = seen.with_suffix(".new")
        new.unlink(missing_ok=True)
        new.symlink_to(what)
        new.replace(seen)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _seen(self, name: str, pid: int) -> Path:
        return self._folder / f"{name}.{pid}.seen"


def _changed(watched: _Watched, given: Given | None) -> str:
    try:
        watched.change(given)
    except Exception as error:  # noqa: BLE001  the drill is told, and the process goes on
        return f"{FAILED}{watched.digest} {type(error).__name__}: {error}"[:MAX_REASON].replace("\0", "")
    return watched.digest


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _signature(file: Path) -> tuple[int, int] | None:
    with suppress(FileNotFoundError):
        found = file.stat()
        return found.st_ino, found.st_mtime_ns
    return None


def _lives(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False
