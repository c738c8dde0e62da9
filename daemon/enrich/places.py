"""From a record of a database to a place: two schemas, and the names of Brazil's states."""

import unicodedata
from typing import Literal, NamedTuple

from daemon.enrich.mmdb import Values

Schema = Literal["nested", "flat", "asn", "unknown"]
REGION_LENGTH = 80
CITY_LENGTH = 120
LANGUAGES = (b"pt-BR", b"en")
NOBODY = ("ZZ", "XX")  # how databases write that they do not know

UF = {
    "Acre": "AC",
    "Alagoas": "AL",
    "Amapá": "AP",
    "Amazonas": "AM",
    "Bahia": "BA",
    "Ceará": "CE",
    "Distrito Federal": "DF",
    "Espírito Santo": "ES",
    "Goiás": "GO",
    "Maranhão": "MA",
    "Mato Grosso": "MT",
    "Mato Grosso do Sul": "MS",
    "Minas Gerais": "MG",
    "Pará": "PA",
    "Paraíba": "PB",
    "Paraná": "PR",
    "Pernambuco": "PE",
    "Piauí": "PI",
    "Rio de Janeiro": "RJ",
    "Rio Grande do Norte": "RN",
    "Rio Grande do Sul": "RS",
    "Rondônia": "RO",
    "Roraima": "RR",
    "Santa Catarina": "SC",
    "São Paulo": "SP",
    "Sergipe": "SE",
    "Tocantins": "TO",
}
CODES = frozenset(UF.values())
_PREFIXES = ("estado de ", "estado da ", "estado do ", "state of ")


class Place(NamedTuple):
    """What one record says. The region of Brazil is a UF wherever its name is known."""

    country: str | None = None
    region: str | None = None
    city: str | None = None
    asn: int | None = None


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    return " ".join("".join(c for c in letters if not unicodedata.combining(c)).split())


_BY_NAME = {_plain(name): code for name, code in UF.items()} | {code.lower(): code for code in CODES}
_BY_NAME["federal district"] = "DF"


def uf(name: str) -> str | None:
    """The UF of a Brazilian state's name, with or without accents, in any case; None for any other name."""
    plain = _plain(name)
    for prefix in _PREFIXES:
        plain = plain.removeprefix(prefix)
    return _BY_NAME.get(plain)


def schema_of(fields: dict[bytes, int]) -> Schema:
    """Which of the known schemas a record has. A network database of either kind is `asn`."""
    if b"country_code" in fields:
        return "flat"
    if not fields.keys().isdisjoint(
        (b"country", b"city", b"subdivisions", b"registered_country", b"continent")
    ):
        return "nested"
    return "asn" if b"autonomous_system_number" in fields else "unknown"


def read_place(values: Values, at: int) -> Place:
    """The place that a record says. Raises Damaged."""
    fields = values.fields(at)
    asn = values.number(fields.get(b"autonomous_system_number")) or None
    if b"country_code" in fields:
        country = values.text(fields[b"country_code"])
        region, city = values.text(fields.get(b"state1")), values.text(fields.get(b"city"))
        return _place(country, None, region, city, asn)
    country = values.text(_below(values, fields, b"country").get(b"iso_code"))
    division = _division(values, fields)
    code, region = values.text(division.get(b"iso_code")), _name(values, division)
    return _place(country, code, region, _name(values, _below(values, fields, b"city")), asn)


def _place(
    country: str | None, code: str | None, region: str | None, city: str | None, asn: int | None
) -> Place:
    country = (country or "").upper()
    if len(country) != 2 or not country.isascii() or not country.isalpha() or country in NOBODY:
        return Place(asn=asn)
    if country == "BR":
        region = code if code in CODES else (region and uf(region)) or region
    return Place(country, _cropped(region, REGION_LENGTH), _cropped(city, CITY_LENGTH), asn)


def _cropped(text: str | None, length: int) -> str | None:
    return (text or "")[:length].strip() or None


def _below(values: Values, fields: dict[bytes, int], name: bytes) -> dict[bytes, int]:
    at = fields.get(name)
    return {} if at is None else values.fields(at)


def _division(values: Values, fields: dict[bytes, int]) -> dict[bytes, int]:
    at = fields.get(b"subdivisions")
    first = None if at is None else values.first(at)
    return {} if first is None else values.fields(first)


def _name(values: Values, fields: dict[bytes, int]) -> str | None:
    names = _below(values, fields, b"names")
    return next((found for found in (values.text(names.get(name)) for name in LANGUAGES) if found), None)
