"""Faults below and around the real stores."""
