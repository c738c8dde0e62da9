"""Small GeoIP databases, made by another program than the one that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet

FLAT4 = {
    "177.10.0.0/16": {"country_code": "BR", "state1": "Rio Grande do Sul", "city": "Eldorado do Sul"},
    "179.123.0.0/16": {"country_code": "br", "state1": "São Paulo", "city": "Sao Paulo"},
    "8.8.8.0/24": {"country_code": "US", "state1": "California", "city": "Mountain View"},
    "5.5.0.0/16": {"country_code": "ZZ", "state1": "", "city": ""},
    "9.9.0.0/16": {"country_code": "DE", "state1": "R" * 300, "city": "Ü" * 300},
}
FLAT6 = {"2804:14c::/32": {"country_code": "BR", "state1": "Sao Paulo", "city": "Campinas"}}
NESTED = {
    "200.147.0.0/16": {
        "country": {"iso_code": "BR", "names": {"en": "Brazil"}},
        "subdivisions": [{"iso_code": "RJ", "names": {"en": "Rio de Janeiro (State)"}}],
        "city": {"names": {"en": "Rio", "pt-BR": "Rio de Janeiro"}},
        "location": {"latitude": -22.9, "accuracy_radius": 20},
    },
    "200.148.0.0/16": {
        "country": {"iso_code": "BR"},
        "subdivisions": [{"names": {"en": "Federal District"}}],
        "city": {"names": {"en": "Brasilia"}},
    },
    "1.2.0.0/16": {"registered_country": {"iso_code": "AU"}},
    "2804:14d::/32": {"country": {"iso_code": "BR"}, "subdivisions": [], "city": {}},
}
NETWORKS = {
    "8.8.8.0/24": {"autonomous_system_number": 15169, "autonomous_system_organization": "Google LLC"},
    "157.240.0.0/16": {"autonomous_system_number": 32934},
    "2804:14c::/32": {"autonomous_system_number": 28573},
}


def make_database(path: Path, records: dict[str, Any], *, kind: str, version: int = 6) -> Path:
    """Write a database of those records."""
    writer = MMDBWriter(ip_version=version, ipv4_compatible=version == 6, database_type=kind)
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    draft = path.with_name(path.name + ".new")
    writer.to_db_file(str(draft))
    draft.replace(path)
    return path
