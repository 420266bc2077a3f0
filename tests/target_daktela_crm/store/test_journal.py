"""The journal beside the store: a staged load is delivered once, also if the store is put back from a copy."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from target_daktela_crm.store.journal import JournalEntry, journal_path, read_journal, write_journal
from tests.simulator import Fault
from tests.target_daktela_crm.running import Crm, company, contact, feed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulator import Simulator

STAGED = {"load_mode": "full", "delete_missing": True}
FULL = {"load_mode": "full"}
MANY = [company(1), *(contact(number, of=1) for number in range(20))]
LESS = MANY[:-1]


@pytest.fixture
def staged(crm: Crm) -> Crm:
    """Return a target with a staged load, and a copy of its store."""
    assert crm.run(feed(*MANY), **FULL).code == 0
    assert crm.run(feed(*LESS), **STAGED).code == 0
    shutil.copy(crm.store, crm.store.with_name("copy"))
    return crm


def put_back(crm: Crm) -> None:
    """Put the store back from its copy."""
    shutil.copy(crm.store.with_name("copy"), crm.store)


@pytest.mark.promise("S9")
@pytest.mark.promise("S2")
def test_a_load_is_not_delivered_again_by_a_store_that_was_put_back(staged: Crm) -> None:
    assert staged.deliver("--accept-unknown").code == 0
    assert staged.run(feed(contact(77, of=1))).code == 0
    put_back(staged)
    before = staged.simulator.crm.snapshot()

    for _ in range(2):
        run = staged.deliver("--accept-unknown")
        assert run.code == 1
        [line] = run.errors
        assert "delivered already" in line

    assert staged.simulator.crm.snapshot() == before
    # Another load can be staged and delivered.
    assert staged.run(feed(*LESS, contact(77, of=1)), **STAGED).code == 0
    assert staged.deliver("--accept-unknown").code == 0
    assert "77" in staged.contacts()


@pytest.mark.promise("S9")
@pytest.mark.parametrize("step", ["a run", "a delivery of unknown outcome", "a lost journal"])
def test_a_store_that_was_put_back_delivers_nothing(staged: Crm, instance: Simulator, step: str) -> None:
    if step == "a run":
        staged.run(feed(contact(77, of=1)))
        put_back(staged)
    elif step == "a lost journal":
        journal_path(staged.store).unlink()
    else:
        instance.faults.append(Fault("applied-reset", endpoint="sync", times=6))
        staged.deliver("--accept-unknown")
        staged.run(feed(contact(77, of=1)))
        put_back(staged)
    before = staged.simulator.crm.snapshot()

    [line] = staged.deliver("--accept-unknown").errors

    assert "put back from a copy" in line
    assert staged.simulator.crm.snapshot() == before


@pytest.mark.promise("S5")
def test_a_store_that_was_put_back_sends_what_it_receives_and_nothing_else(crm: Crm) -> None:
    crm.run(feed(company(1), *(contact(number, of=1, name="First") for number in range(3))))
    shutil.copy(crm.store, crm.store.with_name("copy"))
    crm.run(feed(*(contact(number, of=1, name="Second") for number in range(3))))
    put_back(crm)

    # The CRM has changed this contact back, so the copy alone would hold it for unchanged.
    run = crm.run(feed(contact(0, of=1, name="First")))

    assert [note for note in run.summary["notes"] if "put back from a copy" in note and "--full-refresh" in note]
    assert [each["name"] for _, each in sorted(crm.contacts().items())] == ["First", "Second", "Second"]
    run = crm.run(feed(company(1), *(contact(number, of=1, name="Second") for number in range(3))))
    assert not run.summary["notes"]
    assert {each["name"] for each in crm.contacts().values()} == {"Second"}
    # The company has been sent with the contact.
    assert run.summary["delivered"] == {"companies": 0, "contacts": 3}


@pytest.mark.promise("S3")
def test_a_store_that_was_put_back_still_sends_what_was_not_delivered(crm: Crm) -> None:
    crm.run(feed(contact(7, of=1)))
    shutil.copy(crm.store, crm.store.with_name("copy"))
    crm.run(feed(contact(8)))
    put_back(crm)
    assert crm.run(feed(company(1))).code == 0
    assert crm.company_of_contacts() == {"7": "1", "8": None}


def test_a_new_store_beside_an_old_journal_delivers_its_loads(staged: Crm) -> None:
    assert staged.deliver("--accept-unknown").code == 0
    staged.store.unlink()
    assert staged.run(feed(*MANY), **FULL).code == 0
    assert staged.run(feed(*LESS), **STAGED).code == 0
    assert staged.deliver("--accept-unknown").code == 0


def test_a_dry_run_and_status_write_no_journal(crm: Crm, tmp_path: Path) -> None:
    crm.run(feed(contact(7)), dry_run=str(tmp_path / "dry"))
    assert not journal_path(crm.store).exists()
    crm.run(feed(contact(7)))
    before = journal_path(crm.store).read_bytes()
    crm.run(feed(contact(7)), dry_run=str(tmp_path / "dry"))
    assert journal_path(crm.store).read_bytes() == before
    assert not crm.run(feed()).summary["notes"]


def test_a_journal_that_cannot_be_written_is_reported_before_anything_is_sent(crm: Crm) -> None:
    (crm.folder / "acme.sqlite3.journal.json").mkdir()
    run = crm.run(feed(contact(7)))
    assert run.code == 1
    [line] = run.errors
    assert "acme.sqlite3.journal.json" in line
    assert not crm.requests()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'"x"', b'{"revision": "many"}', b'{"revision": 1}', b"\xff"]
)
def test_a_damaged_journal_counts_as_lost(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(content)
    assert read_journal(path) is None
    write_journal(path, JournalEntry(5, 3))
    assert read_journal(path) == JournalEntry(5, 3)
    assert json.loads(path.read_bytes()) == {"revision": 5, "delivered": 3}


@pytest.mark.promise("S8")
def test_a_journal_is_private_and_follows_no_link(tmp_path: Path) -> None:
    path, other = tmp_path / "journal", tmp_path / "other"
    other.write_text("something else", "utf-8")
    for name in ("journal", "journal.new"):
        (tmp_path / name).symlink_to(other)
    write_journal(path, JournalEntry())
    assert other.read_text("utf-8") == "something else"
    assert path.lstat().st_mode & 0o777 == 0o600
    assert not path.is_symlink()


def test_the_revision_grows_with_each_run_and_delivery(staged: Crm) -> None:
    def revision() -> Any:
        return json.loads(journal_path(staged.store).read_bytes())

    assert revision() == {"revision": 2, "delivered": 0}
    staged.deliver("--accept-unknown")
    assert revision() == {"revision": 3, "delivered": 2}
    staged.run(feed())
    assert revision() == {"revision": 4, "delivered": 2}
