"""A state machine that does to a design what the field does to it, and checks the invariants by name."""
