from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from tap_daktela.reading.instance import InstanceError
from tap_daktela.reading.server_clock import Clock
from tap_daktela.reading.stream_reader import (
    Checkpoint,
    RangeError,
    ReadRange,
    StreamError,
    StreamReader,
    plan_range,
)
from tap_daktela.streams.definitions import STREAMS
from tests.simulator import Drift, Fault, Simulator, generate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_daktela.reading.instance import Instance
    from tap_daktela.streams.fields import Field, Stream

    Connect = Callable[..., Instance]

BY_NAME = {stream.name: stream for stream in STREAMS}
PRAGUE = ZoneInfo("Europe/Prague")
NOW = "2026-03-10 12:00:00"
SETTLED = "2026-03-10 11:30:00"
ORPHANABLE = {"CALL": "id_call", "EMAIL": "name", "CHAT": "name"}

Row = dict[str, Any]


class Result:
    """What a sync gave: its records, and its checkpoints with how many records came before each."""

    def __init__(self) -> None:
        self.records: list[Row] = []
        self.checkpoints: list[datetime] = []
        self.error = ""

    @property
    def names(self) -> list[str]:
        return [record.get("name") or record["activities_name"] for record in self.records]


def _read(
    instance: Instance, stream: Stream | str, bookmark: str | None = None, columns: Iterable[Field] | None = None
) -> Result:
    stream = BY_NAME[stream] if isinstance(stream, str) else stream
    result = Result()
    moment = _at(bookmark) if bookmark else None
    sync = StreamReader(stream, stream.fields if columns is None else columns, instance, moment)
    try:
        for step in sync.read():
            if isinstance(step, Checkpoint):
                result.checkpoints.append(step.instant)
            else:
                result.records += step
    except StreamError as error:
        result.error = str(error)
    return result


def _at(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=PRAGUE)).astimezone(UTC)


def _is_orphan(row: Row) -> bool:
    return row["type"] in ORPHANABLE and not (row["item"] or {}).get(ORPHANABLE[row["type"]])


def _names(rows: Iterable[Row]) -> set[str]:
    return {f"acme_{row['name']}" for row in rows}


def _settled(simulator: Simulator, table: str, cursor: str) -> list[Row]:
    return [row for row in simulator.dataset.tables[table] if row[cursor] < SETTLED]


