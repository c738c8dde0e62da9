"""How long starts took after their clicks, read off the bins of the rollups. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.rollups import WAIT_SECONDS

BINS = len(WAIT_SECONDS) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Seconds from click to start. `p50` and `p95` are interpolated within a bin, `mean` is exact; None without starts.

    `counts` are the starts of each bin of `domain.rollups.WAIT_SECONDS`. The last bin has no end: a percentile in it is told
    as that bin's begin.
    """

    counts: tuple[int, ...]
    mean: float | None
    p50: float | None
    p95: float | None

    @classmethod
    def of(cls, by_bin: Mapping[str, int], wait_ms: int) -> "Waits":
        """From starts by bin ("00" to "16") and the sum of their waits in milliseconds."""
        counts = tuple(max(0, by_bin.get(f"{number:02}", 0)) for number in range(BINS))
        starts = sum(counts)
        return cls(
            counts=counts,
            mean=wait_ms / 1000 / starts if starts else None,
            p50=percentile(counts, 0.50),
            p95=percentile(counts, 0.95),
        )

    @property
    def starts(self) -> int:
        """How many starts these are of."""
        return sum(self.counts)


def percentile(counts: tuple[int, ...], share: float) -> float | None:
    """Seconds that `share` of the starts did not exceed, as if each bin were filled evenly.

    In the last bin, which has no end, it is the bin's begin: the true value is at least that.
    """
    wanted = share * sum(counts)
    below = 0
    for number, count in enumerate(counts):
        if count and below + count >= wanted:
            return _within(number, (wanted - below) / count)
        below += count
    return None


def _within(number: int, part: float) -> float:
    begin = WAIT_SECONDS[number - 1] if number else 0
    end = WAIT_SECONDS[number] if number < len(WAIT_SECONDS) else begin
    return begin + part * (end - begin)


def bin_name(number: int) -> str:
    """The bin in words, such as "5-10 s"."""
    if number == len(WAIT_SECONDS):
        return f"> {_short(WAIT_SECONDS[-1])}"
    begin = WAIT_SECONDS[number - 1] if number else 0
    return f"{_short(begin)} - {_short(WAIT_SECONDS[number])}"


def _short(seconds: int) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and not seconds % size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
