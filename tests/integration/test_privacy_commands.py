"""The privacy commands as an operator calls them: exit codes, empty states, stores that are down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

from backends.sql.schema import outbox
from chaos.servers import free_port
from domain.attribution import Owner, Start
from tests.daemon_fixture import BOT, Site
from tests.making import NOW, full_click, start_of

ROOT = Path(__file__).parents[2]
ANA = 0x5A_C39E_71B4


def trilha(site: Site, *command: str, given: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "TRILHA_HOME_DIR": str(site.settings.home_dir),
        "TRILHA_SQL_URL": site.settings.sql,
        **settings,
    }
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *command],
        cwd=ROOT,
        env=os.environ | environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
    )


async def with_a_click(site: Site) -> None:
    from backends.sql.ledger import SqlLedger
    from privacy.keyring import Keyring

    click = full_click(link_id=1, sealed=b"\x01" + (20_833).to_bytes(4, "big") + bytes(80))
    async with site.engine() as engine:
        ledger = SqlLedger(engine, Keyring(site.settings.secrets, site.clock).person_key)
        await ledger.record_start(start_of(click, ANA), click)


async def test_nobodys_erasure_says_so_and_is_audited_without_the_id(site: Site) -> None:
    done = trilha(site, "privacy", "erase", "--telegram-id", "-", given=f"{ANA}\n")
    assert (done.returncode, "no store had anything" in done.stdout) == (0, True), done.stderr
    audit = trilha(site, "privacy", "audit", "--json")
    [line] = json.loads(audit.stdout)
    nothing = {"clicks": 0, "starts": 0, "conversions": 0, "bot_users": 0}
    assert (line["action"], line["detail"]) == ("erase", nothing)
    assert str(ANA) not in done.stdout + done.stderr + audit.stdout


async def test_without_sql_nothing_is_erased_and_the_command_says_that_all_is_to_do(site: Site) -> None:
    site.sql_away()
    done = trilha(site, "privacy", "erase", "--telegram-id", str(ANA))
    assert done.returncode == 3
    assert "Still to do: everything" in done.stderr
    exported = trilha(site, "privacy", "export", "--telegram-id", str(ANA))
    assert exported.returncode == 3
    assert json.loads(exported.stdout)["incomplete"] == ["sql"]


async def test_with_redis_down_an_erasure_says_what_is_left_and_for_how_long(site: Site) -> None:
    await with_a_click(site)
    down = {"TRILHA_REDIS_URL": f"redis://127.0.0.1:{free_port()}"}
    done = trilha(site, "privacy", "erase", "--telegram-id", str(ANA), **down)
    assert done.returncode == 3, done.stderr
    assert "STILL TO DO: redis, 1 clicks" in done.stdout
    assert "180 s" in done.stdout


async def test_an_export_is_a_new_private_file_and_a_profile_has_its_exit_code(
    site: Site, tmp_path: Path
) -> None:
    await with_a_click(site)
    page = tmp_path / "ana.json"
    command = ("privacy", "export", "--telegram-id", str(ANA), "--output", str(page))
    assert trilha(site, *command).returncode == 0
    assert page.stat().st_mode & 0o777 == 0o600
    [click] = json.loads(page.read_text())["clicks"]
    assert click["bot"] == BOT
    assert trilha(site, *command).returncode == 2, "an export is never overwritten"
    found = trilha(site, "profile", "--telegram-id", str(ANA), "--bot", BOT, "--json")
    assert (found.returncode, json.loads(found.stdout)["clicks"]) == (0, 1), found.stderr
    assert trilha(site, "profile", "--telegram-id", "12345").returncode == 1


async def test_an_export_and_a_profile_show_how_each_bot_knows_a_person_and_an_erasure_counts_it(
    site: Site,
) -> None:
    """Touches name clicks by their ids: what is known of a click stands in the export once."""
    await with_a_click(site)
    whole = json.loads(trilha(site, "privacy", "export", "--telegram-id", str(ANA)).stdout)
    [known], [click], [start] = whole["bot_users"], whole["clicks"], whole["starts"]
    assert (known["bot"], known["blocked"], known["last_started_at"]) == (BOT, False, start["started_at"])
    touch = {"click": click["id"], "clicked_at": click["clicked_at"], "started_at": start["started_at"]}
    assert known["first_touch"] == known["last_touch"] == touch
    assert (start["reply"], start["replied_at"]) == (None, None)
    names = {*known, *touch, *start}
    assert names <= {*whole["labels"], "id"}, "every name is explained"
    found = trilha(site, "profile", "--telegram-id", str(ANA), "--json")
    assert json.loads(found.stdout)["bot_users"] == [known]
    assert click["id"] in trilha(site, "profile", "--telegram-id", str(ANA)).stdout
    done = json.loads(trilha(site, "privacy", "erase", "--telegram-id", str(ANA), "--json").stdout)
    assert done["erased"]["bot_users"] == 1
    lines = json.loads(trilha(site, "privacy", "audit", "--json").stdout)
    counted = [line["detail"]["bot_users"] for line in lines if line["action"] != "discard"]
    assert counted == [1, 1, 1, 1]


async def test_an_export_shows_conversions_that_name_a_person_and_an_erasure_clears_them(site: Site) -> None:
    """Also where no click of theirs is known."""
    row = {"event_id": UUID(int=1), "lane": "meta/123456789", "event": "Purchase", "event_at": NOW}
    row |= {"next_at": NOW, "state": "sent", "sent_at": NOW, "matched": "em external_id", "bot_id": 1}
    row |= {"telegram_id": ANA, "value": 49_900_000, "currency": "BRL", "order_id": "A-1"}
    row |= {"person": {"em": ["digest-of-hers"]}}
    async with site.engine() as engine, engine.begin() as connection:
        await connection.execute(outbox.insert().values(**row))
    text = trilha(site, "privacy", "export", "--telegram-id", str(ANA)).stdout
    whole = json.loads(text)
    [shown] = whole["conversions"]
    assert (shown["bot"], shown["click"], shown["pixel"], shown["webhook"]) == (BOT, None, "123456789", None)
    assert (shown["value"], shown["currency"], shown["order_id"]) == (49.9, "BRL", "A-1")
    assert (shown["person"], shown["matched"]) == ({"em": ["digest-of-hers"]}, ["em", "external_id"])
    assert shown["sent_at"] == shown["event_at"]
    assert {*shown} <= {*whole["labels"]}, "every name is explained"
    done = trilha(site, "privacy", "erase", "--telegram-id", str(ANA), "--json")
    assert json.loads(done.stdout)["erased"]["conversions"] == 1
    again = json.loads(trilha(site, "privacy", "export", "--telegram-id", str(ANA)).stdout)
    assert again["conversions"] == []


async def test_somebody_who_only_came_directly_is_in_the_profile_without_a_click(site: Site) -> None:
    from backends.sql.ledger import SqlLedger
    from privacy.keyring import Keyring

    direct = Start.direct(Owner(bot_id=1, telegram_id=ANA), at_ms=NOW, update_id=1)
    async with site.engine() as engine:
        ledger = SqlLedger(engine, Keyring(site.settings.secrets, site.clock).person_key)
        await ledger.record_start(direct, None)
    found = trilha(site, "profile", "--telegram-id", str(ANA))
    assert (found.returncode, BOT in found.stdout) == (1, True), found.stderr
    assert "no click of this person is known" in found.stdout


async def test_doctor_and_incident_show_counts_and_forms_and_no_original(site: Site) -> None:
    for command in (("privacy", "doctor"), ("privacy", "incident", "--since", "2020-01-01")):
        assert trilha(site, *command).returncode == 0
    await with_a_click(site)
    row = json.loads(trilha(site, "privacy", "doctor", "--json").stdout)["row"]
    assert {cell["column"]: cell["kind"] for cell in row}["sealed"] == "sealed"
    found = trilha(site, "privacy", "incident", "--since", "2020-01-01", "--until", "2030-01-01", "--json")
    shown = json.loads(found.stdout)
    assert (shown["people"], shown["clicks"], shown["visitors"]) == (1, 1, 1)
    assert trilha(site, "privacy", "incident", "--since", "soon").returncode == 2


async def test_an_id_that_is_none_is_refused_without_being_repeated(site: Site) -> None:
    done = trilha(site, "privacy", "erase", "--telegram-id", "abc987654321")
    assert done.returncode == 2
    assert "987654321" not in done.stderr + done.stdout
