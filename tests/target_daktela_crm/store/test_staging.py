"""A staged load is sent only by its own delivery, and leaves no trace if it is not delivered."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from target_daktela_crm.store.schema import begin_upgraded, connect
from target_daktela_crm.store.staging import drop_kept_tables, keep_tables, restore_tables
from tests.simulator import Fault
from tests.target_daktela_crm import in_process
from tests.target_daktela_crm.in_process import Death
from tests.target_daktela_crm.running import Crm, company, contact, feed, record, run_target

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulator import Simulator

STAGED = {"load_mode": "full", "delete_missing": True}
FULL = {"load_mode": "full"}
PEOPLE = [contact(number, of=1) for number in range(20)]
WRONG = [contact(f"wrong-{number}", of=1) for number in range(20)]
LESS = [company(1), *PEOPLE[:-1]]


@pytest.fixture
def loaded(crm: Crm) -> Crm:
    """Return a target after a full load of twenty contacts."""
    assert crm.run(feed(company(1), *PEOPLE), **FULL).code == 0
    return crm


@pytest.mark.promise("S9")
@pytest.mark.parametrize("settings", [{}, FULL, {"only_changed": False}, {"unknown_company": "detach"}])
def test_no_later_run_sends_any_part_of_a_load_that_was_refused(loaded: Crm, settings: dict[str, Any]) -> None:
    assert loaded.run(feed(company(1, "Wrong"), company(2), *WRONG), **STAGED).code == 0
    assert loaded.deliver("--accept-unknown").code == 1
    before = loaded.simulator.crm.snapshot()

    for _ in range(2):
        run = loaded.run(feed(PEOPLE[0]), **settings)
        assert run.code == 0
        assert run.summary["delivered_of_earlier_runs"] == {"companies": 0, "contacts": 0}

    assert loaded.simulator.crm.snapshot() == before


@pytest.mark.promise("S9")
@pytest.mark.promise("S6")
def test_a_company_is_sent_as_known_before_the_load_that_was_not_delivered(loaded: Crm) -> None:
    loaded.run(feed(company(1, "Staged"), *PEOPLE), **STAGED)
    loaded.run(feed(contact(3, of=1, name="Changed")))
    assert loaded.companies()["1"]["name"] == "Company 1"
    assert loaded.contacts()["3"]["name"] == "Changed"


@pytest.mark.promise("S9")
@pytest.mark.parametrize("step", range(1, 9))
def test_a_staging_run_that_dies_leaves_no_trace(loaded: Crm, step: int) -> None:
    messages = feed(company(1, "Wrong"), *WRONG)
    assert in_process.run({**loaded.settings, **STAGED}, messages, Death(step)).code is None
    before = loaded.requests()
    assert loaded.run(feed()).code == 0
    assert loaded.requests() == before


@pytest.mark.promise("S9")
def test_links_of_a_load_that_was_not_delivered_do_not_count(crm: Crm) -> None:
    crm.settings["streams"] = {"links": {"link": {"contact": "contact", "company": "company"}}}
    crm.run(feed(company(1), company(2), contact(7), record("links", contact=7, company=1)), **FULL)
    crm.run(feed(company(1), company(2), contact(7), record("links", contact=7, company=2)), **STAGED)
    crm.run(feed(contact(7, name="Changed")))
    assert crm.contacts()["7"] == {**crm.contacts()["7"], "name": "Changed", "company": "1"}


def test_status_shows_what_later_runs_would_send(loaded: Crm) -> None:
    loaded.run(feed(company(1), *WRONG), **STAGED)
    settings = {name: loaded.settings[name] for name in ("url", "server", "store_path")}
    run = run_target(settings, b"", "--status")
    shown = run.output
    assert run.code == 0, run.errors
    assert "contacts to be sent           0" in shown
    assert "not delivered" in shown
    # Nothing has changed.
    assert loaded.run(feed(*LESS), **STAGED).code == 0
    assert loaded.deliver("--accept-unknown").code == 0


@pytest.mark.promise("S9")
@pytest.mark.promise("S5")
@pytest.mark.parametrize("kind", ["applied-reset", "reset"])
def test_contacts_that_a_delivery_of_unknown_outcome_left_out_stay_unsent(
    loaded: Crm, instance: Simulator, kind: str
) -> None:
    loaded.run(feed(*LESS), **STAGED)
    instance.faults.append(Fault(kind, endpoint="sync", times=6))
    assert "unknown" in loaded.deliver("--accept-unknown").errors[0]
    left = {*loaded.contacts()}

    assert loaded.run(feed(contact(3, of=1, name="Changed"))).code == 0
    assert {*loaded.contacts()} == left
    run = loaded.run(feed(contact(19, of=1)))
    assert run.summary["delivered"] == {"companies": 0, "contacts": 1}
    assert {*loaded.contacts()} == {str(number) for number in range(20)}


@pytest.mark.promise("S9")
@pytest.mark.promise("S5")
@pytest.mark.parametrize("step", range(1, 11))
def test_a_crash_between_an_accepted_delete_and_its_bookkeeping_brings_no_contact_back(
    loaded: Crm, step: int
) -> None:
    loaded.run(feed(*LESS), **STAGED)
    death = Death(step, only_requests=True)
    result = in_process.deliver(loaded.settings, death)
    assert (result.code is None) == (step <= len(death.steps))
    left = {*loaded.contacts()}
    assert len(left) == (20 if step == 1 else 19)

    assert loaded.run(feed(contact(3, of=1, name="Changed"))).code == 0
    assert {*loaded.contacts()} == left
    assert loaded.run(feed(contact(19, of=1))).code == 0
    assert len(loaded.contacts()) == 20


def test_kept_tables_are_restored_by_the_names_of_their_columns(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    with closing(connect(path)) as connection:
        begin_upgraded(connection, path)
        put = """
            INSERT INTO links (stream, key, contact, company, main, deleted, run)
            VALUES ('s', ?, 'c', 'd', 0, 0, 1)
        """
        connection.execute(put, ("1",))
        keep_tables(connection)
        connection.execute(put, ("2",))
        # As a later version would do.
        connection.execute("ALTER TABLE links ADD COLUMN more INTEGER NOT NULL DEFAULT 5")
        restore_tables(connection)
        assert connection.execute("SELECT number, key, more FROM links").fetchall() == [(1, "1", 5)]
        keep_tables(connection)
        connection.execute(put, ("3",))
        drop_kept_tables(connection)
        restore_tables(connection)
        assert connection.execute("SELECT count(*) FROM links").fetchone() == (2,)
