"""Faults that live inside a process of Trilha: it is started through `python -m chaos.inside`, which makes them possible.

    CHAOS_SWITCHES=/some/folder python -m chaos.inside crash disk stall -- serve
    python -m chaos.inside sabotage:ack_before_fsync -- serve

Nothing fails until its switch is turned on (switches.py), and what is turned off is as it was. A planted bug
(chaos/sabotage) has no switch: it is there from the first moment to the last.
"""
