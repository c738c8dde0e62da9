"""Meta says that there were too many calls."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaThrottled:
    """Every call is refused: by HTTP 429 and Retry-After (seconds), or (code 0) by any of the codes that Meta throttles with."""

    code: int = 429
    retry_after: int = 1

    @property
    def says(self) -> str:
        """For the report."""
        return f"Meta throttles ({self.code or 'its own codes'})"

    def begin(self, stage: Stage) -> None:
        """As of the next call."""
        stage.the_meta.trouble("throttle", code=self.code or None, retry_after=self.retry_after)

    def end(self, stage: Stage) -> None:
        """Calls are taken again."""
        stage.the_meta.order("clear")
