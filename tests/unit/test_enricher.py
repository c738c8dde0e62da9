"""The enricher: what is added to a click as it is settled, started, and scored again after its original has gone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import Engine, String, create_engine, insert, select

from backends.sql.enrichment import ENRICHMENT_COLUMNS, enrichment_of, enrichment_values
from backends.sql.schema import clicks as table
from backends.sql.tables import metadata
from daemon.enrich.agent import Agents
from daemon.enrich.enricher import UNREADABLE, Enricher, Places, Repeats
from daemon.enrich.geo import GeoIp
from domain.click import Ad, Click, Visit
from domain.clock import ManualClock
from domain.enrichment import NO_USER_AGENT, USER_AGENT_GONE, Agent, Enrichment, Geo, Scores, Traffic
from domain.outcomes import Counts
from privacy.keyring import PERIOD_MS, Keyring
from privacy.pseudonymise import Pseudonymiser
from privacy.seal import Original, Sealer
from tests.daemon_fixture import captured_logs
from tests.geo_files import FLAT4, NETWORKS, make_database
from tests.making import NOW, bare_click, new_id

TODAY = NOW // PERIOD_MS
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
HOME, CLOUD, META = "179.123.45.67", "18.1.2.3", "157.240.1.1"
INSTAGRAM = (
    "Mozilla/5.0 (Linux; Android 14; SM-A546E Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0"
    " Chrome/131.0.6778.39 Mobile Safari/537.36 Instagram 359.0.0.59.89 Android (34/14; 450dpi; 1080x2131; samsung; SM-A546E;"
    " a54x; s5e8835; pt_BR; 672535977)"
)
CHROME = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
AGENTS = Agents()
STARTED = Counts(started=True, started_at_ms=NOW + 7000, token_users=1, fbclid_visitors=1, visitor_users=1)
NOBODY = Counts(started=False)


class Desk:
    """A key ring, places, and clicks made as the redirect makes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock(now_ms=NOW)
        self.ring = Keyring.create(folder / "secrets" / "ring.json", self.clock)
        self.geoip = folder / "geoip"
        self.geoip.mkdir()
        self.place_file = make_database(self.geoip / "place.mmdb", FLAT4, kind="dbip-city", version=4)
        hosting = {"18.0.0.0/8": {"autonomous_system_number": 16509}}
        self.network_file = make_database(self.geoip / "asn.mmdb", NETWORKS | hosting, kind="asn-table")

    def enricher(self, places: Places | None = None, zone: ZoneInfo = SAO_PAULO) -> Enricher:
        at = places or GeoIp([self.geoip])
        return Enricher(sealer=Sealer(self.ring), places=at, agents=AGENTS, zone=zone)

    def click(self, at_ms: int = NOW, **seen: Any) -> Click:
        visit = Visit(
            **{
                "method": "GET", "at_ms": at_ms, "ip": HOME, "user_agent": INSTAGRAM, "fbclid": "IwAR0", "fbc_cookie": "",
                "fbp_cookie": "", "referer": "", "language": "pt-BR", "prefetch": "", "params": {}, "ad": Ad(),
            } | seen
        )  # fmt: skip
        made = Pseudonymiser(self.ring, Sealer(self.ring))
        return made.click(visit, click_id=new_id(at_ms), link_id=1, node=0, ad_key=bytes(8))

    def destroy_keys(self) -> None:
        self.ring.destroy_before(TODAY + 1)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def settled(desk: Desk, click: Click) -> Enrichment:
    return desk.enricher().settled([click])[click.id]


# ---------------------------------------------------------------- as it is settled


def test_an_in_app_click_of_brazil_gets_its_place_agent_class_and_no_points(desk: Desk) -> None:
    added = settled(desk, desk.click())
    assert added.geo[:4] == ("BR", "SP", "Sao Paulo", None)
    assert (added.geo.source or "").startswith("dbip-city ")
    assert added.agent == Agent("phone", "Android", "14", "Instagram", "359", "Instagram")
    assert added.traffic == Traffic("in_app", ("agent:instagram",))
    assert added.scores == Scores(baseline_fraud=20), "it is five in the morning there"
    assert added.repeats == 1


def test_the_hour_is_the_operators_own(desk: Desk) -> None:
    """08:00 UTC is 05:00 in São Paulo: the owner's formula counts the one and not the other."""
    click = desk.click()
    here, there = desk.enricher(), desk.enricher(zone=ZoneInfo("UTC"))
    assert [e.of(click, Counts()).scores.baseline_fraud for e in (here, there)] == [20, 0]


