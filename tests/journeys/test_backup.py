"""A backup is taken under load, everything is lost, and it is restored."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from backends.folders import FolderLock
from chaos.servers import PostgresServer
from tests.system import BOT, ROOT, System

ERASED, STAYS = 7_100_000_001, 7_100_000_002


@pytest.fixture(params=["sqlite", "postgresql"])
async def system(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A prepared system of this test alone, without Redis."""
    if request.param == "sqlite":
        made = await System.on_sqlite(tmp_path, "")
    else:
        made = System(tmp_path / "home", request.getfixturevalue("postgres_url"))
        await made.prepare()
    yield made
    made.stop()


async def test_every_click_acknowledged_before_the_backup_is_back_and_who_was_erased_since_is_not(
    system: System, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Spools and SQL move while they are copied; old tokens verify; a token of after the backup is still of its link."""
    system.start("serve", "work")
    before = system.load(rate=100, seconds=3)
    await before.run()
    async with system.api() as api:

        async def start(token: str, person: int) -> dict[str, Any]:
            body = {"token": token, "bot": BOT, "telegram_id": person}
            answer = await api.post("/v1/starts", json=body)
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            return found

        assert (await start(before.tokens[0], ERASED))["owner"]
        assert (await start(before.tokens[1], STAYS))["owner"]
        # The worker does not settle what is acknowledged now: it is in the copied spools only.
        system.kill("work")
        waiting = system.load(rate=100, seconds=1)
        await waiting.run()
        meanwhile = system.load(rate=100, seconds=4)
        loading = asyncio.create_task(meanwhile.run())
        archive = tmp_path / "backups" / "all.tar.gz"
        archive.parent.mkdir()
        made = json.loads((await trilha(system, "backup", str(archive), "--json")).stdout)
        await loading
        assert (meanwhile.errors, meanwhile.others) == (0, [])
        assert made["spools"] >= 1
        after = meanwhile.tokens[-1]
    await trilha(system, "privacy", "erase", "--telegram-id", "-", code=None, given=f"{ERASED}\n")
    assert (await trilha(system, "backup", str(archive), code=2)).stderr
    system.stop()

    secrets = system.home / "secrets"
    shutil.move(secrets, tmp_path / "kept apart")
    shutil.rmtree(system.home)
    system.home.mkdir(mode=0o700)
    shutil.move(tmp_path / "kept apart", secrets)
    wipe_sql(system, request)

    system.processes.clear()
    done = json.loads((await trilha(system, "restore", str(archive), "--json")).stdout)
    assert done["erased_again"] == 1
    refused = await trilha(system, "restore", str(archive), code=2)
    assert "is not empty" in refused.stderr

    system.start("serve", "work")
    acknowledged = {system.click_id(token) for token in [*before.tokens, *waiting.tokens]}
    await system.settled_books(issued=0, clicks=len(acknowledged))
    rows = await system.rows()
    erased = system.click_id(before.tokens[0])
    assert acknowledged - rows.keys() - {erased} == set()
    assert rows.get(erased) is None
    assert (rows[system.click_id(before.tokens[1])] or (0, 0))[1] == STAYS
    assert ERASED not in {owner[1] for owner in rows.values() if owner}
    books = await system.books()
    assert books.spooled == books.in_sql + books.in_spools, books.faults
    async with system.api() as api:
        lost = {"token": after, "bot": BOT, "telegram_id": STAYS}
        answer = (await api.post("/v1/starts", json=lost)).json()
        assert answer["owner"]
        taken = {"token": before.tokens[1], "bot": BOT, "telegram_id": 5}
        assert not (await api.post("/v1/starts", json=taken)).json()["owner"]


async def test_a_backup_holds_no_key_and_is_open_to_nobody_else(system: System, tmp_path: Path) -> None:
    archive = tmp_path / "one.tar.gz"
    await trilha(system, "backup", str(archive))
    assert archive.stat().st_mode & 0o777 == 0o600
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        held = b"".join(file.read() for name in names if (file := tar.extractfile(name)))
    ring = json.loads(system.settings.secrets.read_text())
    assert names[0] == "manifest.json"
    assert not any("secrets" in name for name in names)
    assert ring["lasting"].encode() not in held
    assert {
        path.name for path in tmp_path.iterdir() if "backup-" in path.name or "partial" in path.name
    } == set()


async def test_keys_that_were_lost_come_back_from_their_sealed_copy_and_tokens_are_known_again(
    system: System, tmp_path: Path
) -> None:
    """With days of its own: SQL's rows under the lost master go, and the ring offers its own."""
    archive, copy, phrase = (tmp_path / name for name in ("one.tar.gz", "keys", "phrase"))
    phrase.write_text("cavalo correto bateria\n")
    phrase.chmod(0o600)
    system.start("serve", "work")
    load = system.load(rate=50, seconds=1)
    await load.run()
    await system.settled_books(issued=50)
    given = ("--passphrase-file", str(phrase))
    await trilha(system, "backup", str(archive), "--with-keys", str(copy), *given)
    system.stop()
    system.processes.clear()
    system.settings.secrets.unlink()
    words = ("restore", str(archive), "--force", "--json")
    assert "no key ring" in (await trilha(system, *words, code=2)).stderr
    done = json.loads((await trilha(system, *words, "--keys", str(copy), *given)).stdout)
    assert done["new_days"]
    system.start("serve", "work")
    async with system.api() as api:
        body = {"token": load.tokens[0], "bot": BOT, "telegram_id": STAYS}
        assert (await api.post("/v1/starts", json=body)).json()["owner"]


async def test_an_archive_that_was_changed_or_cut_is_refused_and_changes_nothing(
    system: System, tmp_path: Path
) -> None:
    archive, cut, changed = (tmp_path / name for name in ("one.tar.gz", "cut.tar.gz", "changed.tar.gz"))
    await trilha(system, "backup", str(archive))
    whole = archive.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    changed.write_bytes(whole[:-200] + bytes([whole[-200] ^ 1]) + whole[-199:])
    for damaged in (cut, changed):
        for words in (("backup", "--verify", str(damaged)), ("restore", str(damaged), "--force")):
            refused = await trilha(system, *words, code=2)
            assert "damaged or not whole" in refused.stderr
    assert (await trilha(system, "backup", "--verify", str(archive))).stdout.count("whole") == 1
    assert (await trilha(system, "link", "list")).stdout.count("journey")


@pytest.mark.parametrize("name", ["serve", "work"])
async def test_nothing_is_restored_while_a_process_of_ours_runs(
    system: System, name: str, tmp_path: Path
) -> None:
    archive = tmp_path / "one.tar.gz"
    await trilha(system, "backup", str(archive))
    system.start(name)
    lock = system.settings.spools / "settler.lock"
    async with asyncio.timeout(60):
        while name == "work" and (not lock.exists() or FolderLock.if_free(lock)):
            await asyncio.sleep(0.1)
    refused = await trilha(system, "restore", str(archive), "--force", code=2)
    assert "Stop everything" in refused.stderr


async def test_a_backup_is_put_in_the_place_of_what_is_there_only_when_that_is_asked_for(
    system: System, tmp_path: Path
) -> None:
    archive = tmp_path / "one.tar.gz"
    await trilha(system, "backup", str(archive))
    assert "--force" in (await trilha(system, "restore", str(archive), code=2)).stderr
    done = json.loads((await trilha(system, "restore", str(archive), "--force", "--json")).stdout)
    assert done["counts"]["links"] == 1


def is_free(path: Path) -> bool:
    """Whether no process holds that lock."""
    if not path.exists():
        return True
    held = FolderLock.if_free(path)
    if held is not None:
        held.release()
    return held is not None


def wipe_sql(system: System, request: pytest.FixtureRequest) -> None:
    if system.sql_url.startswith("sqlite"):
        path = Path(system.sql_url.removeprefix("sqlite+aiosqlite:///"))
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = system.sql_url.rpartition("/")[2].partition("?")[0]
    server.drop_database(name)
    server.create_database(name)


async def trilha(
    system: System, *words: str, code: int | None = 0, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """A command on that system, as its operator runs it."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "cli.main", *words],
        cwd=ROOT,
        env=os.environ | system.environment,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done
