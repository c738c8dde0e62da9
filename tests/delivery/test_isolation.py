"""What goes wrong in one lane holds up no other."""

from __future__ import annotations

from pathlib import Path

from tests.delivery.isolation import measured, ratio, table


async def test_a_pixel_that_does_not_answer_makes_no_other_wait(tmp_path: Path) -> None:
    """Phases with and without it in turn, so that a slow machine slows both. Twice is noise: one call of it takes 0.5 s,
    and whoever waited for one would wait for three.
    """
    phases = await measured(tmp_path)
    print(f"\n{table(phases)}")
    # Later on its lane rests longer than a phase lasts; at first it is called all the time.
    assert next(phase for phase in phases if phase.dead).calls_to_dead > 0
    assert sum(phase.calls_to_dead for phase in phases) >= 3
    assert ratio(phases) < 2.0, table(phases)
