"""Which column of another tracker's table is what: found by usual names, or as the operator says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from domain.ad_url import MAX_PARAMS, MAX_VALUE, is_ad_param
from domain.errors import ConfigError

KEY = "id"
FIELDS: Mapping[str, tuple[str, ...]] = {
    KEY: ("id", "pk", "uuid"),
    "telegram_id": ("telegramid", "telegramuserid", "tgid", "tguserid", "userid", "chatid"),
    "clicked_at": ("clicktimestamp", "clickedat", "clicktime", "clickat"),
    "created_at": ("createdat", "created", "startedat", "joinedat", "registeredat", "timestamp"),
    "ip": ("ipaddress", "ip", "clientip", "remoteaddr"),
    "user_agent": ("useragent", "ua"),
    "fbclid": ("fbclid",),
    "fbc": ("fbc",),
    "fbp": ("fbp",),
    "bot": ("bot", "botusername", "botname"),
}
"""What is taken of a row, and the names that columns of it have, the likeliest first; without case and `_`."""
LENGTHS = {
    "telegram_id": 32,
    "clicked_at": 64,
    "created_at": 64,
    "ip": 65,
    "user_agent": 1024,
    "fbclid": 512,
    "fbc": 600,
    "fbp": 600,
    "bot": 64,
}
"""So many characters of each are read: what is longer is cropped by the database, before it is here."""
TABLES = frozenset({"botuser", "botusers"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The column of each field that there is (with the ad's own parameters, by their names), and those that are left out."""

    of: Mapping[str, str]
    left_out: tuple[str, ...]

    @property
    def key_names_people(self) -> bool:
        """Whether the row's id is the person's: then it is shown to nobody, nor kept."""
        return self.of.get(KEY) == self.of.get("telegram_id")


def plain(name: str) -> str:
    """A name as it is compared."""
    return name.lower().replace("_", "").replace("-", "").strip('"')


def length_of(field: str) -> int:
    """How many characters of a field are read."""
    return LENGTHS.get(field, MAX_VALUE)


def find_table(names: Sequence[str], given: str | None) -> str:
    """The table to read; ConfigError names those that there are."""
    if given is not None:
        if given not in names:
            raise ConfigError(f"the source has no table {given!r}. It has: {', '.join(names) or 'none'}")
        return given
    likely = [name for name in names if plain(name) in TABLES]
    if len(likely) != 1:
        raise ConfigError(f"name the table with --table. The source has: {', '.join(names) or 'none'}")
    return likely[0]


def find_columns(names: Sequence[str], primary: Sequence[str], given: Mapping[str, str]) -> Columns:
    """What each column is; ConfigError where that cannot be told, or what is given cannot be."""
    for field, column in given.items():
        if field not in FIELDS and not is_ad_param(field):
            known = ", ".join([*FIELDS, "utm_…"])
            raise ConfigError(f"--column {field}=…: there is no such field. There are: {known}")
        if column not in names:
            raise ConfigError(
                f"--column {field}={column}: the table has no such column. It has: {', '.join(names)}"
            )
    found = dict(given)
    for field, usual in FIELDS.items():
        if field not in found and (likely := _first(names, usual, set(found.values()))):
            found[field] = likely
    if KEY not in given and len(primary) == 1:
        found[KEY] = primary[0]
    for name in names:
        field = name.lower()
        if is_ad_param(field) and name not in found.values() and len(found) < MAX_PARAMS + len(FIELDS):
            found.setdefault(field, name)
    if not {"clicked_at", "created_at"} & found.keys():
        raise ConfigError("no column says when a click was. Name it with --column clicked_at=COLUMN")
    return Columns(of=found, left_out=tuple(name for name in names if name not in found.values()))


def _first(names: Iterable[str], usual: Sequence[str], taken: set[str]) -> str | None:
    by_name = {plain(name): name for name in names if name not in taken}
    return next((by_name[name] for name in usual if name in by_name), None)
