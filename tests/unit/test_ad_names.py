"""What ads are called: names with Meta's ids, names alone, and ads that no dictionary has."""

from __future__ import annotations

import pytest

from analytics.ad_names import Label


@pytest.mark.parametrize(
    ("text", "name", "number"),
    [
        ("Campanha Teste|120210987654321098", "Campanha Teste", "120210987654321098"),
        ("a | b | 120210987654321098", "a | b", "120210987654321098"),
        ("|120210987654321098", "", "120210987654321098"),
        ("sem id", "sem id", ""),
        ("metade|12", "metade|12", ""),
        ("{{campaign.name}}|{{campaign.id}}", "{{campaign.name}}|{{campaign.id}}", ""),
        ("", "", ""),
    ],
)
def test_a_name_with_an_id_is_both_and_any_other_is_the_name(text: str, name: str, number: str) -> None:
    label = Label.of(text)
    assert (label.name, label.id) == (name, number)


def test_a_campaign_that_was_renamed_is_the_same_campaign() -> None:
    assert Label.of("Antes|120210987654321098").key == Label.of("Depois|120210987654321098").key


def test_no_name_can_pass_for_an_id_or_for_an_ad_that_is_not_in_the_dictionary() -> None:
    keys = [Label.of("i:1234567").key, Label.of("x|1234567").key, Label.of("k:00").key, Label.of("00").key]
    assert len({*keys, Label.unnamed(b"\0").key}) == 5
    assert not Label.unnamed(b"\0").in_dictionary
    assert Label.of("k:00").in_dictionary
