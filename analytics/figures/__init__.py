"""Figures of a period, which report, pages and alerts are made of: read off the rollups, each a frozen value.

`await name(reader, period, link_id)` asks for one; `await answers(reader, name_figure(…), …)` (asked.py) for several, as of
one moment. clicks.py: totals, by_day, by_hour, traits, waits. links.py: by_link, by_ad. events.py: events, deliveries, unsent.
starts.py: starts_by_kind. books.py: books.
"""
