"""Dry runs write requests to a folder, and change nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.target_daktela_crm.running import (
    Crm,
    company,
    contact,
    feed,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.promise("S9")
def test_a_dry_run_writes_the_requests_and_changes_nothing_else(crm: Crm, tmp_path: Path) -> None:
    crm.run(feed(company(1), contact(7, of=1)))
    before, known = crm.requests(), crm.store.read_bytes()

    run = crm.run(feed(contact(7, of=1, name="Dry"), contact("")), dry_run=str(tmp_path / "dry"))

    assert run.code == 1
    assert not run.states
    assert crm.requests() == before
    assert crm.store.read_bytes() == known
    files = sorted(path.name for path in (tmp_path / "dry").iterdir())
    assert files == ["rejects.jsonl", "request-00001.json"]
    body = json.loads((tmp_path / "dry" / "request-00001.json").read_bytes())
    assert body["data"][0]["contacts"][0]["name"] == "Dry"
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "dry").iterdir()} == {0o600}
    assert not crm.rejects()
    assert run.summary["dry_run"] is True
    assert "dry run: nothing is sent" in run.log
    assert "would deliver" in run.log
    assert crm.run(feed(contact(7, of=1, name="Dry"))).summary["delivered"]["contacts"] == 1


def test_a_dry_run_removes_only_requests_of_earlier_dry_runs(crm: Crm, tmp_path: Path) -> None:
    (tmp_path / "dry").mkdir()
    for name in ("request-mine.json", "request-00007.json"):
        (tmp_path / "dry" / name).touch()
    crm.run(feed(contact(7)), dry_run=str(tmp_path / "dry"))
    assert {path.name for path in (tmp_path / "dry").iterdir()} == {"request-mine.json", "request-00001.json"}


def test_a_dry_run_creates_no_store(crm: Crm, tmp_path: Path) -> None:
    assert crm.run(feed(contact(7)), dry_run=str(tmp_path / "dry")).code == 0
    assert not crm.store.exists()