def test_a_server_a_robot_and_a_missing_fbclid_are_seen(desk: Desk) -> None:
    cloud = settled(desk, desk.click(ip=CLOUD, user_agent=CHROME))
    assert cloud.traffic == Traffic("datacenter", ("agent:chrome", "asn:16509 hosting"))
    assert [reason.signal for reason in cloud.scores.bot.reasons] == ["hosting"]
    robot = settled(desk, desk.click(user_agent=GOOGLEBOT))
    assert (robot.traffic.kind, robot.scores.bot.points, robot.scores.baseline_bot) == ("crawler", 80, 50)
    assert settled(desk, desk.click(fbclid="")).scores.baseline_fraud == 20 + 30
    assert settled(desk, desk.click(ip=META)).traffic.kind == "preview"


def test_an_agent_that_was_not_sent_counts_and_one_that_was_not_kept_does_not(desk: Desk) -> None:
    silent = settled(desk, desk.click(user_agent=""))
    assert silent.traffic.evidence == (NO_USER_AGENT,)
    assert [reason.signal for reason in silent.scores.bot.reasons] == ["no_user_agent"]
    gone = settled(desk, replace(desk.click(), sealed=None))
    assert gone == Enrichment(
        traffic=Traffic("unknown", (USER_AGENT_GONE,)), scores=Scores(baseline_fraud=60), repeats=1
    )


def test_without_a_database_or_an_address_its_place_is_unknown(desk: Desk) -> None:
    nowhere = desk.enricher(GeoIp([]))
    assert nowhere.of(desk.click(), Counts()).geo == Geo()
    for ip in (None, "10.0.0.1", "203.0.113.9"):
        assert settled(desk, desk.click(ip=ip)).geo == Geo()


# ---------------------------------------------------------------- its start, or none


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        ({"user_agent": INSTAGRAM, "prefetch": "x-fb-http-engine=liger"}, "in_app"),
        ({"user_agent": CHROME, "prefetch": "sec-purpose=prefetch"}, "human"),
        ({"user_agent": CHROME, "method": "HEAD"}, "human"),
        ({"user_agent": CHROME, "method": "HEAD", "ip": CLOUD}, "datacenter"),
    ],
)
@pytest.mark.parametrize("original", ["there", "gone"])
def test_a_tentative_click_is_promoted_when_it_is_redeemed(
    desk: Desk, seen: dict[str, str], kind: str, original: str
) -> None:
    """And stays so when it is scored again, with its original or without."""
    click = desk.click(**seen)
    enricher = desk.enricher()
    first = enricher.settled([click])[click.id]
    assert first.traffic.tentative
    if original == "gone":
        desk.destroy_keys()
    then = enricher.of(click, STARTED, first)
    assert (then.traffic.kind, then.traffic.tentative) == (kind, False)
    assert then.traffic.evidence == (*first.traffic.evidence, "redeemed")
    assert enricher.of(click, STARTED, then) == then


def test_a_prefetch_counts_against_a_click_only_once_nobody_is_known_to_have_started(desk: Desk) -> None:
    click = desk.click(prefetch="purpose=prefetch", user_agent=CHROME)
    enricher = desk.enricher()
    points = [enricher.of(click, counts).scores.bot.points for counts in (Counts(), NOBODY, STARTED)]
    assert points == [0, 50, 0]


def test_counts_reach_the_scores(desk: Desk) -> None:
    """Seconds are from the click to its start; each count is in its reason."""
    counts = Counts(
        started=True,
        started_at_ms=NOW + 690,
        repeats=61,
        token_users=9,
        fbclid_visitors=30,
        visitor_users=6,
    )
    added = desk.enricher().of(desk.click(), counts)
    assert [reason.evidence for reason in added.scores.fraud.reasons] == [
        "9 people on one token",
        "one fbclid from 30 visitor keys",
        "started 0.6 s after the click",
        "61 clicks of one visitor key in a minute",
    ]
    assert (added.scores.baseline_bot, added.repeats) == (50, 61)


# ---------------------------------------------------------------- scored again


def _keys_destroyed(desk: Desk, click: Click) -> Click:
    desk.destroy_keys()
    return click


def _not_sealed(desk: Desk, click: Click) -> Click:
    return replace(click, sealed=None)


