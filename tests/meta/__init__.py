"""A loopback Meta: what takes events as the Conversions API is documented to, and keeps what it took.

It is the judge of what the product sends, so it is written from Meta's documentation alone and imports nothing of the
product: a misunderstanding in one of them shows as a refusal by the other.

`FakeMeta` runs on the current loop; `python -m tests.meta` is the same in a process of its own, with a control surface
under /_fake/ (control.py). `tests.meta.measure` prints how many events a second it takes.
"""

from tests.meta.faults import Faults
from tests.meta.server import FakeMeta

__all__ = ["FakeMeta", "Faults"]
