"""Redis has another password than Trilha: connections are cut, and every new one is refused with WRONGPASS or NOAUTH."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage

OTHER = "another-password"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisPassword:
    """The password is changed, and whoever is connected must come again.

    Without one Redis takes any: a stage that shall see WRONGPASS names some password in its `redis_url`.
    """

    says: str = "Redis has another password"

    def begin(self, stage: Stage) -> None:
        """Returns when every client is out."""
        # Who is in stays in, whatever the password is.
        stage.valkey.obey(f"CONFIG SET requirepass {OTHER}", "CLIENT KILL TYPE normal")

    def end(self, stage: Stage) -> None:
        """Returns when it takes any password again."""
        stage.valkey.commands(f"AUTH {OTHER}", 'CONFIG SET requirepass ""')
