"""Stores that are in use, damaged, of another version or not writable."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from target_daktela_crm.store.schema import VERSION
from target_daktela_crm.store.store import Store, StoreOwner
from tests.target_daktela_crm.running import (
    Crm,
    company,
    contact,
    encoded,
    feed,
    run_target,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_store_in_use_is_reported_in_one_line(crm: Crm) -> None:
    crm.run(feed(contact(7)))
    before = crm.requests()
    other = Store.open(crm.store, StoreOwner(crm.settings["url"], None, None))
    try:
        for arguments in ([], ["--status"], ["--deliver"]):
            run = run_target(crm.settings, encoded(feed(contact(8))), *arguments)
            assert run.code == 1
            assert "in use by another run" in run.errors[0]
            assert len(run.errors) == 1
    finally:
        other.close()
    assert crm.requests() == before
    assert crm.run(feed(contact(8))).code == 0


def _damage_head(content: bytes) -> bytes:
    return b"\x00" * 4096 + content[4096:]


def _damage_rest(content: bytes) -> bytes:
    return content[:4096] + b"\xff" * (len(content) - 4096)


@pytest.mark.parametrize("damage", [_damage_head, _damage_rest, lambda _: b"this is no database at all" * 200])
def test_a_damaged_store_is_reported_in_one_line(crm: Crm, damage: Callable[[bytes], bytes]) -> None:
    crm.run(feed(*(contact(number) for number in range(50))))
    crm.store.write_bytes(damage(crm.store.read_bytes()))
    before = crm.requests()

    for run in (crm.run(feed(contact(8))), run_target(crm.settings, b"", "--status"), crm.deliver()):
        assert run.code == 1
        assert len(run.errors) == 1, run.errors
        assert str(crm.store) in run.errors[0]
        assert "Traceback" not in run.log
        assert not run.states
    assert crm.requests() == before


def test_a_newer_store_and_a_foreign_database_are_reported_in_one_line(crm: Crm) -> None:
    import sqlite3  # noqa: PLC0415

    for script, words in (
        (f"PRAGMA user_version = {VERSION + 1}", "newer version"),
        ("CREATE TABLE mine (x)", "no store of target-daktela-crm"),
    ):
        crm.store.unlink(missing_ok=True)
        connection = sqlite3.connect(crm.store)
        connection.execute(script)
        connection.commit()
        connection.close()
        run = crm.run(feed(contact(8)))
        assert run.code == 1
        assert words in run.errors[0]
        assert len(run.errors) == 1
    assert not crm.requests()


def test_a_store_that_cannot_be_created_is_reported_in_one_line(crm: Crm, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run = crm.run(feed(contact(8)), store_path=str(tmp_path / "file" / "store.sqlite3"))
    assert run.code == 1
    assert len(run.errors) == 1, run.log
    assert "Traceback" not in run.log


def _downgrade_to_version_1(crm: Crm) -> None:
    with closing(sqlite3.connect(crm.store)) as connection:
        for table in (
            "originals",
            "value_rows",
            "definitions",
            "company_names",
            "sent_contacts",
            "sent_companies",
        ):
            connection.execute(f"DROP TABLE {table}")
        both = ("withheld", "refused", "columns", "first_run", "other_stream")
        for column in (*both, "nameless", "confirmed", "confirmed_columns"):
            connection.execute(f"ALTER TABLE companies DROP COLUMN {column}")
        for column in (*both, "own_run"):
            connection.execute(f"ALTER TABLE contacts DROP COLUMN {column}")
        connection.execute("ALTER TABLE links DROP COLUMN modified")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()


def test_a_store_of_the_first_version_is_upgraded(crm: Crm) -> None:
    crm.run(feed(company(1), contact(7, of=1)))
    _downgrade_to_version_1(crm)

    requests = crm.requests()
    assert crm.run(feed(company(1), contact(7, of=1))).code == 0
    assert crm.requests() == requests
    assert crm.run(feed(company(1, name="New"))).code == 0
    assert crm.companies()["1"]["name"] == "New"


def test_a_dry_run_does_not_upgrade_a_store(crm: Crm) -> None:
    crm.run(feed(company(1), contact(7, of=1)))
    _downgrade_to_version_1(crm)
    assert crm.run(feed(contact(8)), dry_run=str(crm.folder / "preview")).code == 0
    with closing(sqlite3.connect(crm.store)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
