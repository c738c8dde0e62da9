"""What the spools' folder must look like, as actions: one that is not so makes the drill fail."""

from __future__ import annotations

from chaos.faults.disk_bit_flip import DiskBitFlip
from chaos.stage.trilha import wait_until
from chaos.toolkit.current import current, drill

SECONDS = 30.0
DATABASE, ASIDE = "cache.db", "aside"


def damaged_for_good() -> None:
    """The clicks whose only copy a fault has just damaged: they cannot be expected in SQL, but must be set aside."""
    for fault in current().faults.values():
        if isinstance(fault, DiskBitFlip):
            drill().log.damaged.update(fault.hit)


def expect_set_aside(records: int) -> None:
    """So many damaged records are in `aside/`, and no more; TimeoutError if they are not after 30 s."""
    folder = drill().stage.spool_folder / ASIDE
    wait_until(
        f"{records} records are set aside", lambda: len([*folder.glob("*.bin")]) == records, seconds=SECONDS
    )
    drill().mark(f"set aside: {records}")


def expect_spools(count: int) -> None:
    """So many spools are left, all others were settled and removed; TimeoutError if they are not after 30 s."""
    folder = drill().stage.spool_folder
    wait_until(
        f"{count} spools are left", lambda: len([*folder.glob(f"*/{DATABASE}")]) == count, seconds=SECONDS
    )
    drill().mark(f"spools left: {count}")
