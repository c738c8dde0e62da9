"""The page: well-formed, self-contained, safe with hostile words, and complete."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import msgspec
import pytest

from chaos.report.html import page
from chaos.report.result import Drill, Report, Timeline
from tests.chaos.sample_report import named, only, report_of, sample

HOSTILE = """</title></style><script>alert("x")</script><img src=https://evil.example/x onerror='y'>&amp;"""
VOID = {"meta", "br", "hr", "link"}


class Document(HTMLParser):
    """The tags of a page, its ids, links and words. Fails where a tag is closed that is not the open one."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words += data

    def all(self, attribute: str) -> list[str]:
        return [attrs[attribute] or "" for _, attrs in self.tags if attribute in attrs]

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def changed(drill: Drill, **more: object) -> Drill:
    return msgspec.structs.replace(drill, **more)


REPORTS = {
    "everything": sample(),
    "no drill": report_of(),
    "one drill": only("redis-kill"),
    "all skipped": only("disk-torn", "telegram-flood"),
    "only failed": only("sql-commit-unknown"),
}


@pytest.fixture(params=REPORTS.values(), ids=REPORTS.keys())
def report(request: pytest.FixtureRequest) -> Report:
    return request.param


def test_every_tag_is_closed_in_its_order(report):
    document = Document(page(report))
    assert document.open == []
    assert document.count("h1") == 1


def test_ids_are_unique_and_every_link_leads_to_one(report):
    document = Document(page(report, sample()))
    ids = document.all("id")
    assert len(ids) == len(set(ids))
    assert {href.removeprefix("#") for href in document.all("href")} <= set(ids)


def test_the_page_asks_nothing_of_anybody(report):
    html = page(report)
    document = Document(html)
    assert not {tag for tag, _ in document.tags} & {
        "script",
        "img",
        "link",
        "iframe",
        "object",
        "embed",
        "form",
    }
    assert all(href.startswith("#") for href in document.all("href"))
    assert not document.all("src")
    assert not document.all("style")
    assert not re.search(r"url\(|@import|https?://", html)


def test_the_policy_allows_this_style_sheet_and_nothing_else():
    html = page(sample())
    style = html.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src &#x27;none&#x27;; style-src &#x27;sha256-{digest}&#x27;" in html


def test_words_of_a_drill_never_become_tags():
    drill = named("disk-eio")
    hostile = changed(
        drill,
        name=HOSTILE,
        title=HOSTILE,
        about=HOSTILE,
        tier=HOSTILE,
        covers=(HOSTILE,),
        reasons=(HOSTILE,),
        promises=tuple(msgspec.structs.replace(each, text=HOSTILE, unit=HOSTILE, value=HOSTILE) for each in drill.promises),
        windows=tuple(msgspec.structs.replace(each, fault=HOSTILE) for each in drill.windows),
        marks=tuple(msgspec.structs.replace(each, text=HOSTILE) for each in drill.marks),
        phases=tuple(msgspec.structs.replace(each, name=HOSTILE) for each in drill.phases),
        timeline=msgspec.structs.replace(drill.timeline, breakers={HOSTILE: (0, 1, 2)}),
        books=msgspec.structs.replace(drill.books, faults=(HOSTILE,)),
    )  # fmt: skip
    skipped = changed(named("disk-torn"), title=HOSTILE, about=HOSTILE, reasons=(HOSTILE,))
    whole = msgspec.structs.replace(
        report_of(hostile, skipped),
        trilha=HOSTILE,
        began=HOSTILE,
        machine=msgspec.structs.replace(sample().machine, kernel=HOSTILE, valkey=HOSTILE),
    )
    html = page(whole, msgspec.structs.replace(sample(), trilha=HOSTILE))
    document = Document(html)
    assert document.open == []
    assert "<script" not in html
    assert "<img" not in html
    assert HOSTILE in document.words


def test_every_drill_is_shown_with_its_reasons():
    words = Document(page(sample())).words
    for drill in sample().drills:
        assert drill.title in words
        assert drill.name in words
        assert all(reason in words for reason in drill.reasons)
        assert all(fault in words for fault in drill.covers)


def test_every_promise_is_shown_with_its_bound_and_its_value():
    drill = changed(
        named("redis-kill"),
        promises=(msgspec.structs.replace(named("redis-kill").promises[1], bound=61.5, value=17.25),),
    )
    words = Document(page(report_of(drill))).words
    assert "99.9 % are sent on in time during the fault61.5 ms17.25 ms" in words


def test_broken_drills_come_first_and_say_so():
    html = page(sample())
    order = [
        html.index(f'id="drill-{name}"')
        for name in ("disk-eio", "sql-commit-unknown", "redis-kill", "disk-torn")
    ]
    assert order == sorted(order)
    assert '<section id="drill-disk-eio" class="drill broken">' in html


def test_only_the_tables_of_broken_drills_are_unfolded():
    opened = [attrs for tag, attrs in Document(page(sample())).tags if tag == "details" and "open" in attrs]
    assert len(opened) == 1


def test_every_table_has_a_caption_and_every_plot_a_title_and_a_description():
    document = Document(page(sample()))
    assert document.count("caption") == document.count("table") > 0
    plots = sum(attrs.get("role") == "img" for tag, attrs in document.tags if tag == "svg")
    assert document.count("title") - 1 == document.count("desc") == plots > 0


def test_a_verdict_is_a_word_wherever_it_is_a_colour():
    cells = re.findall(r'<a [^>]*class="cell (\w+)">(.*?)</a>', page(sample()))
    assert len(cells) == sum(len(drill.covers) for drill in sample().drills)
    assert all(f'<span class="unseen"> {verdict}</span>' in cell for verdict, cell in cells)


def test_a_fault_that_two_drills_cover_has_the_worse_verdict():
    held = changed(named("redis-kill"), covers=("disk.eio",), tier="disk")
    html = page(report_of(held, named("disk-eio")))
    assert html.count("<code>disk.eio</code>") == 1
    assert re.search(
        r'<a href="#drill-disk-eio"[^>]*class="cell broken"><span[^>]*>✗</span><code>disk.eio</code>', html
    )


def test_a_timeline_full_of_holes_is_drawn_with_holes():
    nothing = (None,) * 5
    holes = Timeline(
        step_s=1,
        rate=nothing,
        p50_ms=(None, 2.0, None, 3.0, 3.0),
        p99_ms=nothing,
        max_ms=nothing,
        breakers={"redis": nothing, "sql": (None, 2)},
    )
    html = page(report_of(changed(named("redis-kill"), timeline=holes)))  # fmt: skip
    assert Document(html).open == []
    assert re.search(r'd="M1 [\d.]+H2M3 [\d.]+H5" class="line p50"', html)
    assert "Redirects a second" not in html


@pytest.mark.parametrize("timeline", [None, Timeline(step_s=0.25), Timeline(step_s=0.25, rate=(0, 0))])
def test_a_drill_without_a_timeline_is_still_a_drill(timeline):
    drill = changed(named("redis-kill"), timeline=timeline, windows=(), marks=())
    document = Document(page(report_of(drill)))
    assert document.open == []
    assert "1,760 visitors came" in document.words


def test_a_fault_is_shaded_in_every_panel_where_it_was():
    html = page(only("redis-kill"))
    panels = html.count('role="img"')
    assert panels == 4
    assert html.count('<rect x="24.00%" y="0" width="32.00%"') == panels


def test_what_has_changed_is_shown_only_with_a_previous_report():
    assert "What has changed" not in Document(page(sample())).words
    words = Document(page(sample(), only("redis-kill", "disk-torn"))).words
    assert "What has changed" in words
    assert "new, broken" in words
    assert "no difference" in Document(page(sample(), sample())).words


def test_a_report_of_nothing_claims_nothing():
    for nothing in (report_of(), only("disk-torn"), only("sql-commit-unknown")):
        words = Document(page(nothing)).words
        assert "this report shows nothing" in words
        assert "Not tested" in words
        assert "every acknowledged click" not in words
        assert "acknowledged clicks lost" not in words
