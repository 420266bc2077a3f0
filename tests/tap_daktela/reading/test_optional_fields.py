"""Fields that an instance may lack: which of them it refuses, and which no row contains."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.api.outcome import Action, Outcome, RequestError
from tap_daktela.inputs.settings import extra_fields
from tap_daktela.reading.optional_fields import (
    FieldSearch,
    absent_columns,
    may_refuse_fields,
    shortened,
    with_suggestions,
    without_covered,
)
from tap_daktela.streams.definitions import STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap_daktela.streams.fields import Field

BY_NAME = {stream.name: stream for stream in STREAMS}


def columns(stream: str, *fields: str) -> tuple[Field, ...]:
    return extra_fields({"extra_fields": {stream: fields}})[stream]


def test_parts_of_what_is_requested_whole_are_not_requested() -> None:
    fields = ["name", "customFields", "customFields.a", "queue.name", "statuses", "statuses.color.x", "name"]
    assert without_covered(fields) == ("name", "customFields", "queue.name", "statuses")
    assert without_covered(["a.b", "a.bc", "ab", "a.b.c"]) == ("a.b", "a.bc", "ab")


def test_whole_custom_fields_are_requested_only_where_the_url_would_be_too_long() -> None:
    few = ("name", *(f"record.customFields.x{number}" for number in range(20)))
    many = ("name", *(f"record.customFields.x{number}" for number in range(150)))
    assert shortened(few) == few
    assert shortened(many) == ("name", "record.customFields")
    assert shortened(["customFields.a", "x.customFields.b", "mycustomFields.c", "customFields"], 0) == (
        "customFields",
        "x.customFields",
        "mycustomFields.c",
    )


def search(fields: Sequence[str], refuses: Callable[[set[str]], bool], message: str = "") -> tuple[Any, int]:
    """Return what of `fields` a server accepts, and how many requests it took."""
    looked = FieldSearch(lambda asked: not refuses(set(asked)), ("name",))
    return looked.run(fields, message), looked.requests


NUMBERS = [f"field.x{number}" for number in range(64)]


@given(st.sets(st.sampled_from(NUMBERS), max_size=4))
def test_only_refused_fields_are_left_out_with_few_requests(refused: set[str]) -> None:
    accepted, requests = search(NUMBERS, lambda asked: bool(asked & refused))
    assert accepted == tuple(field for field in NUMBERS if field not in refused)
    assert requests <= 2 + len(refused) * 2 * math.log2(len(NUMBERS))


def test_a_field_that_the_server_names_takes_four_requests() -> None:
    message = "answered 400: Unknown field x17."
    assert search(NUMBERS, lambda asked: "field.x17" in asked, message)[1] == 4
    accepted, _ = search(NUMBERS, lambda asked: "field.x3" in asked, message)
    assert accepted == tuple(field for field in NUMBERS if field != "field.x3"), "the text is a hint only"


@pytest.mark.parametrize("most", [1, 2, 10, 63])
def test_as_many_fields_as_the_server_takes_are_kept(most: int) -> None:
    accepted, requests = search(NUMBERS, lambda asked: len(asked) > most + 1)
    assert len(accepted) >= min(most, 10)
    assert len(accepted) <= most
    assert requests <= 61


def test_no_field_is_left_out_if_that_does_not_help_or_is_not_necessary() -> None:
    assert search(NUMBERS, lambda _: True) == (None, 1)
    assert search(NUMBERS, lambda _: False) == (tuple(NUMBERS), 2)
    assert search([], lambda _: False) == (None, 0)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome(Action.FAIL, "", 400), True),
        (Outcome(Action.FAIL, "", 422), True),
        (Outcome(Action.FAIL, "", 414), True),
        (Outcome(Action.FAIL, "", 431), True),
        (Outcome(Action.RETRY, "", 200, reported=True), True),
        (Outcome(Action.FAIL, "", 403), False),
        (Outcome(Action.RETRY, "", 503), False),
        (Outcome(Action.RETRY, "", None, timed_out=True), False),
    ],
)
def test_which_refusals_may_be_due_to_fields(outcome: Outcome, *, expected: bool) -> None:
    assert may_refuse_fields(RequestError(outcome, "x")) is expected


@pytest.mark.parametrize(
    ("rows", "field", "is_absent"),
    [
        ([{"name": 1}], "summary", True),
        ([{"summary": None}], "summary", False),
        ([{"name": 1}, {"summary": None}], "summary", False),
        ([], "summary", False),
        ([{"user": {"name": "x"}}], "user.emial", True),
        ([{"user": {"name": "x", "emial": None}}], "user.emial", False),
        ([{"user": None}], "user.emial", False),
        ([{"user": None}, {"user": {"name": "x"}}], "user.emial", True),
        ([{"user": []}], "user.emial", True),
        ([{"customFields": []}], "customFields.x", True),
        ([{"customFields": {"y": []}}], "customFields.x", True),
        ([{"customFields": {"x": []}}], "customFields.x", False),
        ([{"statuses": []}], "statuses.color", False),
        ([{"statuses": [{"name": 1}]}], "statuses.color", True),
        ([{"statuses": [{"name": 1}, {"color": None}]}], "statuses.color", False),
        ([{"title": "x"}], "title.x", True),
        ([{"title": ""}], "title.x", False),
        ([{"user": {"0": {"name": "x"}}}], "user.emial", True),
    ],
)
def test_null_is_contained_and_parts_of_null_are_unknown(
    rows: list[dict[str, Any]], field: str, *, is_absent: bool
) -> None:
    [column] = columns("tickets", field)
    assert absent_columns(BY_NAME["tickets"], [column], rows) == ([column] if is_absent else [])


@pytest.mark.parametrize(
    ("field", "suggested"),
    [
        ("user.emial", "user.emial (did you mean user.email?)"),
        ("usr.email", "usr.email (did you mean user.email?)"),
        ("customFields.oder", "customFields.oder (did you mean customFields.order?)"),
        ("user.phone", "user.phone"),
        ("statuses.colour", "statuses.colour (did you mean statuses.color?)"),
        ("zzz", "zzz"),
    ],
)
def test_similar_names_are_suggested(field: str, suggested: str) -> None:
    row = {
        "user": {"email": "x", "title": "y"},
        "customFields": {"order": []},
        "statuses": [{"color": "red"}],
        "category": {"sla": None},
    }
    assert with_suggestions(columns("tickets", field), [row]) == suggested
