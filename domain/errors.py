"""What can go wrong, as a tree.

TrilhaError                    an error of ours; its text may be shown to the operator and holds no personal data
├── ConfigError                settings, files or keys are not as they must be; says how to mend it
├── StoreError                 a store could not do it
│   ├── StoreUnavailable       it could not be asked (down, too slow, wrong password): another may be tried
│   │   ├── SpoolFull          the disk spool is at its quota; what it holds stays
│   │   └── StoreBroken        it failed in a way that trying again would not mend: its breaker opens at once
│   └── RecordRejected         the record itself is at fault: no other store would take it either
├── InvalidToken               a token that we did not mint, or that is too old; raised before any store is asked
├── UnknownBot                 a start or a conversion names a bot that is not registered
├── UnknownClick               a conversion names a click that no store has
└── InvalidConversion          a conversion that cannot be reported as it is; says what to change, not what was sent
"""


class TrilhaError(Exception):
    """An error of ours. Its text is fit for an operator's eyes."""


class ConfigError(TrilhaError):
    """Settings, files or keys are not as they must be. The text says how to mend it."""


class StoreError(TrilhaError):
    """A store could not do what was asked."""


class StoreUnavailable(StoreError):
    """The store could not be asked. Nothing is known about what it holds."""


class SpoolFull(StoreUnavailable):
    """The disk spool has reached its quota. Nothing that it holds is dropped (I13)."""


class StoreBroken(StoreUnavailable):
    """The store failed in a way that trying again would not mend, such as a failed fsync."""


class RecordRejected(StoreError):
    """The record is at fault, not the store: failing over would not help."""


class InvalidToken(TrilhaError):
    """Not a token of ours, or one beyond the attribution window."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownBot(TrilhaError):
    """What arrived names a bot that is not registered."""


class UnknownClick(TrilhaError):
    """A conversion names a click that no store has."""


class InvalidConversion(TrilhaError):
    """A conversion that cannot be reported as it is. The text says what to change, and nothing of what was sent."""
