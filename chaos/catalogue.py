"""The experiments that there are."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaoslib.loader import load_experiment

from chaos.figures.result import about_of
from domain.errors import ConfigError

FOLDER = Path(__file__).parent / "experiments"
FAST = "fast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One drill: its file, and what the file says of it. `needs`: root, postgres, chromium …; `fast`: part of CI's subset."""

    path: Path
    name: str
    title: str
    about: str
    tier: str
    covers: tuple[str, ...]
    needs: tuple[str, ...]
    fast: bool

    @property
    def missing(self) -> list[str]:
        """What it needs and this machine does not have, in words."""
        return [words for need in self.needs if (words := _missing(need))]

    def load(self) -> dict[str, Any]:
        """As Chaos Toolkit takes it."""
        return _load(self.path)


def experiments(folder: Path = FOLDER) -> list[Experiment]:
    """All of them, by name."""
    return sorted((experiment_at(path) for path in folder.glob("*.yaml")), key=lambda each: each.name)


def experiment_called(name: str) -> Experiment:
    """The one of that name; ConfigError with what there is."""
    found = {each.name: each for each in experiments()}
    if name not in found:
        raise ConfigError(f"there is no drill {name}; see `trilha drill list`")
    return found[name]


def experiment_at(path: Path) -> Experiment:
    """The one in that file."""
    content = _load(path)
    about = about_of(content)
    said = content["extensions"][0]
    return Experiment(
        path=path,
        name=about["name"],
        title=about["title"],
        about=about["about"],
        tier=about["tier"],
        covers=tuple(about["covers"]),
        needs=tuple(said.get("needs", ())),
        fast=FAST in content.get("tags", ()),
    )


def _load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = load_experiment(str(path))
    return content


def _missing(need: str) -> str:
    """Why that need is not met here; empty when it is. ConfigError for a need that nobody knows."""
    if need == "root":
        return "" if os.geteuid() == 0 else "needs root"
    if need == "tmpfs":
        return "" if os.geteuid() == 0 and shutil.which("mount") else "needs root and mount, for a tmpfs"
    raise ConfigError(f"nobody knows what {need} is")
