"""A process of its own: reads `[[key, value], …]` as JSON and writes what the SDK makes of each, its text and its digest.

Only the normaliser is loaded, by its file: the package around it needs an HTTP client or two.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any


def normaliser(directory: str) -> Any:
    sys.path.insert(0, directory)
    path = Path(directory, "facebook_business", "adobjects", "serverside", "normalize.py")
    spec = importlib.util.spec_from_file_location("normalize", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Normalize


def made(sdk: Any, key: str, value: str) -> dict[str, str | None]:
    try:
        return {
            "text": sdk.normalize_field_skip_hashing(key, value),
            "digest": sdk.normalize_field(key, value),
        }
    except (TypeError, ValueError, AttributeError) as error:
        return {"error": type(error).__name__}


if __name__ == "__main__":
    sdk = normaliser(sys.argv[1])
    json.dump([made(sdk, key, value) for key, value in json.load(sys.stdin)], sys.stdout)
