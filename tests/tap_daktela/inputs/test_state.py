from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.inputs.state import merge_partitions, read_bookmark

FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-10T10:30:00+00:00", datetime(2026, 3, 10, 10, 30, tzinfo=UTC)),
        ("2026-03-10T10:30:00Z", datetime(2026, 3, 10, 10, 30, tzinfo=UTC)),
        ("2026-03-10 12:30:00+02:00", datetime(2026, 3, 10, 10, 30, tzinfo=UTC)),
        ("2026-03-10T10:30:00.5+05:45", datetime(2026, 3, 10, 4, 45, 0, 500_000, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", FIRST),
        ("0001-01-01", FIRST),
        ("9999-12-31T23:59:59-12:00", LAST),
    ],
)
def test_a_bookmark_is_an_instant(text: str, instant: datetime) -> None:
    assert read_bookmark(text) == instant


@pytest.mark.parametrize("text", ["2026-03-10T10:30:00", "2026-03-10 10:30:00", "2026-03-10"])
@pytest.mark.promise("T1")
def test_a_bookmark_without_an_offset_is_the_earliest_instant_that_it_may_mean(text: str) -> None:
    local = datetime.fromisoformat(text)
    assert read_bookmark(text) == local.replace(tzinfo=UTC) - timedelta(hours=14)


@pytest.mark.parametrize("value", ["yesterday", "", "2026-13-01", 1772442000, 20260310, 1.5, True, [], {}, None])
def test_what_is_no_datetime_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"text|isoformat|month"):
        read_bookmark(value)


def _state(*partitions: dict[str, Any]) -> dict[str, Any]:
    return {"bookmarks": {"tickets": {"partitions": list(partitions)}}}


def _partition(value: object = None, context: Any = None) -> dict[str, Any]:
    context = {"server": "acme"} if context is None else context
    bookmark = {} if value is None else {"replication_key": "edited", "replication_key_value": value}
    return {"context": context, **bookmark}


EARLY, LATE = "2026-03-10T11:00:00+02:00", "2026-03-10T10:30:00+00:00"


@pytest.mark.parametrize("others", [[LATE, EARLY], [EARLY, LATE], [LATE, None, EARLY], [None, EARLY, EARLY, LATE]])
@pytest.mark.promise("T1")
def test_of_several_bookmarks_of_an_instance_the_earliest_remains(others: list[str | None]) -> None:
    elsewhere = _partition(LATE, {"server": "other"})
    state = _state(*[_partition(value) for value in others], elsewhere)
    before = copy.deepcopy(state)
    merged, lines = merge_partitions(state)
    assert merged == _state(_partition(EARLY), elsewhere)
    assert lines == ['state: tickets has several bookmarks for {"server": "acme"}; using the earliest']
    assert state == before


def test_a_bookmark_that_cannot_be_read_remains_to_be_reported() -> None:
    merged, _ = merge_partitions(_state(_partition(EARLY), _partition("soon"), _partition(LATE)))
    assert merged == _state(_partition("soon"))


_CONTEXTS = st.dictionaries(st.sampled_from(["server", "x"]), st.sampled_from(["acme", 1, None, [1], {"a": 1}]))
_STATES = st.lists(st.builds(_partition, st.sampled_from([None, EARLY, LATE]), _CONTEXTS), max_size=5)


@given(_STATES)
def test_contexts_that_differ_are_kept_apart(partitions: list[dict[str, Any]]) -> None:
    merged, lines = merge_partitions(_state(*partitions))
    kept = merged["bookmarks"]["tickets"]["partitions"]
    contexts = [each["context"] for each in kept]
    assert all(contexts.count(context) == 1 for context in contexts)
    assert all(each["context"] in contexts for each in partitions)
    assert all(each in partitions for each in kept)
    assert bool(lines) == (len(kept) < len(partitions))


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"bookmarks": {}},
        {"bookmarks": {"tickets": {}}},
        {"bookmarks": {"tickets": {"partitions": []}}},
        {"bookmarks": {"gone": {"replication_key_value": LATE}}, "currently_syncing": "tickets"},
        _state(_partition(LATE), _partition(EARLY, {"server": "Acme"}), _partition(EARLY, {})),
    ],
)
def test_a_state_without_duplicates_is_left_alone(state: dict[str, Any]) -> None:
    assert merge_partitions(state) == (state, [])
