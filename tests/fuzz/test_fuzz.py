"""What strangers write breaks no promise: the whole corpus, and fresh mutations of it."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest

from tests.fuzz.corpus import inputs
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS

EACH = 3000


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_of_the_corpus_breaks_a_promise(target: str) -> None:
    found = inputs(target)
    assert len(found) >= 5
    _try_all(target, found.values())


@pytest.mark.parametrize("target", TARGETS)
def test_no_mutation_of_the_corpus_breaks_a_promise(target: str) -> None:
    random, corpus = Random(20), list(inputs(target).values())
    _try_all(target, (mutated(corpus, random) for _ in range(EACH)))


def test_a_verifier_that_compares_too_little_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The target sees what it is for: a MAC of which two bytes count."""
    monkeypatch.setattr("privacy.token.hmac.compare_digest", lambda one, other: one[:2] == other[:2])
    random, corpus = Random(20), list(inputs("token").values())
    with pytest.raises(KeyError):
        _try_all("token", [mutated(corpus, random) for _ in range(EACH)])


def _try_all(target: str, data: Iterable[bytes]) -> None:
    for each in data:
        TARGETS[target](each)
