"""The probe of every steady-state hypothesis.

Before the method it speaks of the calm beginning, afterwards of the whole drill once all is settled.
"""

from __future__ import annotations

from chaos.figures.measure import measure
from chaos.figures.promises import broken_words, kept_or_not, standard_with
from chaos.toolkit.current import current, drill


def broken_promises(at_most: dict[str, float | None]) -> list[str]:
    """Which promises are not kept, in words; none is what the hypothesis tolerates.

    `at_most`: bounds by figure, on top of what every drill promises (chaos/figures/promises.py); null makes no promise.
    """
    now = current()
    if now.measured is None:
        now.measured = measure(drill())
    return [
        broken_words(each) for each in kept_or_not(standard_with(at_most), now.measured) if not each["held"]
    ]
