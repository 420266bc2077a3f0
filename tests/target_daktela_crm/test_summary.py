"""The summary of a run, as text and as an object."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from target_daktela_crm.delivery.rejects import Rejects
from target_daktela_crm.delivery.sender import DeliveryCounts
from target_daktela_crm.summary import Summary, as_object, as_text, pluralize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STATES = {"changed": 3, "unchanged": 1_200, "on_hold": 0, "deleted": 0}


@pytest.fixture
def rejects(tmp_path: Path) -> Iterator[Rejects]:
    """Return a rejects file without rejects."""
    rejects = Rejects(tmp_path / "rejects.jsonl", 100)
    yield rejects
    rejects.close()


def _summary(**more: Any) -> Summary:
    received = Counter({"contacts": 1_202, "companies": 1})
    return Summary(**{"title": "Sync", "received": received, "states": dict(STATES), "seconds": 1.25, **more})


def _counts(**counts: int) -> DeliveryCounts:
    result = DeliveryCounts()
    vars(result).update(requests=1, accepted=1, bytes=4_096, companies=1, contacts=2)
    vars(result).update(counts)
    return result


def _lines(summary: Summary, rejects: Rejects, **counts: int) -> list[str]:
    title, *lines = as_text(summary, _counts(**counts), rejects).splitlines()
    assert title.startswith("Sync")
    return lines


def test_a_usual_run_has_five_lines(rejects: Rejects) -> None:
    assert _lines(_summary(), rejects) == [
        "  received      1,203 records (contacts 1,202, companies 1)",
        "  changed       3 of the companies and contacts received",
        "  unchanged     1,200",
        "  delivered     2 contacts, 1 company",
        "  sent          1 request, 4,096 bytes, 1.2 s",
    ]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"received": Counter()}, "  received      nothing"),
        ({"unmapped": Counter(notes=2)}, "  ignored       2 records (notes 2): not in the mapping"),
        ({"passed_over": 1}, "  excluded      1 record by the conditions (when) of the mapping"),
        (
            {"states": {**STATES, "deleted": 1}},
            "  deleted       1 contact in the CRM; in Daktela only by a load with delete",
        ),
        (
            {"states": {**STATES, "on_hold": 1}, "examples_on_hold": ["7 of company 1"]},
            "  on hold       1 contact until the company is known (7 of company 1)",
        ),
        (
            {"states": {**STATES, "on_hold": 9}, "examples_on_hold": ["7 of company 1"]},
            "  on hold       9 contacts until the company is known (7 of company 1, …)",
        ),
        (
            {"left_out": {"phone number": 1}, "examples_left_out": {"phone number": ["7"]}},
            "  left out      1 invalid phone number (7)",
        ),
        ({"notes": ["no record was received"]}, "  note          no record was received"),
        ({"is_dry": True}, "  would deliver 2 contacts, 1 company"),
        ({"is_dry": True}, "  written       1 request, 4,096 bytes, 1.2 s"),
    ],
)
def test_further_lines(rejects: Rejects, more: dict[str, Any], line: str) -> None:
    assert line in _lines(_summary(**more), rejects)


def test_the_contacts_of_what_is_left_out_are_named(rejects: Rejects) -> None:
    examples = {"phone number": ["company 1", "7"], "e-mail": ["3", "4", "5", "6", "7"]}
    lines = _lines(_summary(left_out={"phone number": 2, "e-mail": 36}, examples_left_out=examples), rejects)
    place = lines.index("  left out      2 invalid phone numbers (company 1, 7)")
    assert lines[place + 1] == "                36 invalid e-mails (3, 4, 5, 6, 7, …)"


def test_the_title_says_that_a_dry_run_sends_nothing(rejects: Rejects) -> None:
    assert as_text(_summary(is_dry=True), _counts(), rejects).startswith("Sync (dry run: nothing is sent)\n")


def test_a_run_that_stopped_while_reading_has_no_line_on_the_input(rejects: Rejects) -> None:
    names = [line.split()[0] for line in _lines(_summary(states={}), rejects)]
    assert names == ["delivered", "sent"]


def test_accepted_requests_and_retries_are_shown_if_they_differ(rejects: Rejects) -> None:
    last = _lines(_summary(), rejects, requests=3, accepted=2, retries=1)[-1]
    assert last == "  sent          3 requests (2 accepted), 1 retry, 4,096 bytes, 1.2 s"


def test_rejects_are_grouped_by_reason_with_a_few_ids(rejects: Rejects) -> None:
    for number in range(7):
        rejects.add("contacts", str(number), "id: is missing", {})
    rejects.add("contacts", None, "is wrong", {})

    lines = _lines(_summary(), rejects)

    place = lines.index(f"  rejected      8, in {rejects.path}")
    assert lines[place + 1 : place + 3] == [
        "                7 x id: is missing (0, 1, 2, 3, 4, …)",
        "                1 x is wrong (without an id)",
    ]


def test_the_object_has_all_counts(rejects: Rejects) -> None:
    rejects.add("contacts", "7", "is wrong", {})
    left_out: dict[str, Any] = {"left_out": {"e-mail": 5}, "examples_left_out": {"e-mail": ["7", "8"]}}
    summary = _summary(unmapped=Counter(notes=2), passed_over=4, notes=["a note"], **left_out)
    assert as_object(summary, _counts(retries=1), rejects) == {
        "received": {"contacts": 1_202, "companies": 1},
        "ignored": {"notes": 2},
        "passed_over": 4,
        "withdrawn": {"count": 0, "ids": []},
        "forgotten": {"count": 0, "ids": []},
        "changed": 3,
        "unchanged": 1_200,
        "on_hold": 0,
        "deleted": 0,
        "rejected": {"is wrong": {"count": 1, "ids": ["7"]}},
        "left_out": {"e-mail": 5},
        "left_out_ids": {"e-mail": ["7", "8"]},
        "delivered": {"companies": 1, "contacts": 2},
        "delivered_of_earlier_runs": {"companies": 0, "contacts": 0},
        "dry_run": False,
        "requests": 1,
        "retries": 1,
        "accepted": 1,
        "bytes": 4_096,
        "seconds": 1.2,
        "notes": ["a note"],
    }


def test_records_are_counted_by_stream_mapped_or_not() -> None:
    summary = _summary(unmapped=Counter(notes=2))
    assert [summary.records(stream) for stream in ("contacts", "notes", "deals")] == [1_202, 2, 0]


@pytest.mark.parametrize(
    ("count", "nouns", "text"),
    [
        (0, ("record",), "0 records"),
        (1, ("record",), "1 record"),
        (1_000, ("record",), "1,000 records"),
        (1, ("company", "companies"), "1 company"),
        (2, ("company", "companies"), "2 companies"),
    ],
)
def test_a_number_has_its_noun_in_the_right_form(count: int, nouns: tuple[str, ...], text: str) -> None:
    assert pluralize(count, *nouns) == text
