"""What was added to a click, as columns of its row and back."""

from typing import Any

from sqlalchemy import Row

from domain.enrichment import Agent, Enrichment, Geo, Reason, Score, Scores, Traffic

_GEO = ("country", "region", "city", "asn", "geo_source")
_AGENT = ("device", "os", "os_version", "browser", "browser_version", "app", "automation", "robot")
_TRAFFIC = ("traffic_class", "evidence", "tentative")
_SCORES = ("bot_score", "fraud_score", "reasons", "baseline_bot", "baseline_fraud")
ENRICHMENT_COLUMNS = (*_GEO, *_AGENT, *_TRAFFIC, *_SCORES, "repeats")


def enrichment_values(enrichment: Enrichment) -> dict[str, Any]:
    """The columns' values."""
    geo, agent, traffic, scores, repeats = enrichment
    values: dict[str, Any] = dict(zip(_GEO, geo, strict=True))
    values.update(zip(_AGENT, agent, strict=True))
    values.update(zip(_TRAFFIC, (traffic.kind, list(traffic.evidence), traffic.tentative), strict=True))
    values.update(
        bot_score=scores.bot.points,
        fraud_score=scores.fraud.points,
        reasons={"bot": scores.bot.reasons, "fraud": scores.fraud.reasons},
        baseline_bot=scores.baseline_bot,
        baseline_fraud=scores.baseline_fraud,
        repeats=repeats,
    )
    return values


def enrichment_of(row: Row[Any]) -> Enrichment | None:
    """What the row holds, or None when nothing was added yet."""
    if row.traffic_class is None:
        return None
    values = row._mapping  # noqa: SLF001  SQLAlchemy's public name for it
    reasons = row.reasons or {}
    return Enrichment(
        geo=Geo(*(values[name] for name in _GEO)),
        agent=Agent(*(values[name] for name in _AGENT)),
        traffic=Traffic(row.traffic_class, tuple(row.evidence or ()), bool(row.tentative)),
        scores=Scores(
            bot=Score(row.bot_score or 0, _reasons(reasons.get("bot"))),
            fraud=Score(row.fraud_score or 0, _reasons(reasons.get("fraud"))),
            baseline_bot=row.baseline_bot or 0,
            baseline_fraud=row.baseline_fraud or 0,
        ),
        repeats=row.repeats or 0,
    )


def _reasons(stored: list[list[Any]] | None) -> tuple[Reason, ...]:
    return tuple(Reason(*reason) for reason in stored or ())
