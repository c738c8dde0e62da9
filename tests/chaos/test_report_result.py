"""The report's file: what is read, what is written, and what is refused with which words."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from chaos.report.result import ReportUnreadable, load, parse, save
from tests.chaos.sample_report import as_dict, report_of, sample


def refused(raw: bytes | dict) -> str:
    """The words with which these bytes are refused."""
    with pytest.raises(ReportUnreadable) as caught:
        parse(raw if isinstance(raw, bytes) else json.dumps(raw).encode(), "drills.json")
    return str(caught.value)


@pytest.mark.parametrize("report", [sample(), report_of()], ids=["everything", "no drill"])
def test_what_was_saved_is_loaded_as_it_was(tmp_path, report):
    save(report, tmp_path / "drills.json")
    assert load(tmp_path / "drills.json") == report


def test_a_report_keeps_every_field_of_its_json():
    for before, after in zip(as_dict()["drills"], msgspec.to_builtins(sample())["drills"], strict=True):
        shown = {key: after[key] for key in before}
        assert json.loads(json.dumps(shown)) == json.loads(json.dumps(before))


def test_fields_of_a_newer_writer_are_ignored():
    assert parse(json.dumps(as_dict() | {"colour": "blue"}).encode()) == sample()


def test_a_file_that_is_not_json_is_refused_by_name():
    assert re.match(r"drills\.json: not JSON \(", refused(b"<html>"))
    assert "not JSON" in refused(b"")
    assert "not JSON" in refused(b'{"version": 1, "trilha": "\xff"}')


@pytest.mark.parametrize("version", [0, 2, 17])
def test_another_version_is_refused_whatever_else_it_holds(version):
    assert refused({"version": version}) == f"drills.json: version {version}; this program reads version 1"


def test_json_that_is_no_report_is_refused():
    assert "`version`" in refused({})
    assert "Expected `object`" in refused(b"[]")


def test_a_missing_field_is_named_with_its_place():
    raw = as_dict()
    del raw["drills"][2]["title"]
    assert refused(raw) == "drills.json: Object missing required field `title` - at `$.drills[2]`"


def test_an_unknown_verdict_is_refused():
    raw = as_dict()
    raw["drills"][0]["verdict"] = "fine"
    assert "Invalid enum value 'fine' - at `$.drills[0].verdict`" in refused(raw)


@pytest.mark.parametrize("field", ["zeros", "phases"])
def test_a_drill_that_held_without_figures_is_refused_so_that_nothing_unmeasured_is_shown_as_0(field):
    raw = as_dict()
    del raw["drills"][0][field]
    assert refused(raw) == f"drills.json: drill 'redis-kill' is held, and has no `{field}`"


def test_two_drills_of_one_name_are_refused():
    raw = as_dict()
    raw["drills"][1]["name"] = "redis-kill"
    assert refused(raw) == "drills.json: two drills are called 'redis-kill'"
