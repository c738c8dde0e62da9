"""The report as tables, in the order in which they are read."""

from collections.abc import Iterator, Sequence

from analytics.figures.clicks import Counts, Trait
from analytics.figures.links import AdFigures, Earned
from analytics.report import words
from analytics.report.comparing import Comparison
from analytics.report.places import TITLES, Listed, value_name
from analytics.report.report import Report
from analytics.report.rules import RULES
from analytics.report.table import Cell, Table, column, cropped, for_files
from analytics.shares import Share
from analytics.waits import bin_name
from domain.click import Ad

DIRECT = "direct: opened the bot without an ad. No click belongs to them, and none is missing"
KINDS = {
    "attributed": "with a click of ours, which is theirs",
    "taken": "with a token that is somebody else's",
    "direct": DIRECT,
}
COUNTS = (
    column("clicks", "clicks", "count"),
    column("starts", "starts", "count"),
    column("match", "match", "share"),
)
EARNED = (
    *COUNTS,
    column("alone", "alone", "count"),
    column("wait_p50", "wait", "seconds"),
    column("sales", "sales", "count"),
    column("value", "value", "amounts"),
)
EARNED_ABOUT = (
    "Match: starts of clicks. Alone: starts known by their token only. Wait: the median from click to start. "
    "Sales and value are of these clicks, whenever they came."
)


def tables(report: Report) -> tuple[Table, ...]:
    """All of them; those of comparisons only when something is compared."""
    return (
        _anomalies(report),
        *((_comparisons(report),) if report.comparisons else ()),
        _figures(report),
        _books(report),
        _starts(report),
        _days(report),
        _waits(report),
        _events(report),
        _lanes(report),
        _unsent(report),
        _best(report),
        _links(report),
        _ads(report),
        *map(_trait, report.traits),
    )


def _anomalies(report: Report) -> Table:
    columns = (
        column("rule", "rule"),
        column("subject", "of"),
        column("figure", "found"),
        column("expected", "expected"),
        column("why", "why it matters"),
        column("look", "look at"),
    )
    rows = [(RULES[e.rule].title, e.subject, e.figure, e.expected, e.why, e.look) for e in report.anomalies]
    return Table(
        name="anomalies",
        title="What stands out",
        columns=columns,
        rows=rows,
        headline=2,
        empty="nothing stands out",
    )


def _comparisons(report: Report) -> Table:
    columns = (
        column("measure", "measure"),
        column("verdict", "verdict"),
        column("first", "first"),
        column("first_share", "its share", "share"),
        column("second", "second"),
        column("second_share", "its share", "share"),
        column("difference", "difference", "points"),
        column("low", "at least", "points"),
        column("high", "at most", "points"),
    )
    about = "Second less first in percentage points, with Newcombe's 95 % interval."
    rows = list(map(_compared, report.comparisons))
    return Table(name="comparisons", title="Compared", columns=columns, rows=rows, about=about, headline=2)


def _compared(each: Comparison) -> tuple[Cell, ...]:
    found = each.difference
    ends = (found.difference, found.low, found.high) if found else (None, None, None)
    first, second = each.first.share(each.measure), each.second.share(each.measure)
    return (
        f"{each.measure} of clicks",
        each.verdict,
        each.first.name,
        first,
        each.second.name,
        second,
        *ends,
    )


def _figures(report: Report) -> Table:
    totals, counts = report.totals, report.totals.counts
    columns = (
        column("figure", "figure"),
        column("value", "number", "count"),
        column("share", "share (95 % interval)", "share"),
        column("of", "of"),
    )

    def of_starts(number: int) -> Share:
        return Share.of(number, counts.starts)

    rows: list[Sequence[Cell]] = [
        ("clicks", counts.clicks, None, ""),
        ("started", counts.starts, counts.match, "clicks (match rate)"),
        ("starts known by token only (alone)", counts.alone, None, ""),
        ("starts in all", counts.users, None, ""),
        ("starts with IP address", totals.with_address, of_starts(totals.with_address), "starts"),
        ("starts with user agent", totals.with_agent, of_starts(totals.with_agent), "starts"),
        ("starts with fbclid", totals.with_fbclid, of_starts(totals.with_fbclid), "starts"),
        (
            "clicks with fbclid",
            totals.clicks_with_fbclid,
            Share.of(totals.clicks_with_fbclid, counts.clicks),
            "clicks",
        ),
        ("clicks of people who were erased", totals.erased, None, ""),
    ]
    about = "A start counts on the day of its click, whenever it came."
    return Table(name="figures", title="Clicks and starts", columns=columns, rows=rows, about=about)


