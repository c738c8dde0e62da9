"""Readings: what was measured, by measure and subject."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """One measure of every subject. `whole`: a subject that is not in it is well; otherwise nothing is known of it."""

    values: Mapping[str, float]
    whole: bool = True


Readings = Mapping[str, Reading]
"""By measure. One that is not there was not measured: what is known of its alerts stays as it is."""


def node_subject(node: int, of: str = "") -> str:
    """A node, or something of it."""
    return f"node {node} {of}".rstrip()


def is_of_node(subject: str, node: int) -> bool:
    """Whether it is that node, or something of it."""
    own = node_subject(node)
    return subject == own or subject.startswith(f"{own} ")


def node_in(subject: str) -> int | None:
    """The number of the node that a subject is, or is of; None when it is something else."""
    word, _, rest = subject.partition(" ")
    number = rest.partition(" ")[0]
    return int(number) if word == "node" and number.isdecimal() else None
