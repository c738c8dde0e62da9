"""What is known of alerts: in SQL, which all workers share, and in this worker's memory while SQL cannot be asked."""

from backends.sql.alerts import SqlAlerts
from domain.alerts import AlertKey, AlertState
from domain.errors import StoreUnavailable


class Remembered:
    """That SQL is down has to be told too. What changes meanwhile is written once it is back, if nobody else has changed it."""

    def __init__(self, sql: SqlAlerts) -> None:
        self._sql = sql
        self._unsaved: set[AlertKey] = set()
        self.known: dict[AlertKey, AlertState] = {}

    async def load(self) -> None:
        """Know what SQL has; without SQL, what was known last."""
        try:
            found = await self._sql.load()
            for key in sorted(self._unsaved, key=lambda item: (item.rule, item.subject)):
                await self._sql.change(key, found.get(key), self.known.get(key))
                self._unsaved.discard(key)
            self.known = await self._sql.load()
        except StoreUnavailable:
            return

    async def change(self, key: AlertKey, after: AlertState | None) -> bool:
        """Put a new state in place of the known one. False: another worker has done something with it, and tells of it."""
        try:
            won = await self._sql.change(key, self.known.get(key), after)
        except StoreUnavailable:
            self._unsaved.add(key)
            won = True
        if won:
            self._keep(key, after)
        return won

    def _keep(self, key: AlertKey, after: AlertState | None) -> None:
        if after is None:
            self.known.pop(key, None)
        else:
            self.known[key] = after