def _books(report: Report) -> Table:
    books = report.books

    def row(name: str, number: int) -> tuple[str, int, float | None]:
        return name, number, number / books.issued if books.issued else None

    rows = [
        row("issued", books.issued),
        row("synced", books.synced),
        row("written", books.written),
        row("token only", books.token_only),
        row("visible in Redis", books.visible),
        row("captured (synced and written)", books.promised),
        row("in SQL", books.in_sql),
        row("waiting in spools", report.in_spools),
    ]
    columns = (
        column("figure", "figure"),
        column("value", "clicks", "count"),
        column("share", "share", "share"),
    )
    verdict = (
        "The books balance." if not report.faults else "THE BOOKS DO NOT BALANCE: " + "; ".join(report.faults)
    )
    return Table(
        name="books",
        title="The books (all links)" if report.slug else "The books",
        columns=columns,
        rows=rows,
        about=f"{verdict} {still_counted(report)}",
        advice="trilha accounting; trilha doctor" if report.faults else "",
    )


def still_counted(report: Report) -> str:
    """How much is not in these figures yet."""
    changes = report.books.waiting.changes
    if not changes:
        return "Every change is counted."
    return f"{words.count(changes)} changes still being counted."


def _starts(report: Report) -> Table:
    columns = (
        column("bot", "bot"),
        column("kind", "kind"),
        column("starts", "starts", "count"),
        column("about", "what that is"),
    )
    rows = [
        (
            f"@{each.bot}" if each.bot else f"bot {each.bot_id}",
            each.kind,
            each.starts,
            KINDS.get(each.kind, ""),
        )
        for each in report.starts
    ]
    about = "By the moment of the start."
    return Table(
        name="starts",
        title="Starts by kind (all links)" if report.slug else "Starts by kind",
        columns=columns,
        rows=rows,
        about=about,
    )


def _days(report: Report) -> Table:
    rows = [(each.day.isoformat(), *_counts(each.counts)) for each in report.days]
    return Table(
        name="days",
        title="Days",
        columns=(column("day", "day"), *COUNTS),
        rows=rows,
        bar="clicks",
        short=31,
        about=f"Days of {report.period.zone.key}.",
    )


def _waits(report: Report) -> Table:
    waits = report.waits
    rows = [(bin_name(number), starts) for number, starts in enumerate(waits.counts) if waits.starts]
    mean, p50, p95 = map(words.seconds, (waits.mean, waits.p50, waits.p95))
    about = f"Mean {mean}, median {p50}, 95 % within {p95}: the last two are interpolated within these bins."
    return Table(
        name="waits",
        title="From click to start",
        columns=(column("wait", "wait"), column("starts", "starts", "count")),
        rows=rows,
        about=about if waits.starts else "",
        bar="starts",
        short=20,
    )


def _events(report: Report) -> Table:
    columns = (
        column("event", "event"),
        column("events", "events", "count"),
        column("value", "value", "amounts"),
    )
    rows = [(each.event, each.events, (each.money,) if each.money else ()) for each in report.events]
    about = "Each event once, however many destinations it has, by its own moment."
    return Table(name="events", title="Conversions", columns=columns, rows=rows, about=about)


def _lanes(report: Report) -> Table:
    columns = (
        column("destination", "destination"),
        column("sent", "sent", "count"),
        column("pending", "pending", "count"),
        column("failed", "failed", "count"),
        column("skipped", "skipped", "count"),
        column("delivered", "delivered", "share"),
    )
    rows = [
        (words.destination(e.lane), e.sent, e.pending, e.failed, e.skipped, e.delivered.share)
        for e in report.lanes
    ]
    about = "Delivered: sent of all that were to be sent. Skipped ones were not."
    return Table(name="deliveries", title="Deliveries", columns=columns, rows=rows, about=about)


