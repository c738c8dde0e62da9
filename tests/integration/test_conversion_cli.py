"""`trilha conversion`, and what a person's export and erasure do with conversions, as an operator runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from backends.sql.ledger import SqlLedger
from backends.sql.schema import outbox
from privacy.keyring import Keyring
from tests.daemon_fixture import BOT, SLUG, Site
from tests.making import full_click, new_id, start_of

ROOT = Path(__file__).parents[2]
ANA = 5_544_332_211
EMAIL = "ana.souza.secreta@padaria-da-ana.com.br"
SALE = ("--bot", BOT, "--order-id", "A-1", "--value", "97.00", "--currency", "BRL", "--json")


def trilha(site: Site, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    environment |= {"TRILHA_HOME_DIR": str(site.settings.home_dir), "TRILHA_SQL_URL": site.settings.sql}
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *command],
        cwd=ROOT,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
    )


def sold(site: Site, *options: str, given: str = "") -> Any:
    done = trilha(site, "conversion", "Purchase", *SALE, *options, given=given)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def person(site: Site, command: str) -> Any:
    done = trilha(
        site,
        "privacy",
        command,
        "--telegram-id",
        "-",
        *(["--json"] if command == "erase" else []),
        given=f"{ANA}\n",
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_a_sale_is_reported_exported_and_erased(site: Site) -> None:
    now_ms = site.clock.now_ms()
    click = full_click(id=new_id(now_ms - 2000), link_id=1, sealed=None)
    async with site.engine() as engine:
        ledger = SqlLedger(engine, Keyring(site.settings.secrets, site.clock).person_key)
        await ledger.record_start(start_of(click, ANA, at_ms=now_ms - 1000), click)
    private = json.dumps({"email": EMAIL, "phone": "x"})
    found = sold(site, "--telegram-id", str(ANA), "--person", "-", given=private)
    assert (found["state"], found["new"], found["link"], found["ignored"]) == (
        "pending",
        True,
        SLUG,
        ["phone"],
    )
    assert sold(site, "--click-id", str(click.id)) == found | {"new": False, "ignored": []}
    whole = person(site, "export")
    [told] = [event for event in whole["conversions"] if event["event"] == "Purchase"]
    assert (told["order_id"], told["value"], told["currency"], told["bot"]) == ("A-1", 97.0, "BRL", BOT)
    assert [len(digest) for digest in told["person"]["em"]] == [64]
    assert told.keys() <= whole["labels"].keys(), "every name is explained"
    assert EMAIL not in json.dumps(whole)
    assert person(site, "erase")["erased"]["conversions"] == 2
    [row] = [row for row in await site.rows(outbox) if row.event == "Purchase"]
    assert (row.state, row.telegram_id, row.person, row.order_id) == ("skipped", None, None, None)


async def test_a_sale_that_waits_in_the_spool_is_exported_and_erased_from_there(site: Site) -> None:
    site.sql_away()
    options = ("--telegram-id", str(ANA), "--person", "-")
    found = sold(site, *options, given=json.dumps({"email": EMAIL}))
    assert (found["state"], found["new"]) == ("deferred", False)
    site.sql_back()
    [told] = person(site, "export")["conversions"]
    assert (told["state"], told["order_id"], told["event"]) == ("deferred", "A-1", "Purchase")
    assert person(site, "erase")["erased"]["waiting_conversions"] == 1
    await site.settle()
    assert await site.rows(outbox) == []


async def test_what_is_told_of_a_person_comes_from_standard_input_only_and_is_not_repeated(
    site: Site,
) -> None:
    wrong = (
        ("--person", EMAIL),
        ("--person", "-"),
        ("--person", "-", "--token", "-"),
    )
    for options in wrong:
        done = trilha(
            site,
            "conversion",
            "Lead",
            "--bot",
            BOT,
            "--telegram-id",
            str(ANA),
            *options,
            given=f'["{EMAIL}"]',
        )
        assert done.returncode == 2
        assert EMAIL not in done.stdout + done.stderr
    unknown = json.dumps({EMAIL: "x"})
    done = trilha(
        site, "conversion", "Lead", "--bot", BOT, "--telegram-id", str(ANA), "--person", "-", given=unknown
    )
    assert (done.returncode, EMAIL in done.stderr) == (2, False)
    lacking = trilha(site, "conversion", "Purchase", "--bot", BOT, "--telegram-id", str(ANA))
    assert (lacking.returncode, "value, currency, order_id" in lacking.stderr) == (2, True)
    assert await site.rows(outbox) == []
