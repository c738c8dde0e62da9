"""The operator's hands: one file per group of commands."""
