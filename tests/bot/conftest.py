"""Somebody who writes to the bot."""

from __future__ import annotations

import pytest

from tests.telegram.account import Person
from tests.telegram.server import LoopbackTelegram


@pytest.fixture
def ana(telegram: LoopbackTelegram) -> Person:
    return telegram.person(42, "Ana", language="pt-br")
