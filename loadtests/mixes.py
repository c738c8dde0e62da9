"""Who comes how often: shares of a hundred arrivals, by the name of the Locust user (users/)."""

from __future__ import annotations

import random

MIXES = {
    # The owner's: people who tap on ads, people who also press START, and bots that ask the API.
    "owner": {"ad_clicker": 80, "starter": 15, "api_bot": 5},
    # Nobody in it is a customer. None of them may slow the daemon down, or get anything but what is documented.
    "hostile": {"crawler": 35, "prefetcher": 25, "attacker": 40},
}


def draw(mix: dict[str, int], chance: random.Random) -> str:
    """One user's name."""
    return chance.choices(list(mix), list(mix.values()))[0]


def users_of(mix: dict[str, int], number: int) -> dict[str, int]:
    """How many of each of so many users, two at least: what waits for an answer is then waited for by its own kind."""
    return {name: max(2, round(number * share / sum(mix.values()))) for name, share in mix.items()}