def _messages(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


# What is read.


@pytest.mark.parametrize(
    "stream", [stream for stream in STREAMS if stream.replication_key is None], ids=lambda stream: stream.name
)
@pytest.mark.parametrize("page_size", [7, 1000])
def test_a_full_table_is_read_whole_each_row_once(
    daktela: Simulator, connect: Connect, stream: Stream, page_size: int
) -> None:
    result = _read(connect(daktela, page_size=page_size), stream)
    assert result.error == ""
    assert sorted(result.names) == sorted(_names(daktela.dataset.tables[stream.endpoint]))
    assert result.checkpoints == []


@pytest.mark.parametrize("page_size", [10, 1000])
@pytest.mark.parametrize("backend", ["parallel", "sequential"])
def test_tickets_are_read_by_the_time_of_their_last_change(
    daktela: Simulator, connect: Connect, page_size: int, backend: str
) -> None:
    result = _read(connect(daktela, page_size=page_size, backend=backend), "tickets")
    assert sorted(result.names) == sorted(_names(_settled(daktela, "tickets", "edited")))
    times = [record["edited"] for record in result.records]
    assert times == sorted(times)
    assert result.checkpoints[-1] == _at(SETTLED)


@pytest.mark.parametrize(
    "stream", [stream for stream in STREAMS if stream.activity_type], ids=lambda stream: stream.name
)
def test_a_stream_of_items_has_the_activities_of_its_type_that_have_one(
    daktela: Simulator, connect: Connect, stream: Stream
) -> None:
    result = _read(connect(daktela, page_size=30), stream)
    rows = [row for row in _settled(daktela, "activities", "time") if row["type"] == stream.activity_type]
    assert sorted(result.names) == sorted(_names(row for row in rows if not _is_orphan(row)))
    assert rows
    keys = [tuple(record[key] for key in stream.keys) for record in result.records]
    assert len(keys) == len(set(keys))


def test_activities_are_of_all_types_but_the_orphans(
    daktela: Simulator, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        result = _read(connect(daktela, page_size=50), "activities")
    rows = _settled(daktela, "activities", "time")
    orphans = [row for row in rows if _is_orphan(row)]
    assert orphans
    assert sorted(result.names) == sorted(_names(rows) - _names(orphans))
    told = " ".join(_messages(caplog, logging.INFO))
    assert all(f"{kind} without their item" in told for kind in {row["type"] for row in orphans})


@pytest.mark.parametrize("stream", STREAMS, ids=list(BY_NAME))
def test_every_record_fits_its_schema_and_has_unique_keys(
    daktela: Simulator,
    connect: Connect,
    violations: Callable[[Row, Any], list[str]],
    stream: Stream,
) -> None:
    result = _read(connect(daktela), stream)
    assert result.records
    keys = [tuple(record[key] for key in stream.keys) for record in result.records]
    assert len(keys) == len(set(keys))
    assert all(key.startswith("acme_") for parts in keys for key in parts)
    assert [line for record in result.records for line in violations(stream.schema(), record)] == []


def test_only_the_columns_asked_for_are_asked_of_the_server(daktela: Simulator, connect: Connect) -> None:
    stream = BY_NAME["activities_call"]
    columns = [stream.field(name) for name in ("activities_name", "item_id_call", "time", "item_clid")]
    result = _read(connect(daktela), stream, columns=columns)
    assert all(list(record) == [column.name for column in columns] for record in result.records)
    asked = {tuple(request.query["fields"]) for request in daktela.requests if request.endpoint == "activities"}
    assert asked == {("name", "time", "item.id_call", "item.clid")}


# How far.


def _instance(connect: Connect, **config: Any) -> Instance:
    with Simulator(generate(activities=1)) as simulator:
        return connect(simulator, **config)


def _clock(now: str = NOW) -> Clock:
    return Clock(_at(now), PRAGUE, _at(now), timedelta(minutes=5))


def _plan(connect: Connect, bookmark: str | None = None, now: str = NOW, **config: Any) -> ReadRange | None:
    return plan_range(_instance(connect, **config), _clock(now), _at(bookmark) if bookmark else None)


def test_a_first_run_reads_from_the_beginning_of_all_time_to_what_has_settled(connect: Connect) -> None:
    assert _plan(connect) == ReadRange(None, SETTLED, _at(SETTLED))


def test_a_first_run_reads_from_the_start_date(connect: Connect) -> None:
    wanted = _plan(connect, start_date="2026-03-01")
    assert wanted == ReadRange("2026-03-01 00:00:00", SETTLED, _at(SETTLED))


def test_a_start_date_with_an_offset_is_that_instant(connect: Connect) -> None:
    wanted = _plan(connect, start_date="2026-03-01T00:00:00Z")
    assert wanted is not None
    assert wanted.lower == "2026-03-01 01:00:00"


def test_a_further_run_reads_from_its_bookmark_less_the_look_back(connect: Connect) -> None:
    wanted = _plan(connect, "2026-03-09 11:30:00")
    assert wanted == ReadRange("2026-03-08 11:30:00", SETTLED, _at(SETTLED))
    wanted = _plan(connect, "2026-03-09 11:30:00", lookback_minutes=0, settle_minutes=0)
    assert wanted == ReadRange("2026-03-09 11:30:00", NOW, _at(NOW))


def test_a_bookmark_is_followed_and_not_the_start_date(connect: Connect) -> None:
    for start_date in ("2026-01-01", "2026-03-10"):
        wanted = _plan(connect, "2026-03-09 11:30:00", start_date=start_date)
        assert wanted is not None
        assert wanted.lower == "2026-03-08 11:30:00"


def test_an_end_date_ends_a_run_early_and_never_late(connect: Connect) -> None:
    assert _plan(connect, end_date="2026-03-05") == ReadRange(None, "2026-03-05 00:00:00", _at("2026-03-05"))
    assert _plan(connect, end_date="2026-03-10T11:45:00") == _plan(connect)
    assert _plan(connect, end_date="2027-01-01") == _plan(connect)


@pytest.mark.parametrize(
    ("bookmark", "config"),
    [
        (None, {"start_date": "2026-03-10T11:30:00"}),
        (None, {"start_date": "2026-03-10T12:00:00"}),
        (None, {"start_date": "2026-03-10T13:00:00"}),
        ("2026-03-10 11:30:00", {"lookback_minutes": 0}),
        ("2026-03-09 12:00:00", {"end_date": "2026-03-01"}),
    ],
)
def test_a_range_that_is_empty_is_not_read(connect: Connect, bookmark: str | None, config: dict[str, Any]) -> None:
    assert _plan(connect, bookmark, **config) is None


@pytest.mark.parametrize(
    ("config", "zone", "reasons"),
    [
        (
            {"start_date": "2026-03-10T13:00:01"},
            "Europe/Prague",
            ["start_date, 2026-03-10T13:00:01, is in the future"],
        ),
        (
            {"start_date": "2027-01-01", "end_date": "2027-02-01"},
            "Europe/Prague",
            ["start_date, 2027-01-01, is in the future", "2026-03-10 11:00:00 UTC"],
        ),
        (
            # In the default zone, these are valid settings.
            {"start_date": "2026-03-01T00:00:00+14:00", "end_date": "2026-03-01"},
            "Pacific/Kiritimati",
            ["end_date, 2026-03-01, is not after start_date, 2026-03-01T00:00:00+14:00", "Pacific/Kiritimati"],
        ),
    ],
)
def test_dates_that_no_run_could_read_anything_with_are_an_error(
    connect: Connect, config: dict[str, Any], zone: str, reasons: list[str]
) -> None:
    clock = Clock(_at(NOW), ZoneInfo(zone), _at(NOW), timedelta(minutes=5))
    with pytest.raises(RangeError) as error:
        plan_range(_instance(connect, **config), clock, None)
    assert all(reason in str(error.value) for reason in reasons)


def test_minutes_count_real_time_when_the_clocks_change(connect: Connect) -> None:
    # Spring: half an hour before 03:10 it is 01:40.
    wanted = _plan(connect, now="2026-03-29 03:10:00")
    assert wanted is not None
    assert wanted.upper == "2026-03-29 01:40:00"
    # A day before noon on that Sunday it is 11:00 on Saturday.
    wanted = _plan(connect, "2026-03-29 12:00:00", now="2026-03-30 12:00:00")
    assert wanted is not None
    assert wanted.lower == "2026-03-28 11:00:00"


@pytest.mark.parametrize("minutes", range(-90, 200, 7))
def test_in_autumn_every_bookmark_is_read_on_from_without_a_gap(connect: Connect, minutes: int) -> None:
    instance = _instance(connect, lookback_minutes=0, settle_minutes=0)
    bookmark = _at("2026-10-25 02:00:00") + timedelta(minutes=minutes)
    before = plan_range(instance, Clock(bookmark, PRAGUE, bookmark, timedelta(0)), None)
    next_day = bookmark + timedelta(days=1)
    after = plan_range(instance, Clock(next_day, PRAGUE, next_day, timedelta(0)), bookmark)
    assert before is not None
    assert after is not None
    assert after.lower is not None
    assert after.lower <= before.upper
    assert after.lower >= "2026-10-25 00:30:00"


# Bookmarks.


def test_no_checkpoint_passes_a_row_that_has_not_come(daktela: Simulator, connect: Connect) -> None:
    rows = [row for row in _settled(daktela, "activities", "time") if not _is_orphan(row)]
    stream = BY_NAME["activities"]
    seen: set[str] = set()
    checkpoints = []
    for step in StreamReader(stream, stream.fields, connect(daktela, page_size=2), None).read():
        if isinstance(step, Checkpoint):
            assert _names(row for row in rows if _at(row["time"]) < step.instant) <= seen
            checkpoints.append(step.instant)
        else:
            seen |= {record["name"] for record in step}
    assert len(checkpoints) > 3
    assert checkpoints == sorted(set(checkpoints))
    assert checkpoints[-1] == _at(SETTLED)


@pytest.mark.parametrize("after", [0, 1, 4, 9])
def test_a_page_that_cannot_be_had_ends_the_stream_after_what_came_before(
    daktela: Simulator, connect: Connect, after: int
) -> None:
    daktela.faults = [Fault("503", endpoint="activities", times=None, after=after)]
    result = _read(connect(daktela, page_size=5, backend="sequential"), "activities")
    rows = [row for row in _settled(daktela, "activities", "time") if not _is_orphan(row)]
    assert "answered 503 (6 attempts)" in result.error
    assert "GET activities.json" in result.error
    assert set(result.names) < _names(rows)
    reached = max(result.checkpoints, default=_at("2000-01-01"))
    assert _names(row for row in rows if _at(row["time"]) < reached) <= set(result.names)
    assert reached < _at(SETTLED)


def test_an_empty_range_asks_for_nothing_but_the_clock(daktela: Simulator, connect: Connect) -> None:
    result = _read(connect(daktela, start_date="2026-03-10T11:45:00"), "tickets")
    assert (result.records, result.checkpoints, result.error) == ([], [], "")
    assert [request.endpoint for request in daktela.requests] == ["whoim"]


@pytest.mark.parametrize(
    "case",
    [
        (
            None,
            {"start_date": "2026-03-10T11:45:00"},
            "start_date, 2026-03-10T11:45:00, leaves nothing to read yet",
        ),
        (
            "2026-03-05",
            {"end_date": "2026-03-01"},
            "nothing to read: end_date, 2026-03-01, is before 2026-03-03 23:00",
        ),
        (
            "2026-03-10 11:00:00",
            {"settle_minutes": 3000},
            "nothing to read: the range would begin at 2026-03-09 10:0",
        ),
    ],
)
def test_an_empty_range_is_one_warning_that_names_the_setting(
    daktela: Simulator, connect: Connect, caplog: pytest.LogCaptureFixture, case: tuple[Any, dict[str, Any], str]
) -> None:
    bookmark, config, reason = case
    instance = connect(daktela, **config)
    for stream in ("tickets", "activities"):
        assert _read(instance, stream, bookmark).error == ""
    (message,) = _messages(caplog)
    assert reason in message


@pytest.mark.parametrize(("start_date", "is_warned_about"), [("2026-01-01", False), ("2026-03-10", True)])
def test_the_state_is_followed_and_only_a_later_start_date_is_warned_about(
    daktela: Simulator,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    start_date: str,
    *,
    is_warned_about: bool,
) -> None:
    result = _read(connect(daktela, start_date=start_date), "tickets", "2026-03-09 11:30:00")
    assert "2026-03-08T11:30:00" <= min(record["edited"] for record in result.records) < "2026-03-09"
    messages = [line for line in _messages(caplog) if start_date in line and "--full-refresh" in line]
    assert len(messages) == len(_messages(caplog)) == int(is_warned_about)


def test_a_range_without_rows_is_read_to_its_end(daktela: Simulator, connect: Connect) -> None:
    result = _read(connect(daktela, end_date="2000-01-01"), "tickets")
    assert (result.records, result.checkpoints, result.error) == ([], [_at("2000-01-01")], "")


def test_rows_that_move_are_not_missed_and_the_checkpoint_is_of_the_run_s_beginning(
    daktela: Simulator, connect: Connect
) -> None:
    still = _settled(daktela, "tickets", "edited")
    daktela.drift = Drift(every=1, edit=1, insert=1, tick=60)
    result = _read(connect(daktela, page_size=10), "tickets")
    moved = {name for table, name in daktela.touched if table == "tickets"}
    assert moved
    assert _names(row for row in still if row["name"] not in moved) <= set(result.names)
    assert result.checkpoints[-1] == _at(SETTLED)


# Late closures.


def _close(daktela: Simulator, row: Row, at: str) -> None:
    daktela.edit("activities", row["name"], action="CLOSE", time_close=at)


@pytest.mark.parametrize("stream", ["activities", "activities_email"])
def test_what_was_open_and_has_been_closed_since_is_read_again(
    daktela: Simulator, connect: Connect, stream: str
) -> None:
    emails = [
        row for row in _settled(daktela, "activities", "time") if row["type"] == "EMAIL" and not _is_orphan(row)
    ]
    old = [row for row in emails if row["time"] < "2026-03-01"][:4]
    others = [row for row in daktela.dataset.tables["activities"] if row not in old]
    for row in others:
        if row["time_close"] and row["time_close"] >= "2026-03-08" and row["time"] < "2026-03-08 11:30:00":
            _close(daktela, row, row["time"])
    for row, at in zip(
        old,
        ("2026-03-08 11:30:00", "2026-03-09 00:00:00", "2026-03-08 11:29:59", "2026-03-10 11:30:00"),
        strict=True,
    ):
        _close(daktela, row, at)
    result = _read(connect(daktela), stream, "2026-03-09 11:30:00")
    late = {
        name for name, record in zip(result.names, result.records, strict=True) if record["time"] < "2026-03-08"
    }
    assert late == _names(old[:2])
    # They come first, so that no bookmark passes them.
    assert set(result.names[:2]) == late
    assert result.checkpoints[-1] == _at(SETTLED)


def test_late_closures_are_asked_for_even_if_their_time_is_not_selected(
    daktela: Simulator, connect: Connect
) -> None:
    stream = BY_NAME["activities"]
    row = next(
        row for row in daktela.dataset.tables["activities"] if not _is_orphan(row) and row["time"] < "2026-03-01"
    )
    _close(daktela, row, "2026-03-09 00:00:00")
    columns = [stream.field("name"), stream.field("time")]
    result = _read(connect(daktela), stream, "2026-03-09 11:30:00", columns)
    assert f"acme_{row['name']}" in result.names
    assert all(list(record) == ["name", "time"] for record in result.records)


def test_a_first_run_does_not_look_for_late_closures(daktela: Simulator, connect: Connect) -> None:
    _read(connect(daktela, start_date="2026-03-01"), "activities")
    filters = [entry["field"] for request in daktela.requests for entry in request.query.get("filters", [])]
    assert "time_close" not in filters


def test_tickets_have_no_late_closures(daktela: Simulator, connect: Connect) -> None:
    _read(connect(daktela), "tickets", "2026-03-09 11:30:00")
    filters = {entry["field"] for request in daktela.requests for entry in request.query.get("filters", [])}
    assert filters == {"edited"}


# Rights and refusals.


@pytest.mark.parametrize(
    ("lever", "told"), [("forbidden", "lacks the right to read groups"), ("missing", "has no groups")]
)
def test_a_stream_that_may_not_be_read_or_is_not_there_says_so(
    daktela: Simulator, connect: Connect, lever: str, told: str
) -> None:
    setattr(daktela, lever, {"groups"})
    instance = connect(daktela)
    assert told in _read(instance, "groups").error
    assert _read(instance, "pauses").error == ""


@pytest.mark.parametrize(("stream", "kind"), [("activities_chat", "CHAT"), ("activities", "EMAIL")])
def test_activities_all_of_which_lack_their_items_are_an_error_and_no_bookmark_passes_them(
    daktela: Simulator, connect: Connect, stream: str, kind: str
) -> None:
    daktela.strip_items = {kind}
    result = _read(connect(daktela), stream)
    assert f"type {kind}" in result.error
    assert "lacks the right" in result.error
    assert max(result.checkpoints, default=_at("2000-01-01")) < min(
        _at(row["time"]) for row in _settled(daktela, "activities", "time") if row["type"] == kind and row["item"]
    )


def test_orphans_alone_in_a_run_s_range_are_no_error(daktela: Simulator, connect: Connect) -> None:
    orphan = max(
        (row for row in _settled(daktela, "activities", "time") if _is_orphan(row)), key=lambda row: row["time"]
    )
    after = _at(orphan["time"]) + timedelta(seconds=1)
    instance = connect(daktela, start_date=_at(orphan["time"]).isoformat(), end_date=after.isoformat())
    stream = BY_NAME[f"activities_{orphan['type'].lower()}"]
    result = _read(instance, stream)
    assert (result.records, result.error) == ([], "")
    assert result.checkpoints[-1] == after


def test_relations_without_their_names_are_counted_for_the_end_of_the_run(
    daktela: Simulator, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    daktela.strip_relations = {"queue", "statuses"}
    instance = connect(daktela)
    result = _read(instance, "activities")
    assert {record["queue_name"] for record in result.records} == {None}
    assert _messages(caplog) == []
    assert (set(instance.nameless.counts), set(instance.nameless.entries)) == ({"queue"}, {"statuses"})
    without, records = instance.nameless.counts["queue"]["activities"]
    assert 0 < without <= records == len(result.records)


def test_nothing_is_warned_about_where_all_is_well(
    daktela: Simulator, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    for stream in STREAMS:
        assert _read(connect(daktela), stream).error == ""
    assert _messages(caplog) == []


@pytest.mark.parametrize("stream", ["queues", "tickets", "activities"])
def test_fields_that_a_build_refuses_are_given_up_loudly(
    daktela: Simulator, connect: Connect, caplog: pytest.LogCaptureFixture, stream: str
) -> None:
    usual = _read(connect(daktela), stream)
    daktela.unknown_fields = "refuse"
    result = _read(connect(daktela), stream)
    assert result.error == ""
    (line,) = [line for line in _messages(caplog) if "refuses fields" in line]
    lost = dict.fromkeys(line.rpartition("these columns stay null: ")[2].split(", "))
    assert lost.keys() <= {column.name for column in BY_NAME[stream].fields if not column.official}
    assert result.records == [record | lost for record in usual.records]


def test_a_400_that_has_another_reason_is_told_as_it_is(daktela: Simulator, connect: Connect) -> None:
    daktela.faults = [Fault("400", endpoint="tickets", times=None, message="No such filter")]
    assert "No such filter" in _read(connect(daktela), "tickets").error


def test_a_400_that_comes_once_costs_nothing(daktela: Simulator, connect: Connect) -> None:
    usual = _read(connect(daktela), "tickets")
    daktela.faults = [Fault("400", endpoint="tickets")]
    result = _read(connect(daktela), "tickets")
    assert (result.error, result.records) == ("", usual.records)


def test_a_value_that_does_not_fit_ends_the_stream_or_becomes_null(
    daktela: Simulator, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    row = _settled(daktela, "tickets", "edited")[0]
    daktela.edit("tickets", row["name"], sla_duration="a while")
    error = _read(connect(daktela), "tickets").error
    assert f"sla_duration of record acme_{row['name']} is not of type integer" in error
    result = _read(connect(daktela, on_type_mismatch="null"), "tickets")
    assert len(result.records) == len(_settled(daktela, "tickets", "edited"))
    assert any("1 values of sla_duration" in line for line in _messages(caplog))


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("created", "2026-00-00 00:00:00", "'2026-00-00 00:00:00'"),
        ("created", "0001-01-01", "'0001-01-01'"),
        ("created", "9999-99-99", "'9999-99-99'"),
        ("created", "9999-12-31T23:59:59-05:00", "'9999-12-31T23:59:59-05:00'"),
        ("created", [], "a list"),
        ("sla_duration", 2**63, f"'{2**63}'"),
        ("sla_duration", "1_000", "'9_999'"),
        ("sla_custom", "maybe", "'aaaaa'"),
        ("statuses", {"status_new": "New"}, "an object"),
    ],
)
@pytest.mark.promise("T2")
def test_an_impossible_value_is_one_message_or_null_and_the_rest_of_the_row_is_kept(
    daktela: Simulator, connect: Connect, column: str, value: object, shown: str
) -> None:
    row = _settled(daktela, "tickets", "edited")[0]
    usual = {record["name"]: record for record in _read(connect(daktela), "tickets").records}
    daktela.edit("tickets", row["name"], **{column: value, "edited": row["edited"]})
    error = _read(connect(daktela), "tickets").error
    assert f" of record acme_{row['name']} is not of type " in error
    assert f": {shown};" in error
    result = _read(connect(daktela, on_type_mismatch="null"), "tickets")
    assert result.error == ""
    nulls = {"statuses_name", "statuses_title"} if column == "statuses" else {column}
    records = {record["name"]: record for record in result.records}
    usual[f"acme_{row['name']}"] |= dict.fromkeys(nulls)
    assert records == usual


@pytest.mark.parametrize("value", ["0000-00-00 00:00:00", "-0001-11-30 00:00:00", "0000-00-00T00:00:00.000000"])
def test_a_zero_date_is_null_and_no_mismatch(daktela: Simulator, connect: Connect, value: str) -> None:
    row = _settled(daktela, "tickets", "edited")[0]
    daktela.edit("tickets", row["name"], created=value, edited=row["edited"])
    result = _read(connect(daktela), "tickets")
    assert result.error == ""
    assert {record["name"]: record for record in result.records}[f"acme_{row['name']}"]["created"] is None


def test_an_instance_that_cannot_be_read_is_so_from_the_beginning(daktela: Simulator, connect: Connect) -> None:
    instance = connect(daktela, access_token="hush")
    stream = BY_NAME["groups"]
    with pytest.raises(InstanceError, match="check access_token"):
        StreamReader(stream, stream.fields, instance, None)


def test_credentials_that_end_midway_end_the_instance(daktela: Simulator, connect: Connect) -> None:
    instance = connect(daktela, username="robot", password="secret", page_size=10)
    assert _read(instance, "groups").error == ""
    daktela.revoke()
    daktela.password = "another"
    stream = BY_NAME["tickets"]
    for _ in range(2):
        with pytest.raises(InstanceError, match="check username and password"):
            list(StreamReader(stream, stream.fields, instance, None).read())
    logins = [request for request in daktela.requests if request.endpoint == "login"]
    assert len(logins) == 2


def test_a_stream_whose_endpoint_cannot_tell_the_time_does_not_end_the_others(
    daktela: Simulator, connect: Connect
) -> None:
    daktela.faults = [Fault("404", endpoint="whoim", times=None), Fault("403", endpoint="groups", times=None)]
    instance = connect(daktela)
    stream = BY_NAME["groups"]
    with pytest.raises(StreamError, match="lacks the right to read groups"):
        StreamReader(stream, stream.fields, instance, None)
    assert _read(instance, "pauses").error == ""


def test_a_static_token_that_ends_midway_ends_the_stream(daktela: Simulator, connect: Connect) -> None:
    daktela.faults = [Fault("401", endpoint="tickets", times=None, after=1)]
    result = _read(connect(daktela, page_size=10), "tickets")
    assert "check access_token" in result.error


def test_a_page_that_is_none_ends_the_stream_and_is_never_an_empty_one(
    daktela: Simulator, connect: Connect
) -> None:
    for kind in ("data-null", "no-result", "html", "empty", "truncated-json", "error-200"):
        daktela.faults = [Fault(kind, endpoint="groups", times=None)]
        result = _read(connect(daktela), "groups")
        assert "(6 attempts)" in result.error
        assert result.records == []


# Clock changes.


@pytest.fixture
def autumn() -> Iterator[Simulator]:
    with Simulator(generate(activities=200, tickets=40, now="2026-10-26 12:00:00", days=4)) as simulator:
        yield simulator


@pytest.mark.parametrize("page_size", [9, 1000])
def test_the_night_that_is_an_hour_longer_is_read_whole(
    autumn: Simulator, connect: Connect, page_size: int
) -> None:
    rows = [row for row in autumn.dataset.tables["activities"] if not _is_orphan(row)]
    assert [row for row in rows if "2026-10-25 02" <= row["time"] < "2026-10-25 03"]
    wanted = _names(row for row in rows if row["time"] < "2026-10-26 11:30:00")
    assert set(_read(connect(autumn, page_size=page_size), "activities").names) == wanted


@pytest.mark.parametrize("minutes", range(-60, 181, 20))
def test_runs_on_that_night_leave_no_row_out(autumn: Simulator, connect: Connect, minutes: int) -> None:
    rows = [row for row in autumn.dataset.tables["activities"] if not _is_orphan(row)]
    wanted = _names(row for row in rows if row["time"] < "2026-10-26 11:30:00")
    end = (_at("2026-10-25 02:00:00") + timedelta(minutes=minutes)).isoformat()
    first = _read(connect(autumn, end_date=end), "activities")
    assert first.checkpoints[-1] == _at(end)
    second = _read(connect(autumn, lookback_minutes=0), "activities", first.checkpoints[-1].isoformat())
    assert {*first.names, *second.names} == wanted
