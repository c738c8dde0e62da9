"""Analytics: the read side. Reports, rollups, explain, the dashboard. Nothing here is on a visitor's way."""
