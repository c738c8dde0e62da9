"""The report as JSON. Its names are documented and stay (docs/reference/report.md); shares are 0 to 1, times ISO 8601."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from analytics.figures.clicks import Counts
from analytics.figures.links import Earned
from analytics.figures.sold import Sold
from analytics.report.comparing import Arm, Comparison
from analytics.report.places import Listed, value_name
from analytics.report.report import Report
from analytics.report.table import decimal
from analytics.shares import Share
from analytics.waits import Waits
from domain.clock import iso
from domain.conversions import Money
from domain.rollups import WAIT_SECONDS


def report_json(report: Report) -> dict[str, Any]:
    """The whole of it."""
    return {
        "period": {
            "first": report.period.first.isoformat(),
            "last": report.period.last.isoformat(),
            "zone": report.period.zone.key,
            "since": iso(report.period.since_ms),
            "until": iso(report.period.until_ms),
        },
        "made_at": iso(report.made_at_ms),
        "link": report.slug,
        "rollups_zone": report.rolled_zone,
        "books": _books(report),
        "clicks": _totals(report),
        "starts": {
            "attributed": report.started("attributed"),
            "taken": report.started("taken"),
            "direct": report.started("direct"),
            "by_bot": [asdict(each) for each in report.starts],
        },
        "days": [{"day": each.day.isoformat(), **_counts(each.counts)} for each in report.days],
        "wait": _waits(report.waits),
        "events": [_sold(each) for each in report.events],
        "deliveries": [asdict(each) | {"delivered": each.delivered.share} for each in report.lanes],
        "unsent": [asdict(each) | {"value": _money(each.value)} for each in report.unsent],
        "traits": {each.trait: _listed(each) for each in report.traits},
        "links": [
            {"link": each.slug, "id": each.link_id, "name": each.name, **_earned(each.earned)}
            for each in report.links
        ],
        "ads": [
            {
                "link": each.slug,
                "ad_key": each.ad_key.hex(),
                "ad": each.ad._asdict() if each.ad else None,
                **_earned(each.earned),
            }
            for each in report.ads
        ],
        "anomalies": [asdict(each) for each in report.anomalies],
        "comparisons": [_comparison(each) for each in report.comparisons],
    }


def _books(report: Report) -> dict[str, Any]:
    books = report.books
    names = ("issued", "synced", "written", "token_only", "visible", "spooled")
    return {
        **{name: getattr(books, name) for name in names},
        "capture": _share(books.capture),
        "in_sql": books.in_sql,
        "in_spools": report.in_spools,
        "balanced": not report.faults,
        "faults": report.faults,
        "changes_waiting": books.waiting.changes,
    }


def _totals(report: Report) -> dict[str, Any]:
    totals = report.totals
    return {
        **_counts(totals.counts),
        "match": _share(totals.counts.match),
        "clicks_with_fbclid": totals.clicks_with_fbclid,
        "starts_with_address": totals.with_address,
        "starts_with_agent": totals.with_agent,
        "starts_with_fbclid": totals.with_fbclid,
        "erased": totals.erased,
    }


def _counts(counts: Counts) -> dict[str, Any]:
    return {**asdict(counts), "match": counts.match.share}


def _share(share: Share) -> dict[str, Any]:
    return {"share": share.share, "low": share.low, "high": share.high}


def _waits(waits: Waits) -> dict[str, Any]:
    ends = (*WAIT_SECONDS, None)
    return {
        "starts": waits.starts,
        "mean_seconds": waits.mean,
        "p50_seconds": waits.p50,
        "p95_seconds": waits.p95,
        "bins": [{"up_to": end, "starts": starts} for end, starts in zip(ends, waits.counts, strict=True)],
    }


def _sold(sold: Sold) -> dict[str, Any]:
    money = sold.money
    return {
        "event": sold.event,
        "events": sold.events,
        "value": decimal(money) if money else None,
        "currency": money.currency if money else None,
    }


def _money(values: Iterable[Money]) -> list[dict[str, str]]:
    return [{"value": decimal(each), "currency": each.currency} for each in values]


def _listed(listed: Listed) -> dict[str, Any]:
    values = [
        {"value": each.value, "shown": value_name(listed.trait, each.value), **_counts(each.counts)}
        for each in listed.top
    ]
    return {
        "values": values,
        "other": {"values": listed.others, **_counts(listed.other)},
        "not_known": _counts(listed.unknown),
        "advice": listed.advice,
    }


def _earned(earned: Earned) -> dict[str, Any]:
    return {
        **_counts(earned.counts),
        "wait_p50_seconds": earned.waits.p50,
        "wait_mean_seconds": earned.waits.mean,
        "sales": earned.sales,
        "revenue": _money(earned.revenue),
        "sold": [_sold(each) for each in earned.sold],
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    found = comparison.difference
    return {
        "measure": comparison.measure,
        "first": _arm(comparison.first, comparison),
        "second": _arm(comparison.second, comparison),
        "difference": asdict(found) | {"certain": found.certain} if found else None,
        "needed_each": comparison.needed,
        "verdict": comparison.verdict,
    }


def _arm(arm: Arm, comparison: Comparison) -> dict[str, Any]:
    return {**asdict(arm), "share": _share(arm.share(comparison.measure))}
