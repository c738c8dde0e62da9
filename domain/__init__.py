"""Nouns and promises. Imports nothing of ours, no driver, no framework."""
