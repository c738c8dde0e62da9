"""Reading a report: all figures as of one moment, and what is made of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analytics.figures import books, clicks, events, links, starts
from analytics.figures.asked import Figure, Reader, Rows, answer, answers
from analytics.figures.books import PeriodBooks
from analytics.figures.clicks import TRAITS
from analytics.figures.links import AdFigures, LinkFigures
from analytics.period import Period, local_date
from analytics.report import words
from analytics.report.anomalies import ALL_LINKS, Fact, Seen, anomalies
from analytics.report.comparing import Arm, Comparison, compare
from analytics.report.looking import Looking
from analytics.report.places import listed
from analytics.report.report import Advice, Report, lanes_of, unsent_with
from analytics.statements import statement
from backends.sql.reading import Question
from domain.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequest:
    """What the report is to be about. `slug`: of one link only. `links`: slugs that are compared. `ads_of`: the slug whose ads
    are, each by its campaign, medium, content, term or key in hexadecimal digits (`ads`). `in_spools`: clicks that wait there.
    """

    period: Period
    now_ms: int
    slug: str | None = None
    links: tuple[str, ...] = ()
    ads_of: str | None = None
    ads: tuple[str, ...] = ()
    in_spools: int = 0


async def read_report(reader: Reader, request: ReportRequest, advice: Advice) -> Report:
    """The report. Raises StoreUnavailable, and ConfigError for a link or an ad that there is not."""
    ids = await answer(reader, _ids())
    period, link_id = request.period, None if request.slug is None else _id(ids, request.slug)
    compared_id = None if request.ads_of is None else _id(ids, request.ads_of)
    looking = Looking.into(period, local_date(request.now_ms, period.zone), link_id)
    found = await answers(
        reader,
        _zone(),
        clicks.totals_figure(period, link_id),
        books.books_figure(period),
        starts.starts_by_kind_figure(period),
        clicks.by_day_figure(period, link_id),
        clicks.waits_figure(period, link_id),
        events.events_figure(period, link_id),
        events.deliveries_figure(period, link_id),
        links.by_link_figure(period),
        links.by_ad_figure(period, None if request.ads_of else link_id),
        *(clicks.traits_figure(period, name, link_id) for name in TRAITS),
        *(looking.figures() if looking else ()),
    )
    zone, totals, kept, kinds, days, waits, happened, delivered, all_links, all_ads, *rest = found
    traits, looked = rest[: len(TRAITS)], rest[len(TRAITS) :]
    facts = list(_facts(kept, request.in_spools)) if link_id is None else []
    names = {number: slug for slug, number in ids.items()}
    seen = (
        looking.seen(names, facts, looked) if looking else Seen(day=None, series={}, shares=(), facts=facts)
    )
    return Report(
        period=period,
        made_at_ms=request.now_ms,
        slug=request.slug,
        rolled_zone=zone,
        totals=totals,
        books=kept,
        in_spools=request.in_spools,
        starts=kinds,
        days=days,
        waits=waits,
        events=happened,
        lanes=lanes_of(delivered),
        unsent=unsent_with(advice, delivered),
        traits=tuple(listed(name, each) for name, each in zip(TRAITS, traits, strict=True)),
        links=tuple(link for link in all_links if link_id in {None, link.link_id}),
        ads=tuple(ad for ad in all_ads if link_id in {None, ad.link_id}),
        anomalies=anomalies(seen),
        comparisons=(
            *_compared([_link_arm(all_links, slug) for slug in request.links]),
            *_compared([_ad_arm(all_ads, compared_id, name) for name in request.ads]),
        ),
    )


def _ids() -> Figure[dict[str, int]]:
    def made(rows: Rows) -> dict[str, int]:
        return {row.slug: row.id for row in rows}

    return Figure((links.names(),), made)


def _zone() -> Figure[str | None]:
    def made(rows: Rows) -> str | None:
        return str(rows[0].zone) if rows else None

    return Figure((Question(statement("zone")),), made)


def _id(ids: dict[str, int], slug: str) -> int:
    if slug not in ids:
        raise ConfigError(f"there is no link {slug!r}. See them: trilha link list")
    return ids[slug]


def _facts(kept: PeriodBooks, in_spools: int) -> Iterator[Fact]:
    """What the books of the period say that should not be."""
    for fault in kept.faults(in_spools):
        yield Fact(rule="books", subject=ALL_LINKS, figure=fault, expected="equal", weight=100)
    if kept.token_only:
        of = f"{words.count(kept.token_only)} of {words.count(kept.issued)} clicks"
        weight = 1 + 10 * kept.token_only / max(kept.issued, 1)
        yield Fact(rule="token_only", subject=ALL_LINKS, figure=of, expected="none", weight=weight)


def _compared(arms: Sequence[Arm]) -> tuple[Comparison, ...]:
    if len(arms) == 1:
        raise ConfigError("give at least two to compare")
    return compare(arms) if arms else ()


def _link_arm(found: Sequence[LinkFigures], slug: str) -> Arm:
    for link in found:
        if link.slug == slug:
            return _arm(slug, [link])
    raise ConfigError(f"there is no link {slug!r}. See them: trilha link list")


def _ad_arm(found: Sequence[AdFigures], link_id: int | None, name: str) -> Arm:
    """All ads of the link that are called so, together."""
    ours = [ad for ad in found if ad.link_id == link_id and _is_called(ad, name)]
    if not ours:
        raise ConfigError(
            f"no ad of that link and period is called {name!r}. See them: trilha report --link SLUG"
        )
    return _arm(name, ours)


def _is_called(ad: AdFigures, name: str) -> bool:
    return name == ad.ad_key.hex() or (
        ad.ad is not None and name in {ad.ad.campaign, ad.ad.medium, ad.ad.content, ad.ad.term}
    )


def _arm(name: str, found: Sequence[LinkFigures] | Sequence[AdFigures]) -> Arm:
    earned = [each.earned for each in found]
    return Arm(
        name=name,
        clicks=sum(each.counts.clicks for each in earned),
        starts=sum(each.counts.starts for each in earned),
        sales=sum(each.sales for each in earned),
    )
