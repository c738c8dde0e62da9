"""Whether fewer clicks become starts than did: one link's last hours against the same hours of its own last 7 days. Pure."""

from dataclasses import dataclass
from math import lgamma, log

FEWEST_BEFORE = 50
"""Starts in the 7 days, from which on a rate is known well enough (within 14 %) to be compared with."""
NOTABLE = 0.7
"""A rate that is still this share of what it was worries nobody, however many clicks prove it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Clicks of people on one link, and those of them that became starts: now, and in the same hours of 7 days."""

    clicks: int
    starts: int
    clicks_before: int
    starts_before: int


def surprise(rates: Rates) -> float:
    """How unlikely so few starts are if nothing has changed: -log10 of the chance. 4 is one in ten thousand.

    Binomial: where fewer than 9 starts were to be expected, not even none at all is a surprise of 4. 0 when the rate is not known, or has
    not fallen to NOTABLE of what it was.
    """
    if rates.starts_before < FEWEST_BEFORE or not rates.clicks:
        return 0.0
    before = min(1.0, rates.starts_before / rates.clicks_before) if rates.clicks_before else 1.0
    if rates.starts >= NOTABLE * before * rates.clicks:
        return 0.0
    return round(-log10_at_most(rates.starts, rates.clicks, before), 3)


def log10_at_most(most: int, tries: int, chance: float) -> float:
    """log10 of the binomial chance of at most that many of `tries`, where `most` is below their mean."""
    if chance >= 1.0:
        return -999.0 if most < tries else 0.0
    # Each term is the one after it times a ratio below 1: the sum ends where nothing is added any more.
    ratio, term, total = (1 - chance) / chance, 1.0, 1.0
    for successes in range(most, 0, -1):
        term *= successes * ratio / (tries - successes + 1)
        total += term
        if term < total * 1e-12:
            break
    return (_log_chance(most, tries, chance) + log(total)) / log(10)


def _log_chance(successes: int, tries: int, chance: float) -> float:
    """The natural logarithm of the chance of exactly that many."""
    ways = lgamma(tries + 1) - lgamma(successes + 1) - lgamma(tries - successes + 1)
    return ways + successes * log(chance) + (tries - successes) * log(1 - chance)