@pytest.mark.parametrize("gone", [_keys_destroyed, _not_sealed])
@pytest.mark.parametrize("seen", [{}, {"user_agent": GOOGLEBOT}, {"ip": CLOUD, "user_agent": CHROME}])
def test_without_its_original_only_the_scores_of_a_click_are_made_anew(
    desk: Desk, gone: Callable[[Desk, Click], Click], seen: dict[str, str]
) -> None:
    """Place, agent, class, evidence and repeats stay, and nothing is concluded from the missing agent."""
    click = desk.click(**seen)
    kept = settled(desk, click)._replace(scores=Scores(), repeats=61)
    rest = gone(desk, click)
    later = desk.enricher().of(rest, Counts(started=True, started_at_ms=NOW + 1000), kept)
    assert later._replace(scores=Scores()) == kept
    signals = {reason.signal for reason in later.scores.bot.reasons}
    assert {"fast_start"} <= signals
    assert "no_user_agent" not in signals
    assert NO_USER_AGENT not in later.traffic.evidence
    assert ("says_program" in signals) == (kept.agent.automation is not None)
    assert ("hosting" in signals) == (kept.geo.asn == 16509)


def test_that_no_agent_was_sent_is_still_known_without_the_original(desk: Desk) -> None:
    click = desk.click(user_agent="")
    kept = settled(desk, click)
    desk.destroy_keys()
    assert desk.enricher().of(click, Counts(), kept) == kept


@pytest.mark.parametrize("vanished", [["place"], ["asn"], ["place", "asn"]])
def test_what_a_database_had_said_stays_when_that_database_vanishes(desk: Desk, vanished: list[str]) -> None:
    make_database(desk.geoip / "place.mmdb", {"18.0.0.0/8": FLAT4["8.8.8.0/24"]}, kind="dbip-city", version=4)
    click = desk.click(ip=CLOUD)
    kept = settled(desk, click)
    assert (kept.geo.country, kept.geo.asn) == ("US", 16509)
    for name in vanished:
        (desk.geoip / f"{name}.mmdb").unlink()
    assert desk.enricher().of(click, Counts(), kept) == kept


def test_a_new_database_moves_a_click_and_says_that_it_was_it(desk: Desk) -> None:
    click = desk.click()
    kept = settled(desk, click)
    make_database(
        desk.place_file, {"179.123.0.0/16": FLAT4["177.10.0.0/16"]}, kind="other city table", version=4
    )
    moved = desk.enricher().of(click, Counts(), kept).geo
    assert (moved.region, moved.city) == ("RS", "Eldorado do Sul")
    assert (moved.source or "").startswith("other city table ")


def test_a_database_fills_what_none_had_said(desk: Desk) -> None:
    click = desk.click()
    kept = desk.enricher(GeoIp([])).of(click, Counts())
    assert kept.geo == Geo()
    assert desk.enricher().of(click, Counts(), kept) == settled(desk, click)._replace(repeats=0)


# ---------------------------------------------------------------- what fails


class Broken:
    """Places that raise what they were asked, as a library might."""

    def of(self, ip: str | None) -> Geo:
        raise ValueError(f"no place for {ip}")


def test_a_click_that_fails_holds_up_nobody_and_is_logged_without_its_visitor(desk: Desk) -> None:
    """It gets what it had, or is called unreadable; the log names the kind of error alone."""
    click = desk.click()
    kept = settled(desk, click)
    with captured_logs() as page:
        broken = desk.enricher(Broken())
        assert broken.settled([click, desk.click()]).keys() >= {click.id}
        assert broken.of(click, Counts()) == UNREADABLE
        assert broken.of(click, Counts(), kept) == kept
    said = page.getvalue()
    assert said.count("a click could not be enriched") == 4
    assert "ValueError" in said
    assert not [
        text for text in (HOME, "179.123", "Instagram", "IwAR0", click.id.hex, str(click.id)) if text in said
    ]


def test_what_could_not_be_read_is_read_once_it_can_be(desk: Desk) -> None:
    click = desk.click()
    assert desk.enricher().of(click, Counts(), UNREADABLE).traffic.kind == "in_app"


# ---------------------------------------------------------------- repeats


def test_a_batch_that_is_settled_twice_counts_no_click_twice(desk: Desk) -> None:
    """I12: whole, reordered or in parts."""
    batch = [desk.click(NOW + number) for number in range(4)]
    enricher = desk.enricher()
    once = enricher.settled(batch)
    assert [once[click.id].repeats for click in batch] == [1, 2, 3, 4]
    for again in (batch, batch[::-1], batch[1:3]):
        assert {added.repeats for added in enricher.settled(again).values()} == {4}


