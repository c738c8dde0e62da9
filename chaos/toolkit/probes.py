"""The probe of every steady-state hypothesis.

Before the method it speaks of the calm beginning, afterwards of the whole drill once all is settled.
"""

from __future__ import annotations

from chaos.figures.measure import measure
from chaos.figures.promises import broken_words, kept_or_not, standard_with
from chaos.toolkit.current import current, drill


def promises(at_most: dict[str, float | None]) -> str:
    """The word that the hypothesis tolerates, or which promises are not kept, in words.

    `at_most`: bounds by figure, on top of what every drill promises (chaos/figures/promises.py); null makes no promise.
    """
    now = current()
    if now.measured is None:
        now.measured = measure(drill())
    each_one = kept_or_not(standard_with(at_most), now.measured, judge_times=now.judge_times)
    return "; ".join(broken_words(each) for each in each_one if not each["held"]) or "kept"
