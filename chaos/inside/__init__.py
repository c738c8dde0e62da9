"""Faults that live inside a process of Trilha: it is started through one of these programs."""