def _unsent(report: Report) -> Table:
    columns = (
        column("events", "events", "count"),
        column("event", "event"),
        column("destination", "destination"),
        column("state", "state"),
        column("reason", "reason"),
        column("value", "value", "amounts"),
        column("advice", "what to do"),
    )
    rows = [
        (e.events, e.event, words.destination(e.lane), e.state, e.reason or "-", e.value, e.advice)
        for e in report.unsent
    ]
    return Table(
        name="unsent",
        title="Not sent",
        columns=columns,
        rows=rows,
        headline=4,
        empty="everything was sent",
    )


def _best(report: Report) -> Table:
    columns = (
        cropped("ad"),
        column("link", "link"),
        column("sales", "sales", "count"),
        column("value", "value", "amounts"),
        column("clicks", "clicks", "count"),
    )
    rows = [
        (
            _ad(each),
            each.slug or f"link {each.link_id}",
            each.earned.sales,
            each.earned.revenue,
            each.earned.counts.clicks,
        )
        for each in report.best
    ]
    about = "Sales of the clicks of this period, whenever they came."
    return Table(
        name="best",
        title="What sold best",
        columns=columns,
        rows=rows,
        about=about,
        bar="sales",
        empty="no sale yet",
    )


def _links(report: Report) -> Table:
    rows = [
        (each.slug or f"link {each.link_id}", each.name or "-", *_earned(each.earned))
        for each in report.links
    ]
    return Table(
        name="links",
        title="Links",
        columns=(column("link", "link"), cropped("name"), *EARNED),
        rows=rows,
        short=30,
        about=EARNED_ABOUT,
    )


def _ads(report: Report) -> Table:
    names = tuple(map(for_files, ("ad_key", "campaign", "medium", "content", "term", "source")))
    rows = [(*_ad_names(each), *_earned(each.earned)) for each in report.ads]
    columns = (cropped("ad"), column("link", "link"), *names, *EARNED)
    return Table(name="ads", title="Ads", columns=columns, rows=rows, about=EARNED_ABOUT)


def _ad_names(ad: AdFigures) -> tuple[str, ...]:
    link, names = ad.slug or f"link {ad.link_id}", ad.ad or Ad()
    key = ad.ad_key.hex()
    return _ad(ad), link, key, names.campaign, names.medium, names.content, names.term, names.source


def _ad(ad: AdFigures) -> str:
    return words.ad_name(ad.ad, ad.ad_key)


def _trait(found: Listed) -> Table:
    return Table(
        name=found.trait,
        title=TITLES[found.trait],
        columns=(
            column("value", "value"),
            column("clicks", "clicks", "count"),
            column("share", "share", "share"),
            *COUNTS[1:],
        ),
        rows=list(_trait_rows(found)),
        bar="clicks",
        advice=found.advice or "",
        short=20,
    )


def _trait_rows(found: Listed) -> Iterator[tuple[Cell, ...]]:
    def row(name: str, counts: Counts) -> tuple[Cell, ...]:
        share = counts.clicks / found.clicks if found.clicks else None
        return name, counts.clicks, share, counts.starts, counts.match.share

    def of(trait: Trait) -> tuple[Cell, ...]:
        return row(value_name(found.trait, trait.value), trait.counts)

    yield from map(of, found.top)
    if found.others:
        yield row(f"other ({found.others})", found.other)
    if found.unknown.clicks:
        yield row(value_name(found.trait, ""), found.unknown)


def _counts(counts: Counts) -> tuple[Cell, ...]:
    return counts.clicks, counts.starts, counts.match.share


def _earned(earned: Earned) -> tuple[Cell, ...]:
    return (*_counts(earned.counts), earned.counts.alone, earned.waits.p50, earned.sales, earned.revenue)
