"""BatchSize: how many records a transaction takes, learnt from how long transactions take."""

SMALLEST_BATCH = 25


class BatchSize:
    """As many records as the database writes in about so many seconds, `most` at most: nobody who waits for its lock waits long."""

    def __init__(self, most: int, target_seconds: float) -> None:
        self._most = most
        self._target = target_seconds
        self.now = min(most, 4 * SMALLEST_BATCH)

    def took(self, records: int, seconds: float) -> None:
        """Learn from a transaction: half as many after a slow one, half as many again after a quick full one."""
        if seconds > self._target:
            self.now = max(min(SMALLEST_BATCH, self._most), self.now // 2)
        elif records >= self.now and seconds < self._target / 2:
            self.now = min(self._most, self.now + self.now // 2)
