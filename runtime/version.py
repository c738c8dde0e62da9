"""The release that this process is of. What `pip` puts on the disk later changes nothing about that."""

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("trilha")
    except PackageNotFoundError:
        return "unknown"


VERSION = _installed()