def test_repeats_are_of_one_visitor_on_one_link_in_one_minute() -> None:
    repeats = Repeats()
    at = NOW - NOW % 60_000
    mine = {"visitor_key": b"k" * 16, "link_id": 1}
    seen = [
        repeats.of(bare_click(**mine | {"id": new_id(at)})),
        repeats.of(bare_click(**mine | {"id": new_id(at + 59_999)})),
        repeats.of(bare_click(**mine | {"id": new_id(at + 60_000)})),
        repeats.of(bare_click(**mine | {"id": new_id(at), "link_id": 2})),
        repeats.of(bare_click(**mine | {"id": new_id(at), "visitor_key": b"o" * 16})),
        repeats.of(bare_click(**mine | {"id": new_id(at), "visitor_key": None})),
    ]
    assert seen == [1, 2, 1, 1, 1, 0]


def test_the_memory_of_repeats_is_bounded_both_ways() -> None:
    """The oldest is forgotten first, and a stranger who repeats without end is counted up to a limit."""
    repeats = Repeats(visitors=3, clicks=5)
    one = {"visitor_key": b"1" * 16}
    assert [repeats.of(bare_click(**one)) for _ in range(7)] == [1, 2, 3, 4, 5, 5, 5]
    for name in b"23":
        repeats.of(bare_click(visitor_key=bytes([name]) * 16))
    assert repeats.of(bare_click(**one)) == 5
    repeats.of(bare_click(visitor_key=b"4" * 16))
    assert len(repeats._seen) == 3
    assert repeats.of(bare_click(**one)) == 1


def test_threads_that_score_while_another_settles_get_the_same_answers(desk: Desk) -> None:
    enricher = desk.enricher()
    batch = [
        desk.click(NOW, ip=ip, user_agent=ua) for ip in (HOME, CLOUD) for ua in (INSTAGRAM, CHROME, GOOGLEBOT)
    ]
    wanted = [desk.enricher().of(click, STARTED) for click in batch]
    found: list[list[Enrichment]] = []

    def score() -> None:
        for _ in range(20):
            found.append([enricher.of(click, STARTED) for click in batch])

    threads = [threading.Thread(target=score) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    assert all(answers == wanted for answers in found)


# ---------------------------------------------------------------- whatever was sent


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, Enricher]:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    return desk, desk.enricher()


@pytest.fixture(scope="module")
def sqlite() -> Engine:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    return engine


_anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
_agents = st.one_of(
    _anything,
    st.sampled_from([INSTAGRAM, CHROME, GOOGLEBOT]),
    st.builds(
        "{}{}{}".format, _anything, st.sampled_from([INSTAGRAM[-150:], "bot", "FBAN/FBIOS;FBAV/"]), _anything
    ),
)
_moments = st.none() | st.integers(NOW - 10_000, NOW + 10_000_000)


@given(
    agent=_agents,
    ip=st.sampled_from([HOME, CLOUD, META, "9.9.1.1", "5.5.1.1", ""])
    | st.ip_addresses().map(str)
    | _anything,
    method=st.sampled_from(["GET", "HEAD"]),
    prefetch=_anything.map(lambda text: text[:32]),
    counts=st.builds(
        Counts,
        started=st.sampled_from([None, True, False]),
        started_at_ms=_moments,
        token_users=st.integers(0, 1000),
        fbclid_visitors=st.integers(0, 500),
        visitor_users=st.integers(0, 1000),
    ),
)
def test_whatever_a_visitor_sends_what_is_added_fits_its_columns_and_is_read_as_written(
    lasting: tuple[Desk, Enricher],
    sqlite: Engine,
    agent: str,
    ip: str,
    method: str,
    prefetch: str,
    counts: Counts,
) -> None:
    """No text is longer than its column, which PostgreSQL would refuse, and none holds a NUL, which it cannot hold."""
    desk, enricher = lasting
    bare = bare_click(method=method, prefetch=prefetch, visitor_key=b"k" * 16)
    sealed = Sealer(desk.ring).seal(Original(ip=ip, user_agent=agent), bare.id, TODAY)
    added = enricher.of(replace(bare, sealed=sealed), counts)
    assert added.traffic != UNREADABLE.traffic
    values = enrichment_values(added)
    assert values.keys() == set(ENRICHMENT_COLUMNS)
    for name, value in values.items():
        kind = table.c[name].type
        if isinstance(kind, String) and value is not None:
            assert len(value) <= (kind.length or 0)
            assert "\0" not in value
    with sqlite.begin() as connection:
        connection.execute(insert(table).values(id=bare.id, link_id=1, node=0, ad_key=b"", **values))
        assert enrichment_of(connection.execute(select(table).where(table.c.id == bare.id)).one()) == added
