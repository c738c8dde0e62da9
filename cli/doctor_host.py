"""What `trilha doctor` says of the machine: disk, limits, clock, who may read what, and what stands before the listeners."""

import asyncio
import ctypes
import os
import resource
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from analytics.finding import Finding, Verdict
from runtime.settings import Bind, Settings

Trouble = tuple[Verdict, str]
# Connections that a daemon may hold at once, and what it needs beside them.
FILES = 4096
# Of the disk, beyond what the spools may still take.
ROOM = 512 * 1024**2
# What our sockets ask the kernel for (deploy/systemd, daemon/listeners.py).
BACKLOG = 2048
SOMAXCONN = Path("/proc/sys/net/core/somaxconn")
SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
# adjtimex(2): the kernel says that nobody keeps the clock.
STA_UNSYNC, TIME_ERROR = 0x0040, 5
_LOOPBACK = ("127.", "::1", "localhost")


async def host(given: Settings) -> Finding:
    """Everything about the machine in one finding; the worst of it is the verdict."""
    found = await asyncio.to_thread(lambda: [*troubles(given)])
    if not found:
        return Finding("host", "ok", _in_order(given))
    failed = any(verdict == "failed" for verdict, _ in found)
    return Finding("host", "failed" if failed else "warning", "; ".join(text for _, text in found))


def troubles(given: Settings) -> Iterator[Trouble]:
    """Each thing that is not as it should be, with how to mend it."""
    yield from of_user(os.geteuid())
    yield from of_disk(given)
    yield from of_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield from of_clock(synchronised())
    yield from of_owners(_secret_places(given), os.geteuid())
    yield from of_binds(given)
    yield from of_proxy(given)
    yield from of_queue(_number(SOMAXCONN))


def of_user(user: int) -> Iterator[Trouble]:
    """Whoever breaks into a process of root's has the machine."""
    if user == 0:
        text = "this runs as root: give it a user of its own (docs/how-to/install-on-debian.md)"
        yield "warning", f"{text}; what a root makes in the home, the services cannot write"


def of_disk(given: Settings) -> Iterator[Trouble]:
    """A quota that the disk has no room for: the disk fills before the quota ends the spooling."""
    place = _existing(given.spools)
    free, used = shutil.disk_usage(place).free, _size(given.spools)
    wanted = max(int(given.spool_quota) - used, 0) + ROOM
    if free < wanted:
        text = f"{_mib(free)} free at {place}, and the spools may take {_mib(wanted - ROOM)} more"
        mend = f"free the disk until {_mib(wanted)} are, or lower TRILHA_SPOOL_QUOTA"
        yield "failed" if free < ROOM else "warning", f"{text}: {mend}"


def of_files(limit: int) -> Iterator[Trouble]:
    """Each visitor is a file descriptor."""
    if limit != resource.RLIM_INFINITY and limit < FILES:
        text = f"{limit} files may be open here, each connection is one"
        # The services have a limit of their own: LimitNOFILE of their units.
        if not _under_systemd_units():
            yield "warning", f"{text}: ulimit -n {FILES} where `trilha serve` is started"


def of_clock(kept: bool | None) -> Iterator[Trouble]:
    """Tokens, day keys and Meta go by the clock."""
    if kept is None:
        yield "warning", "cannot tell whether somebody sets this machine's clock: see timedatectl"
    elif not kept:
        yield "warning", "nobody sets this machine's clock: timedatectl set-ntp true, or install chrony"


def of_owners(places: Iterable[Path], user: int) -> Iterator[Trouble]:
    """Folders and files of secrets that others may enter or read, or that belong to somebody else."""
    for path in places:
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        except PermissionError:
            yield "failed", f"{path} cannot be looked at: run this as the user of the services"
            continue
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o077:
            closed = "700" if stat.S_ISDIR(found.st_mode) else "600"
            yield "failed", f"{path} is open to others ({mode:o}): chmod {closed} {path}"
        if user not in {found.st_uid, 0}:
            yield "failed", f"{path} belongs to another user ({found.st_uid}): chown {user} {path}"


def of_binds(given: Settings) -> Iterator[Trouble]:
    """Listeners for this machine alone that other machines can reach."""
    private = {
        "TRILHA_PRIVATE_BIND": given.private_bind,
        "TRILHA_DASHBOARD_BIND": given.dashboard_bind,
        "TRILHA_BOT_BIND": given.bot_bind,
        "TRILHA_WORK_BIND": given.work_bind,
    }
    for name, bind in private.items():
        if bind is not None and not is_loopback(bind):
            text = f"{name} is {bind}, which other machines may reach: 127.0.0.1:{bind.port}"
            yield "warning", f"{text}, unless only a network of your own leads there"


def of_proxy(given: Settings) -> Iterator[Trouble]:
    """An address with https is a proxy's doing, as Trilha does no TLS: untrusted, it is taken for the one visitor there is."""
    if (given.public_url or "").startswith("https://") and not given.trusted_proxies:
        text = "TRILHA_PUBLIC_URL is https, so a proxy stands before it, and TRILHA_TRUSTED_PROXIES is empty"
        yield "warning", f"{text}: all visitors have its address. Set 127.0.0.1/32, or where it comes from"


def of_queue(most: int | None) -> Iterator[Trouble]:
    """Visitors who wait while a daemon restarts. Where it cannot be read, a kernel since 5.4 has 4096."""
    if most is not None and most < BACKLOG:
        text = f"the kernel lets {most} visitors wait at a listener"
        yield "warning", f"{text}: sysctl -w net.core.somaxconn=4096, and into /etc/sysctl.d"


def is_loopback(bind: Bind) -> bool:
    """Only this machine reaches it."""
    return bind.host.startswith(_LOOPBACK)


def synchronised() -> bool | None:
    """Whether the clock is kept by NTP, as systemd-timesyncd or the kernel says; None when neither says."""
    if SYNCHRONISED.exists():
        return True
    return _kernel_says()


def _kernel_says() -> bool | None:
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    # struct timex: `modes` 0 changes nothing; `status` comes after modes, offset, freq, maxerror and esterror, each a long.
    room = (ctypes.c_long * 64)()
    state = adjtimex(room)
    if state < 0:
        return None
    status = ctypes.c_int.from_buffer(room, 5 * ctypes.sizeof(ctypes.c_long)).value
    return state != TIME_ERROR and not status & STA_UNSYNC


def _secret_places(given: Settings) -> list[Path]:
    files = [
        given.secrets,
        given.api_keys,
        given.api_hash,
        given.smtp_password,
        given.alert_webhook_secret,
        *([given.bot_tokens_file] if given.bot_tokens_file else []),
    ]
    return [given.home_dir, given.home_dir / "secrets", given.spools, given.bot_sessions, *files]


def _under_systemd_units() -> bool:
    return Path("/etc/systemd/system/trilha-serve.service").exists()


def _existing(path: Path) -> Path:
    place = path.absolute()
    while not place.exists():
        place = place.parent
    return place


def _size(folder: Path) -> int:
    total = 0
    for file in folder.glob("**/*"):
        with suppress(OSError):  # settled, and gone since it was listed
            total += file.lstat().st_size
    return total


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _mib(volume: int) -> str:
    return f"{volume / 1024**2:.0f} MiB"


def _in_order(given: Settings) -> str:
    free = shutil.disk_usage(_existing(given.spools)).free
    return f"{_mib(free)} free, the clock is kept, secrets are closed"
