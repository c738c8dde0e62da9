"""Static files: read once at start, and addressed by what they hold, so that a browser may keep them for good."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

FOLDER = Path(__file__).with_name("static")
KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Assets:
    """The files by name: kind, content and the head of its SHA-256."""

    files: Mapping[str, tuple[str, bytes, str]]

    def url(self, name: str) -> str:
        """Where a page finds it. KeyError for a file that there is not."""
        return f"/static/{name}?v={self.files[name][2]}"

    async def serve(self, request: Request) -> Response:
        """The file; kept for good only under the address that says what it holds."""
        found = self.files.get(request.path_params["name"])
        if found is None:
            return PlainTextResponse("no such file\n", 404, headers={"cache-control": "no-store"})
        kind, content, digest = found
        kept = FOR_GOOD if request.query_params.get("v") == digest else "no-cache"
        return Response(content, media_type=kind, headers={"cache-control": kept})


def load_assets(folder: Path = FOLDER) -> Assets:
    """Every style sheet, script and picture of the folder."""
    return Assets({path.name: _read(path) for path in sorted(folder.iterdir()) if path.suffix in KINDS})


def _read(path: Path) -> tuple[str, bytes, str]:
    content = path.read_bytes()
    return KINDS[path.suffix], content, hashlib.sha256(content).hexdigest()[:16]
