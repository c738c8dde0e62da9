"""Two scores of a click, and beside them the two of the product owner's first formulas, to compare with.

*Invariant:* a score is written down and shown. It blocks nobody, and no answer to a visitor or a bot depends on it.
"""

from collections.abc import Iterable

from daemon.enrich.evidence import Evidence
from daemon.enrich.signals import BOT_SIGNALS, FRAUD_SIGNALS, Signal
from domain.enrichment import Reason, Score, Scores

MOST = 100
BOT_FROM = 50
"""Points from which a report counts a click as one with no person behind it."""
FRAUD_FROM = 50
"""Points from which a report counts a click as fraud."""


def bot_score(evidence: Evidence) -> Score:
    """How much speaks for a program without a person behind it: 0 to 100, with every signal that counted."""
    return _sum(BOT_SIGNALS, evidence)


def fraud_score(evidence: Evidence) -> Score:
    """How much speaks for a click made to look like an honest visitor's: 0 to 100, with every signal that counted."""
    return _sum(FRAUD_SIGNALS, evidence)


def baseline_bot(evidence: Evidence) -> int:
    """The owner's first formula, to the letter: 50 bot's user agent + 30 over 5 users + 20 start under 2 s."""
    points = 50 * (evidence.automation is not None)
    points += 30 * (evidence.visitor_users > 5)
    points += 20 * (evidence.click_to_start_s is not None and evidence.click_to_start_s < 2)
    return min(MOST, points)


def baseline_fraud(evidence: Evidence) -> int:
    """The owner's first formula, to the letter: 40 not BR + 30 no fbclid + 20 at 3 to 6 h + 10 bot.

    An unknown country is not BR. The hours are 3, 4, 5 and 6: 03:00 to 06:59. A bot is one by `baseline_bot`.
    """
    points = 40 * (evidence.country != "BR")
    points += 30 * (not evidence.has_fbclid)
    points += 20 * (3 <= evidence.local_hour <= 6)
    points += 10 * (baseline_bot(evidence) >= BOT_FROM)
    return min(MOST, points)


def scores(evidence: Evidence) -> Scores:
    """All four."""
    return Scores(
        bot=bot_score(evidence),
        fraud=fraud_score(evidence),
        baseline_bot=baseline_bot(evidence),
        baseline_fraud=baseline_fraud(evidence),
    )


def _sum(signals: Iterable[Signal], evidence: Evidence) -> Score:
    seen = ((signal, signal.applies(evidence)) for signal in signals)
    reasons = tuple(Reason(signal.name, signal.weight, text) for signal, text in seen if text is not None)
    return Score(min(MOST, sum(reason.weight for reason in reasons)), reasons)
