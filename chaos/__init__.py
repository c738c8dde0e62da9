"""Faults, drills and the checker: what proves that nothing is lost. Runs in a checkout, beside real servers."""
