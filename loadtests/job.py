"""What the generator's process is told, in a file of its own: nothing of it is an argument, and the API key is a path."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from loadtests.arrivals import Segment, Shape

JOB = "LOAD_JOB"  # the variable that names the file
PROGRESS = "progress.jsonl"
RESULT = "result.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run. `users` are Locust's, which is how many requests may wait for an answer at once. `grace`: seconds for the last."""

    shape: Shape
    mix: str
    seed: int
    public: str
    private: str
    api_key_file: str
    users: int
    grace: float
    think: float
    folder: str

    def write(self) -> Path:
        """Into its folder, for its owner alone."""
        file = Path(self.folder) / "job.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return file

    @classmethod
    def read(cls, file: Path) -> Job:
        """As it was written."""
        said = json.loads(file.read_text(encoding="utf-8"))
        shape = said["shape"]
        segments = tuple(Segment(**segment) for segment in shape.pop("segments"))
        return cls(**(said | {"shape": Shape(segments=segments, **shape)}))


def users_for(shape: Shape) -> int:
    """A quarter of a second's requests at the peak, which a server that answers in time never needs."""
    return int(min(800, max(40, shape.peak / 4)))
