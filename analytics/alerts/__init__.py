"""Alerts: rules as data, judged by `trilha work`."""
