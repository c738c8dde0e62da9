"""Meta's own SDK and our normaliser agree, but where ours is meant to differ."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from delivery.meta.normalise import KEYS, digests
from tests.meta_sdk.classes import CLASSES, Difference, class_of
from tests.meta_sdk.inputs import values
from tests.meta_sdk.sdk import Made, is_there, sdk_makes

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "meta-normalisation.md"
SAME = "same"


def ours(field: str, value: str) -> tuple[str, ...]:
    return digests({field: value}, phone_country="55", telegram_id=123_456_789).person.get(KEYS[field], ())


def classed(field: str, value: str, sdk: Made) -> str | None:
    found = ours(field, value)
    sent = (sdk.digest,) if sdk.digest else ()
    if found == sent and sdk.error is None:
        return SAME
    return class_of(Difference(field=field, value=value, sdk=sdk, ours=found))


def test_of_two_thousand_values_each_difference_is_of_a_listed_class_and_no_class_is_idle() -> None:
    is_there()
    given = values(2000)
    made = sdk_makes([(KEYS[field], value) for field, value in given])
    found = [
        (classed(field, value, sdk), field, value, sdk)
        for (field, value), sdk in zip(given, made, strict=True)
    ]
    assert not [difference for difference in found if difference[0] is None]
    counts = Counter(name for name, *_ in found)
    assert counts.keys() == {SAME, *CLASSES}
    assert counts[SAME] > 500


def test_the_reference_lists_the_classes_that_there_are() -> None:
    table = PAGE.read_text().partition("## Where Meta's SDK makes something else")[2]
    listed = re.findall(r"^\| `([a-z0-9-]+)` \|", table, re.MULTILINE)
    assert listed == list(CLASSES)
