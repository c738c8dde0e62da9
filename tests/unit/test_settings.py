"""Settings come from the environment and one file, and every mistake is named without its value."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from domain.errors import ConfigError
from runtime.settings import load_settings


def test_nothing_given_gives_the_defaults() -> None:
    settings = load_settings({"PATH": "/bin"})
    assert (str(settings.public_bind), settings.ack, settings.deadline_ms) == (
        "127.0.0.1:8080",
        "durable",
        50,
    )
    assert settings.spools == Path("var/spool")
    assert settings.sql.endswith("/var/trilha.db")
    assert settings.base_url == "http://127.0.0.1:8080"


def test_an_unknown_name_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigError, match="TRILHA_DEADLINE is not a setting"):
        load_settings({"TRILHA_DEADLINE": "50"})


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "trilha.toml"
    file.write_text('ack = "chain"\nnode = 5\ntrusted_proxies = ["10.0.0.0/8"]\n')
    settings = load_settings({"TRILHA_CONFIG": str(file), "TRILHA_NODE": "6"})
    assert (settings.ack, settings.node, settings.trusted_proxies) == (
        "chain",
        6,
        (ip_network("10.0.0.0/8"),),
    )


def test_an_unknown_name_in_the_file_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "trilha.toml"
    file.write_text("nodes = 5\n")
    with pytest.raises(ConfigError, match="TRILHA_NODES is not a setting"):
        load_settings({"TRILHA_CONFIG": str(file)})


@pytest.mark.parametrize("content", [None, "not toml ="])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "trilha.toml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match="TRILHA_CONFIG"):
        load_settings({"TRILHA_CONFIG": str(file)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, nonsense"),
        ("PUBLIC_BIND", "8080"),
        ("PUBLIC_BIND", "127.0.0.1:"),
        ("PRIVATE_BIND", "127.0.0.1:70000"),
        ("TIMEZONE", "Brazil/Nowhere"),
        ("TIMEZONE", "../../etc/passwd"),
        ("TIMEZONE", "America"),
        ("ACK", "maybe"),
        ("DEADLINE_MS", "0"),
        ("NODE", "65536"),
        ("SPOOL_QUOTA", "many"),
        ("NPM_REGISTRY", "registry.example"),
        ("NPM_REGISTRY", "file:///tmp"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_its_setting(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"TRILHA_{name}"):
        load_settings({f"TRILHA_{name}": value})


def test_every_mistake_is_named_at_once_and_no_value_is_shown() -> None:
    with pytest.raises(ConfigError) as mistake:
        load_settings(
            {
                "TRILHA_ACK": "hunter2",
                "TRILHA_PUBLIC_BIND": "hunter2",
                "TRILHA_NODE": "hunter2",
                "TRILHA_REDIS_PASSWORD": "hunter2",
            }
        )
    text = str(mistake.value)
    assert "hunter2" not in text
    assert [line.split()[0].rstrip(":") for line in text.splitlines()] == [
        "TRILHA_PUBLIC_BIND", "TRILHA_ACK", "TRILHA_NODE", "TRILHA_REDIS_PASSWORD",
    ]  # fmt: skip
    assert mistake.value.__cause__ is None


def test_networks_binds_and_sizes_are_read_as_they_are_written() -> None:
    settings = load_settings(
        {
            "TRILHA_TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::/32",
            "TRILHA_PUBLIC_BIND": "[::1]:80",
            "TRILHA_SPOOL_QUOTA": "512MiB",
            "TRILHA_REDIS_URL": "",
        }
    )
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    assert (str(settings.public_bind), settings.spool_quota, settings.redis_url) == ("[::1]:80", 2**29, None)


def test_geoip_databases_are_those_that_are_named_else_those_in_the_home() -> None:
    assert load_settings({}).geoip == [Path("var/geoip")]
    named = load_settings({"TRILHA_GEOIP_PATHS": "/srv/city.mmdb, /usr/share/GeoIP,"})
    assert named.geoip == [Path("/srv/city.mmdb"), Path("/usr/share/GeoIP")]
    assert load_settings({"TRILHA_GEOIP_PATHS": ""}).geoip == [Path("var/geoip")]
    assert (
        load_settings({"TRILHA_NPM_REGISTRY": "https://npm.example/"}).npm_registry == "https://npm.example"
    )
