"""The check of ad URLs: what operators have pasted, what is said of it, and what it should have been."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.adurl.check import Site, check
from analytics.adurl.macros import META
from analytics.adurl.words import WORDS
from domain.ad_url import AD_PARAMS, MAX_NAME, MAX_PARAMS, MAX_VALUE, URL_PARAMETERS, ad_url, is_ad_param

BASE = "https://go.example.com"
GO = f"{BASE}/go/verao"
SITE = Site(BASE, ("verao", "natal"))
IDS = "utm_campaign={{campaign.id}}&utm_content={{ad.id}}"
FILLED = "utm_campaign=Teste|120210987654321098&utm_content=AD+1|120210987654341098"
LONG = "x" * (MAX_VALUE + 1)

# What was pasted; what is found, errors first; what it should be.
TEMPLATES = [
    (ad_url(BASE, "verao"), "", ad_url(BASE, "verao")),
    (URL_PARAMETERS, "", URL_PARAMETERS),
    (f"  {GO}?{IDS}\n", "", f"{GO}?{IDS}"),
    (f'"{GO}?{IDS}"', "", f"{GO}?{IDS}"),
    # F: a second `?`, as Meta's box and a finished URL make it.
    (f"{GO}?{IDS}?utm_source=FB", "double_question_mark", f"{GO}?{IDS}&utm_source=FB"),
    (f"{GO}??{IDS}", "double_question_mark", f"{GO}?{IDS}"),
    (f"{GO}?{IDS}&?src=a", "double_question_mark", f"{GO}?{IDS}&src=a"),
    (f"?{IDS}", "leading_mark", IDS),
    (f"&{IDS}", "leading_mark", IDS),
    (f"{GO}&{IDS}", "no_question_mark", f"{GO}?{IDS}"),
    (f"{GO}?{IDS}".replace("&", "&amp;"), "html_escaped", f"{GO}?{IDS}"),
    # Macros that Meta does not fill in.
    (f"{GO}?utm_campaign={{campaignid}}&utm_content={{creative}}", "macro_foreign macro_foreign", f"{GO}?{IDS}"),
    (f"{GO}?utm_campaign=__CAMPAIGN_ID__&utm_content=__CID__", "macro_foreign macro_foreign", f"{GO}?{IDS}"),
    (f"{GO}?utm_campaign=%%CAMPAIGN_ID%%&utm_content=${{ad_id}}", "macro_foreign macro_foreign", f"{GO}?{IDS}"),
    (f"{GO}?{IDS}&src=[[clickid]]", "macro_foreign", f"{GO}?{IDS}&src=[[clickid]]"),
    (f"{GO}?utm_campaign={{{{campaign_id}}}}&utm_content={{{{AD.ID}}}}", "macro_unknown macro_unknown", f"{GO}?{IDS}"),
    (f"{GO}?utm_campaign={{{{campaign.id}}&utm_content={{{{ ad.id }}}}", "macro_unknown macro_unknown space", f"{GO}?{IDS}"),
    (f"{GO}?utm_campaign=%7B%7Bcampaign.id%7D%7D&utm_content={{{{ad.id}}}}", "macro_encoded", f"{GO}?{IDS}"),
    # Who the click is of.
    (GO, "no_campaign no_ad", ad_url(BASE, "verao")),
    (f"{GO}?utm_source=FB", "no_campaign no_ad", f"{GO}?utm_source=FB&utm_campaign={{{{campaign.name}}}}|{{{{campaign.id}}}}&utm_content={{{{ad.name}}}}|{{{{ad.id}}}}"),
    (f"{GO}?utm_campaign=Quente&utm_content={{{{ad.id}}}}", "no_campaign_id", f"{GO}?utm_campaign=Quente&utm_content={{{{ad.id}}}}&utm_id={{{{campaign.id}}}}"),
    (f"{GO}?utm_campaign=Quente&utm_id={{{{campaign.id}}}}&utm_content=AD+1", "no_ad_id", f"{GO}?utm_campaign=Quente&utm_id={{{{campaign.id}}}}&utm_content=AD+1|{{{{ad.id}}}}"),
    (f"{GO}?{IDS}&utm_source=", "no_value", f"{GO}?{IDS}&utm_source="),
    (f"{GO}?{IDS}&utm_source=None", "placeholder", f"{GO}?{IDS}&utm_source="),
    # Spelling.
    (f"{GO}?{IDS}&utm_source=face book", "space", f"{GO}?{IDS}&utm_source=face%20book"),
    (f"{GO}?{IDS}&utm_ source=fb", "space", f"{GO}?{IDS}&utm_source=fb"),
    (f"{GO}?{IDS}&src=a|b", "unencoded", f"{GO}?{IDS}&src=a%7Cb"),
    (f'{GO}?{IDS}&src=<a>"b^c', "unencoded", f"{GO}?{IDS}&src=%3Ca%3E%22b%5Ec"),
    (f"{GO}?{IDS}&src=100%", "bad_percent", f"{GO}?{IDS}&src=100%25"),
    (f"{GO}?{IDS}&src=a%2520b", "encoded_twice", f"{GO}?{IDS}&src=a%20b"),
    (f"{GO}?{IDS}&src=50%25+OFF", "", f"{GO}?{IDS}&src=50%25+OFF"),
    (f"{GO}?{IDS}&utm_source=[CBO]+promoção", "", f"{GO}?{IDS}&utm_source=[CBO]+promoção"),
    # Where it leads.
    (f"http://go.example.com/go/verao?{IDS}", "http", f"{GO}?{IDS}"),
    (f"go.example.com/go/verao?{IDS}", "no_scheme", f"{GO}?{IDS}"),
    (f"https://exemplo.com/go/verao?{IDS}", "wrong_host", f"{GO}?{IDS}"),
    (f"https://go.example.com:8080/go/verao?{IDS}", "wrong_host", f"{GO}?{IDS}"),
    (f"{BASE}/go/Verao?{IDS}", "wrong_slug", f"{GO}?{IDS}"),
    (f"{BASE}/go/verao/?{IDS}", "wrong_slug", f"{GO}?{IDS}"),
    (f"{BASE}/go/outono?{IDS}", "wrong_slug", f"{BASE}/go/outono?{IDS}"),
    (f"{BASE}/verao?{IDS}", "wrong_path", f"{GO}?{IDS}"),
    (f"{BASE}/?{IDS}", "wrong_path", f"{BASE}/go/SLUG?{IDS}"),
    ("https://t.me/loja_bot?start=abc", "telegram_link", ad_url(BASE, "SLUG")),
    ("t.me/loja_bot", "no_scheme telegram_link", ad_url(BASE, "SLUG")),
    ("https://loja_bot.t.me", "telegram_link", ad_url(BASE, "SLUG")),
    (f"{GO}#topo?{IDS}", "fragment_before_query", f"{GO}?{IDS}"),
    (f"{GO}?src=a#{IDS}", "fragment_before_query", f"{GO}?src=a&{IDS}"),
    (f"{GO}?{IDS}#topo", "fragment", f"{GO}?{IDS}"),
    # What does not belong into a template.
    (f"{GO}?{IDS}&fbclid=IwAR0abc", "fbclid_in_template", f"{GO}?{IDS}"),
    (f"{GO}?{IDS}&start=None__px_None", "start_in_template", f"{GO}?{IDS}"),
    (f"{GO}?{IDS}&utm_content=2", "twice", f"{GO}?{IDS}"),
    (f"{GO}?{IDS}&gclid=a", "not_kept", f"{GO}?{IDS}&gclid=a"),
    (f"{GO}?{IDS}&src={LONG}", "too_long", f"{GO}?{IDS}&src={LONG}"),
    (f"{GO}?{IDS}&utm_{'n' * MAX_NAME}=a", "name_too_long", None),
    (f"{GO}?{IDS}&" + "&".join(f"utm_{n}=a" for n in range(MAX_PARAMS)), "too_many", None),
    ("https://[go/verao", "not_a_url", "https://[go/verao"),
    ("", "empty", ""),
]  # fmt: skip
CLICKS = [
    (f"{GO}?{FILLED}&fbclid=IwAR0abc", "", f"{GO}?{FILLED}&fbclid=IwAR0abc"),
    (f"{GO}?{IDS}", "macro_unfilled macro_unfilled", f"{GO}?{IDS}"),
    (f"{GO}?{IDS}".replace("{", "%7B").replace("}", "%7D"), "macro_unfilled macro_unfilled", None),
    (f"{GO}?utm_source=FB?{FILLED}", "double_question_mark", f"{GO}?utm_source=FB&{FILLED}"),
    (f"{GO}?utm_campaign=__CAMPAIGN_ID__&utm_content=1234567", "macro_foreign", None),
    (f"{GO}?utm_source=FB", "no_campaign no_ad", f"{GO}?utm_source=FB"),
]


@pytest.mark.parametrize(("pasted", "codes", "mended"), TEMPLATES)
def test_of_a_pasted_template_all_is_said_and_the_right_one_given(
    pasted: str, codes: str, mended: str | None
) -> None:
    found = check(pasted, SITE)
    assert [finding.code for finding in found.findings][: len(codes.split())] == codes.split()
    if mended is not None:
        assert ([finding.code for finding in found.findings], found.mended) == (codes.split(), mended)


@pytest.mark.parametrize(("pasted", "codes", "mended"), CLICKS)
def test_of_the_address_of_a_click_all_is_said(pasted: str, codes: str, mended: str | None) -> None:
    found = check(pasted, SITE, clicked=True)
    assert [finding.code for finding in found.findings if finding.level == "error"][:2] == [
        code for code in codes.split() if code != "no_ad"
    ]
    assert mended is None or found.mended == mended


@pytest.mark.parametrize(("pasted", "codes", "mended"), TEMPLATES)
def test_what_was_mended_has_no_error_left_but_what_nobody_can_guess(
    pasted: str, codes: str, mended: str | None
) -> None:
    left = {
        finding.code
        for finding in check(check(pasted, SITE).mended, SITE).findings
        if finding.level == "error"
    }
    assert left <= {"wrong_slug", "macro_foreign", "not_a_url", "empty"}, left


def test_every_finding_that_there_is_is_found_in_a_test_and_has_words_in_both_languages() -> None:
    found = [
        finding
        for cases, clicked in ((TEMPLATES, False), (CLICKS, True))
        for pasted, *_ in cases
        for finding in check(pasted, SITE, clicked=clicked).findings
    ]
    assert {finding.code for finding in found} == WORDS.keys()
    for finding in found:
        said = {finding.says("en"), finding.says("pt"), finding.mend("en"), finding.mend("pt")}
        assert all(said)
        assert finding.says("en") != finding.says("pt")


def test_on_a_links_own_page_another_links_slug_is_wrong() -> None:
    found = check(f"{BASE}/go/natal?{IDS}", Site(BASE, SITE.slugs, "verao"))
    assert ([finding.code for finding in found.findings], found.mended) == (["wrong_slug"], f"{GO}?{IDS}")


def test_a_link_to_telegram_becomes_the_only_links_ad_url() -> None:
    assert check("https://t.me/loja_bot", Site(BASE, ("verao",))).mended == ad_url(BASE, "verao")


def test_where_ad_urls_begin_with_http_or_a_path_that_is_right() -> None:
    for base in ("http://127.0.0.1:8080", "https://example.com/r"):
        assert not check(ad_url(base, "verao"), Site(base, SITE.slugs)).findings


def test_a_parameter_that_is_kept_is_never_called_one_that_is_not() -> None:
    for name in ("utm_source", "utm_id", "utm_x", *AD_PARAMS):
        assert is_ad_param(name)
        assert not check(f"{GO}?{IDS}&{name}=a", SITE).findings or name in IDS


_pieces = st.sampled_from([
    BASE, GO, "t.me/x", "?", "&", "#", "=", "%", "%%", "{", "}}", "{{", "|", " ", "utm_campaign=", "utm_content", "fbclid=a",
    "start=", "[", "://", "é", "__A__", "%7B%7B", *META, *string.ascii_lowercase[:3],
])  # fmt: skip


@given(st.lists(_pieces, max_size=14).map("".join), st.booleans())
def test_whatever_is_pasted_there_is_an_answer_in_both_languages(pasted: str, clicked: bool) -> None:
    found = check(pasted, SITE, clicked=clicked)
    assert all(finding.says("en") and finding.mend("pt") for finding in found.findings)
    assert check(found.mended, SITE, clicked=clicked).mended is not None
