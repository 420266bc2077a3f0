"""One run, from the first record to the last request."""

from __future__ import annotations

from tests.target_daktela_crm.running import (
    Crm,
    bookmark,
    contact,
    encoded,
    feed,
)


def test_an_input_that_is_cut_off_is_delivered_up_to_its_last_complete_line(crm: Crm) -> None:
    run = crm.run(encoded([*feed(contact(7)), contact(8)])[:-9])

    assert run.code == 1
    assert bookmark(run) == 1
    assert set(crm.contacts()) == {"7"}
    [error] = run.errors
    assert error == (
        "the input ends in the middle of a line: the tap was cut off. "
        "All complete lines were delivered, stored or rejected"
    )


def test_an_empty_input_sends_nothing_and_succeeds(crm: Crm) -> None:
    run = crm.run(b"")
    assert (run.code, run.states, crm.requests()) == (0, [], 0)


def test_the_summary_notes_a_new_store_and_a_changed_mapping(crm: Crm) -> None:
    assert any("is new" in note for note in crm.run(feed(contact(7))).summary["notes"])
    assert not crm.run(feed(contact(7))).summary["notes"]
    changed = crm.run(feed(contact(7)), streams={"contacts": {"contact": {"description": "name"}}})
    assert any("--full-refresh" in note for note in changed.summary["notes"])
    assert crm.contacts()["7"]["description"] == "Contact 7"


def test_the_summary_notes_bytes_that_are_not_utf_8(crm: Crm) -> None:
    run = crm.run(encoded(feed(contact(7, name="B?ta"))).replace(b"B?ta", b"B\xe9ta"))
    assert crm.contacts()["7"]["name"] == "B\ufffdta"
    assert any("not UTF-8" in note for note in run.summary["notes"])
