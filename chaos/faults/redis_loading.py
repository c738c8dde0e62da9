"""Redis was restarted and loads its data: it takes connections, and answers LOADING to every command, a PING too."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage
from chaos.stage.trilha import wait_until

# Valkey's own tests slow a load down like this: so many microseconds a key, and a look at clients after each KB.
KEYS, PAUSE = 30_000, 500
SLOWLY = ("--key-load-delay", str(PAUSE), "--loading-process-events-interval-bytes", "1024")
FILL = f"EVAL \"for i=1,{KEYS} do redis.call('SET','filler:'..i,'x') end return 1\" 0"
SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisLoading:
    """It is killed, and loads a snapshot that takes longer than any drill; at its end it loads at full speed."""

    says: str = "Redis loads its data"

    def begin(self, stage: Stage) -> None:
        """Returns when it has begun to load."""
        valkey = stage.valkey
        valkey.obey(FILL, "SAVE")
        valkey.kill()
        valkey.launch(*SLOWLY)
        wait_until("Redis loads", lambda: _says(stage).startswith(b"-LOADING"), SECONDS)

    def end(self, stage: Stage) -> None:
        """Returns when it has loaded everything."""
        stage.valkey.obey("CONFIG SET key-load-delay 0")
        wait_until("Redis has loaded", lambda: _says(stage) == b"+PONG", SECONDS)


def _says(stage: Stage) -> bytes:
    try:
        return stage.valkey.command("PING")
    except OSError:
        return b""
