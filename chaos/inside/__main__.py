"""`python -m chaos.inside FAULT [FAULT ...] -- COMMAND ...`: a command of Trilha in which those faults are possible.

FAULT is the name of a fault (faults.py), or `sabotage:` and the name of a planted bug. The environment variable
CHAOS_SWITCHES names the folder of the switches. `disk:power` also remembers what is not fsync'd, from the start.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

from chaos.inside.faults import FAULTS
from chaos.inside.process import Fault, Process
from chaos.inside.switches import VARIABLE, Change, Given, Switches
from chaos.sabotage import BUGS, plant

SABOTAGE, POWER = "sabotage:", "disk:power"


def main(arguments: list[str]) -> None:
    """Make the faults possible, plant the bugs, and be the `trilha` command from here on."""
    faults, bugs, command = _understood(arguments)
    process = Process(remember=POWER in faults)
    for bug in bugs:
        plant(bug)
    _make_possible([fault.partition(":")[0] for fault in faults], process)
    sys.argv = ["trilha", *command]
    runpy.run_module("cli.main", run_name="__main__")


def _make_possible(names: list[str], process: Process) -> None:
    if not names:
        return
    switches = Switches(Path(os.environ[VARIABLE]))
    for name in names:
        switches.watch(name, _switched(FAULTS[name](process)))
    switches.start()


def _switched(fault: Fault) -> Change:
    def change(given: Given | None) -> None:
        fault.off()
        if given is not None:
            fault.on(**given)

    return change


def _understood(arguments: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Faults, bugs and the command; SystemExit with what is known, otherwise."""
    names, dashes, command = _split(arguments)
    bugs = [name.removeprefix(SABOTAGE) for name in names if name.startswith(SABOTAGE)]
    faults = [name for name in names if not name.startswith(SABOTAGE)]
    known = {*FAULTS, POWER}
    if (
        not names
        or not dashes
        or not command
        or not known.issuperset(faults)
        or not set(BUGS).issuperset(bugs)
    ):
        possible = ", ".join((*sorted(known), *(SABOTAGE + bug for bug in BUGS)))
        sys.exit(f"usage: python -m chaos.inside FAULT [FAULT ...] -- COMMAND ...\nfaults: {possible}")
    if faults and VARIABLE not in os.environ:
        sys.exit(f"{VARIABLE} must name the folder of the switches")
    return faults, bugs, command


def _split(arguments: list[str]) -> tuple[list[str], bool, list[str]]:
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], at < len(arguments), arguments[at + 1 :]


if __name__ == "__main__":
    main(sys.argv[1:])
