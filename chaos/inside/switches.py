"""x."""

from pathlib import Path


class Switches:
    """x."""

    def __init__(self, folder: Path) -> None:
        """x."""
