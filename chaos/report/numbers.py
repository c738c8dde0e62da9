"""Numbers as a reader wants them: as many digits as mean something, with their unit."""

from __future__ import annotations

from chaos.report.result import Bound

NONE = "–"


def count(value: float | None) -> str:
    """`1,800`; a dash where nothing was measured."""
    return NONE if value is None else f"{value:,.0f}"


def ms(value: float | None) -> str:
    """A time given in milliseconds: `0.4 ms`, `31 ms`, `1.2 s`."""
    if value is None:
        return NONE
    return seconds(value / 1000) if value >= 999.5 else f"{_short(value)} ms"


def seconds(value: float | None) -> str:
    """A time given in seconds: `1.2 s`, `24 s`, `13 min 32 s`."""
    if value is None:
        return NONE
    if value < 100:
        return f"{_short(value)} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes:,} min {rest} s" if rest else f"{minutes:,} min"


def share(part: float, whole: float) -> str:
    """`71 %`. What is not quite all or not quite nothing is never rounded to it; a dash of nothing at all."""
    return percent(part / whole) if whole else NONE


def percent(value: float | None) -> str:
    """A share between 0 and 1 as `71 %`, with the honesty of `share`."""
    if value is None:
        return NONE
    if 0 < value < 0.01:
        return "< 1 %"
    return "> 99 %" if 0.99 < value < 1 else f"{value * 100:.0f} %"


def bound(value: Bound, unit: str) -> str:
    """A promise's bound or its measured value, with its unit."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{_digits(value)} {unit}".strip()
    return NONE if value is None else f"{value} {unit}".strip()


def counted(number: float, one: str, many: str | None = None) -> str:
    """`1 visitor`, `1,800 visitors`."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def _digits(value: float) -> str:
    # Two of a bound's digits after the point: 60.04 is not within 60.
    digits = f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}"
    return digits.rstrip("0").removesuffix(".") if "." in digits else digits


def _short(value: float) -> str:
    if 0 < value < 0.05:
        return "< 0.1"
    # 9.96 would be written 10.0 with one digit and 10 with none.
    return f"{value:.1f}" if 0 < abs(value) < 9.95 else f"{value:.0f}"
