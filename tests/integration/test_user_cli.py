"""trilha user: who may use the dashboard, as an operator types it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import select

from backends.sql.engine import make_engine
from backends.sql.operator_schema import users
from backends.sql.schema import audit
from privacy.passwords import Passwords
from tests.commands import Commands

PASSWORD = "correct horse battery"


@pytest.fixture
def trilha(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, sqlite_tables: str
) -> Commands:
    return Commands(monkeypatch, capsys, home_dir=str(tmp_path / "home"), sql_url=sqlite_tables)


def rows(url: str, wanted: object) -> list:
    async def read() -> list:
        engine = make_engine(url, patience=10)
        async with engine.connect() as connection:
            found = (await connection.execute(wanted)).all()
        await engine.dispose()
        return found

    return asyncio.run(read())


def test_a_user_is_added_listed_changed_and_removed_and_the_audit_has_it(
    trilha: Commands, sqlite_tables: str
) -> None:
    trilha("user", "add", "Ana", "--role", "owner", given=PASSWORD + "\n")
    trilha("user", "add", "bob", "--role", "analyst", given=PASSWORD)
    listed = json.loads(trilha("user", "list", "--json").out)
    assert [(each["name"], each["role"], each["sessions"], each["seen_at"]) for each in listed] == [
        ("Ana", "owner", 0, None),
        ("bob", "analyst", 0, None),
    ]
    assert json.loads(trilha("user", "role", "BOB", "dpo", "--json").out) == {"name": "bob", "role": "dpo"}
    trilha("user", "password", "bob", given="another password")
    trilha("user", "remove", "bob", "--yes")
    assert "bob" not in trilha("user", "list").out
    noted = rows(sqlite_tables, select(audit).order_by(audit.c.id))
    assert [row.detail["whom"] for row in noted] == [1, 2, 2, 2, 2]
    assert "bob" not in str(noted).lower()
    assert [row.action for row in noted] == [
        "user add",
        "user add",
        "user role",
        "user password",
        "user remove",
    ]
    (ana,) = rows(sqlite_tables, select(users))
    assert asyncio.run(Passwords().matches(PASSWORD, ana.password))
    assert PASSWORD not in trilha.said


def test_the_audit_shows_a_users_name_beside_the_number_for_as_long_as_they_are_one(trilha: Commands) -> None:
    """The number of somebody who was removed is nobody else's afterwards."""
    trilha("keys", "create")
    trilha("user", "add", "Ana", "--role", "owner", given=PASSWORD)
    trilha("user", "add", "bob", "--role", "analyst", given=PASSWORD)
    assert "whom 2 (bob), role analyst" in trilha("privacy", "audit").out
    trilha("user", "remove", "bob", "--yes")
    trilha("user", "add", "Bia", "--role", "analyst", given=PASSWORD)
    assert [each["id"] for each in json.loads(trilha("user", "list", "--json").out)] == [1, 3]
    lines = json.loads(trilha("privacy", "audit", "--json").out)
    assert [line["names"].get("whom") for line in lines] == ["Ana", None, None, "Bia"]
    shown = trilha("privacy", "audit").out
    assert ("whom 1 (Ana)" in shown, "whom 3 (Bia)" in shown, "bob" in shown) == (True, True, False)


def test_a_password_may_be_a_file_that_others_cannot_read(trilha: Commands, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    file.chmod(0o644)
    trilha("user", "add", "Ana", "--role", "owner", "--password-file", str(file), code=2)
    file.chmod(0o600)
    trilha("user", "add", "Ana", "--role", "owner", "--password-file", str(file))


def test_a_short_password_is_refused_and_not_repeated(trilha: Commands) -> None:
    said = trilha("user", "add", "Ana", "--role", "owner", given="short-secret", code=0)
    assert "may sign in" in said.out
    said = trilha("user", "add", "bob", "--role", "owner", given="short-one", code=2)
    assert "12 to 1024" in said.err
    assert "short-one" not in said.err


@pytest.mark.parametrize("name", ["Ana", "ANA"])
def test_a_name_is_taken_in_whatever_case(trilha: Commands, name: str) -> None:
    trilha("user", "add", "Ana", "--role", "owner", given=PASSWORD)
    assert "already" in trilha("user", "add", name, "--role", "dpo", given=PASSWORD, code=2).err


def test_the_last_owner_can_be_neither_removed_nor_made_anything_else(trilha: Commands) -> None:
    trilha("user", "add", "Ana", "--role", "owner", given=PASSWORD)
    assert "last owner" in trilha("user", "remove", "Ana", "--yes", code=2).err
    assert "last owner" in trilha("user", "role", "Ana", "analyst", code=2).err
    assert [each["role"] for each in json.loads(trilha("user", "list", "--json").out)] == ["owner"]


def test_removing_asks_first(trilha: Commands) -> None:
    for name in ("Ana", "Bia"):
        trilha("user", "add", name, "--role", "owner", given=PASSWORD)
    trilha("user", "remove", "Bia", given="n\n", code=1)
    assert "Bia" in trilha("user", "list").out
    trilha("user", "remove", "Bia", given="y\n")
    assert "Bia" not in trilha("user", "list").out


def test_whom_nobody_knows_is_an_error(trilha: Commands) -> None:
    assert "no user" in trilha("user", "password", "x", given=PASSWORD, code=2).err


def test_without_the_extra_the_dashboard_says_how_to_install_it(
    trilha: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.dashboard.LIBRARIES", ("argon2", "no_such_library"))
    monkeypatch.setattr("cli.dashboard.give_way", lambda: None)
    monkeypatch.setattr("cli.processes.log_uncaught", lambda: None)
    assert "pip install 'trilha[dashboard]'" in trilha("dashboard", code=2).err
