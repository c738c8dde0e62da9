"""Fuzzing of what strangers can write: tokens, requests, and what lies in spools and Redis. `python -m tests.fuzz --help`."""
