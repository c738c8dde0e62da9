"""Actions of an experiment's method and rollbacks."""

from __future__ import annotations

import time
from typing import Any

from chaos.faults import make_fault
from chaos.toolkit.current import current, drill


def inject(fault: str, called: str = "", **arguments: Any) -> None:
    """Break something: `fault` is a file of chaos/faults, `called` what the report says (default: the fault's own words)."""
    made = make_fault(fault, arguments)
    name = called or made.says
    drill().breaking(name)
    current().faults[name] = made
    drill().log.receipts_lost |= getattr(made, "loses_receipts", False)
    made.begin(drill().stage)


def mend(fault: str = "", called: str = "") -> None:  # noqa: ARG001  the name makes the experiment readable
    """Mend what was broken last, or what is called so."""
    faults = current().faults
    name = called or next(reversed(faults))
    faults.pop(name).end(drill().stage)
    drill().mended(name)


def mend_all() -> None:
    """Mend whatever is still broken, the last first. Nothing is done where nothing is."""
    while current().faults:
        mend()


def wait(seconds: float) -> None:
    """Let the crowd click on."""
    time.sleep(seconds)


def crowd(rate: float) -> None:
    """From now on so many clicks a second."""
    drill().mark(f"{rate:g} clicks a second")
    drill().crowd.rate(rate)
