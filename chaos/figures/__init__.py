"""Figures of a drill: pure functions of what the crowd was told, what the watch saw, and what the logs say."""
