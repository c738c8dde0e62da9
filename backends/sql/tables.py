"""Every table there is: the metadata with all of them in it."""

from backends.sql.operator_schema import alert_judges, alerts, sessions, users
from backends.sql.rollup_schema import CHANGES, ROLLUPS
from backends.sql.schema import metadata

__all__ = ["CHANGES", "ROLLUPS", "alert_judges", "alerts", "metadata", "sessions", "users"]
