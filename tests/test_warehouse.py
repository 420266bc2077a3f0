"""The queries of `examples/warehouse` and their page, on tables that are written by hand.

The tables have the columns of the streams and the types of target-duckdb. So a query with an unknown column fails.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias
from xml.etree import ElementTree as ET

import duckdb
import pytest

from examples.warehouse import charts, figures
from examples.warehouse.page import CHARTS, FOLDER, ask, notes, write
from tap_daktela.streams.definitions import STREAMS
from tap_daktela.streams.fields import Kind
from tests.meltano import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from examples.warehouse.charts import Row

Tables: TypeAlias = dict[str, list[dict[str, Any]]]

QUERIES = tuple(CHARTS)
TYPES = {
    Kind.INTEGER: "HUGEINT",
    Kind.NUMBER: "DOUBLE",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.DATETIME: "TIMESTAMP",
    Kind.OBJECT: "JSON",
    Kind.KEYS: "JSON",
    Kind.TITLES: "JSON",
}


# Tables of target-duckdb: names in lower case, times in UTC without a zone.


def fill(warehouse: duckdb.DuckDBPyConnection, tables: Tables) -> None:
    """Create the tables of all streams that are selected by default, and fill some."""
    for stream in STREAMS:
        if stream.selected_by_default:
            columns = ", ".join(
                f'"{field.name.lower()}" {TYPES.get(field.kind, "VARCHAR")}' for field in stream.fields
            )
            warehouse.execute(f"CREATE TABLE {stream.name} ({columns})")
            for row in tables.get(stream.name, []):
                places = ", ".join("?" * len(row))
                warehouse.execute(
                    f"INSERT INTO {stream.name} ({', '.join(row)}) VALUES ({places})",  # noqa: S608 - written below
                    list(row.values()),
                )


def answer(query: str, **tables: list[dict[str, Any]]) -> list[Row]:
    """Return the rows of a query."""
    with duckdb.connect() as warehouse:
        fill(warehouse, tables)
        return ask(warehouse, query).rows


def call(key: str, at: str = "2026-03-02 09:10:00", **columns: Any) -> dict[str, Any]:
    """Return an incoming call with its activity, answered after ten seconds. 09:10 in UTC is 10:10 in Prague."""
    return {
        "activities_name": f"activity {key}",
        "item_id_call": key,
        "time": at,
        "item_call_time": at,
        "item_direction": "in",
        "item_answered": True,
        "item_waiting_time": 10,
        "item_id_queue_name": "acme_1",
        "item_id_queue_title": "Sales",
        **columns,
    }


def unanswered(key: str, waited: int | None, cause: str | None = "abandon", **columns: Any) -> dict[str, Any]:
    given = {"item_answered": False, "item_waiting_time": waited, "item_disconnection_cause": cause}
    return call(key, **{**given, **columns})


def ticket(key: str, **columns: Any) -> dict[str, Any]:
    return {
        "name": key,
        "stage": "OPEN",
        "created": "2026-03-02 08:00:00",
        "edited": "2026-03-09 08:00:00",
        "category_name": "acme_help",
        "category_title": "Help",
        **columns,
    }


def work(agent: str | None, opened: str | None, closed: str | None, **columns: Any) -> dict[str, Any]:
    """Return an activity of a call, whose duration is the time between both times."""
    duration = 0
    if opened and closed:
        duration = int((datetime.fromisoformat(closed) - datetime.fromisoformat(opened)).total_seconds())
    return {
        "type": "CALL",
        "user_name": agent,
        "user_title": agent and agent.title(),
        "time_open": opened,
        "time_close": closed,
        "duration": duration,
        "baw": 0,
        "aaw": 0,
        **columns,
    }


QUEUE = {"name": "acme_1", "title": "Sales", "type": "in", "deactivated": False}


# The service level.


def test_a_call_that_was_transferred_twice_counts_once_with_its_newest_activity() -> None:
    passed_on = [
        call(
            "a", activities_name=f"activity {number}", time=f"2026-03-02 09:1{number}:00", item_waiting_time=waited
        )
        for number, waited in ((0, 50), (2, 15), (1, 50))
    ]
    whole, *_ = answer("service_level", activities_call=passed_on, queues=[QUEUE])
    assert (whole["offered"], whole["answered"], whole["answered_in_time"]) == (1, 1, 1)


@pytest.mark.parametrize(("waited", "in_time"), [(0, 1), (20, 1), (21, 0)])
def test_twenty_seconds_are_in_time(waited: int, in_time: int) -> None:
    whole, *_ = answer("service_level", activities_call=[call("a", item_waiting_time=waited)])
    assert (whole["answered_in_time"], whole["service_level"]) == (in_time, in_time)


@pytest.mark.parametrize(("waited", "short", "level"), [(3, 1, 1.0), (5, 0, 0.5), (None, 0, 0.5)])
def test_a_short_abandon_is_left_out_of_the_service_level(waited: int | None, short: int, level: float) -> None:
    whole, *_ = answer("service_level", activities_call=[call("a"), unanswered("b", waited)])
    assert (whole["offered"], whole["short_abandons"], whole["service_level"]) == (2, short, level)


def test_what_ends_early_for_another_reason_is_no_short_abandon() -> None:
    whole, *_ = answer("service_level", activities_call=[call("a"), unanswered("b", 3, "exitwithkey")])
    assert (whole["short_abandons"], whole["service_level"]) == (0, 0.5)


def test_a_call_without_waiting_time_or_mark_of_an_answer_is_not_guessed_at() -> None:
    calls = [call("a"), call("b", item_waiting_time=None), call("c", item_answered=None)]
    whole, *_ = answer("service_level", activities_call=calls)
    assert (whole["offered"], whole["answered"], whole["without_waiting_time"]) == (3, 2, 1)
    assert whole["service_level"] == 0.5


def test_only_incoming_calls_are_offered() -> None:
    others = [call(direction, item_direction=direction) for direction in ("out", "internal")]
    for query in ("service_level", "abandoned_calls"):
        whole, *_ = answer(query, activities_call=[call("a"), *others, call("none", item_direction=None)])
        assert whole["offered"] == 1


@pytest.mark.parametrize("query", ["service_level", "abandoned_calls"])
@pytest.mark.parametrize(
    ("moment", "half_hour"),
    [
        ("2026-03-02 07:59:59", time(8, 30)),
        ("2026-03-02 08:00:00", time(9)),
        ("2026-03-02 23:10:00", time(0)),
        # The night on which the clock goes from 2 to 3, in March; and twice from 2 to 3, in October.
        ("2026-03-29 00:59:59", time(1, 30)),
        ("2026-03-29 01:00:00", time(3)),
        ("2026-10-25 00:30:00", time(2, 30)),
        ("2026-10-25 01:30:00", time(2, 30)),
    ],
)
def test_half_hours_are_local(query: str, moment: str, half_hour: time) -> None:
    # The time of the activity replaces the missing time of the call.
    for columns in ({}, {"item_call_time": None}):
        rows = answer(query, activities_call=[call("a", moment, **columns)])
        assert {row["half_hour"] for row in rows} == {None, half_hour}


def test_each_queue_has_its_day_and_its_half_hours() -> None:
    second = {"item_id_queue_name": "acme_2", "item_id_queue_title": "Help"}
    calls = [
        call("a"),
        call("b", "2026-03-05 09:20:00"),
        unanswered("c", 30, **second),
        unanswered("d", 3, **second),
    ]
    calls += [call("e", "2026-03-02 15:00:00", item_waiting_time=40, **second)]
    calls += [call("f", item_id_queue_name=None, item_id_queue_title=None)]
    quiet = {"name": "acme_3", "title": "Quiet", "type": "in", "deactivated": False}
    others = [
        {"name": "acme_4", "title": "Off", "type": "in", "deactivated": True},
        {"name": "acme_5", "title": "E-mail", "type": "email", "deactivated": False},
    ]
    renamed = {**QUEUE, "title": "Sales and more"}
    rows = answer("service_level", activities_call=calls, queues=[renamed, quiet, *others])

    said = [(row["queue"], row["half_hour"], row["offered"], row["service_level"]) for row in rows]
    assert said == [
        ("all queues", None, 6, 3 / 5),
        ("Sales and more", None, 2, 1),
        ("Sales and more", time(10), 2, 1),
        # A deleted queue has the title that its calls contain.
        ("Help", None, 3, 0),
        ("Help", time(10), 2, 0),
        ("Help", time(16), 1, 0),
        ("Quiet", None, 0, None),
        ("(no queue)", None, 1, 1),
        ("(no queue)", time(10), 1, 1),
    ]


# Abandoned calls.


def test_every_offered_call_is_one_of_four() -> None:
    calls = [
        call("a"),
        # An answered call is not abandoned, whatever its cause of disconnection.
        call("b", item_disconnection_cause="abandon"),
        unanswered("c", 3),
        unanswered("d", 5),
        unanswered("e", 31, item_missed_call=1),
        unanswered("f", None),
        unanswered("g", 2, "exitwithtimeout", item_missed_call=1),
        unanswered("h", 60, None, item_missed_call=0),
    ]
    whole, half_hour = answer("abandoned_calls", activities_call=[*calls, call("a", activities_name="passed on")])
    kinds = ("answered", "abandoned", "short_abandons", "not_answered_otherwise")
    assert [whole[kind] for kind in ("offered", *kinds)] == [8, 2, 3, 1, 2]
    assert whole["abandoned_share"] == 3 / 7
    assert whole["median_wait_of_abandoned_seconds"] == 18
    assert (whole["to_call_back"], whole["called_back"]) == (2, 1)
    assert {**half_hour, "half_hour": None} == whole


def test_days_are_local() -> None:
    calls = [call("a", "2026-03-01 23:30:00"), call("b", "2026-03-04 22:30:00")]
    whole, *_ = answer("abandoned_calls", activities_call=calls)
    assert (whole["first_day"], whole["last_day"]) == (date(2026, 3, 2), date(2026, 3, 4))


# Occupancy.


def test_occupancy_is_talk_and_wrap_up_in_the_time_between_the_first_and_last_activity() -> None:
    activities = [
        work("eva", "2026-03-02 08:00:00", "2026-03-02 08:20:00", aaw=60, baw=120),
        work("eva", "2026-03-02 08:40:00", "2026-03-02 08:58:00", type="EMAIL", aaw=60),
        work("eva", "2026-03-02 08:40:00", "2026-03-02 08:50:00", type=None, duration=None, baw=60),
        # Another day.
        work("eva", "2026-03-03 08:00:00", "2026-03-03 08:30:00", duration=900),
    ]
    everyone, eva = answer("agent_occupancy", activities=activities)
    assert (eva["agent"], eva["days"]) == ("Eva", 2)
    minutes = {"present": 61 + 30, "talk": 20 + 15, "wrap_up": 3, "other": 20}
    assert {name: round(eva[f"{name}_hours"] * 60, 6) for name in minutes} == minutes
    assert eva["occupancy"] == pytest.approx((35 + 3) / 91)
    assert eva["other_share"] == pytest.approx(20 / 91)
    assert {**everyone, "agent_name": "eva", "agent": "Eva"} == eva


def test_each_agent_has_a_part_of_a_call_that_was_passed_on() -> None:
    activities = [
        work("eva", "2026-03-02 08:00:00", "2026-03-02 08:20:00"),
        work("jan", "2026-03-02 08:20:00", "2026-03-02 08:50:00"),
        work("jan", "2026-03-02 09:20:00", "2026-03-02 09:20:00", duration=None, aaw=None, baw=None),
    ]
    everyone, eva, jan = answer("agent_occupancy", activities=activities)
    assert (everyone["talk_hours"], everyone["present_hours"]) == pytest.approx((50 / 60, 80 / 60))
    # The highest occupancy first.
    assert (eva["agent"], eva["occupancy"]) == ("Eva", 1)
    assert (jan["agent"], jan["occupancy"]) == ("Jan", 0.5)


def test_what_is_open_or_was_never_opened_or_has_no_agent_is_left_out() -> None:
    activities = [
        work("eva", "2026-03-02 08:00:00", None),
        work("eva", None, "2026-03-02 08:20:00"),
        work(None, "2026-03-02 08:00:00", "2026-03-02 08:20:00"),
    ]
    [everyone] = answer("agent_occupancy", activities=activities)
    assert (everyone["days"], everyone["occupancy"]) == (0, None)


def test_work_counts_on_the_local_day_of_its_closing() -> None:
    # 23:30 in Prague, and 0:30 on the next day; from Friday to Monday.
    activities = [
        work("eva", "2026-03-02 22:00:00", "2026-03-02 22:30:00"),
        work("eva", "2026-03-02 23:00:00", "2026-03-02 23:20:00"),
        work("jan", "2026-03-06 15:00:00", "2026-03-09 08:10:00", type="EMAIL", duration=600),
        work("jan", "2026-03-09 08:00:00", "2026-03-09 08:20:00"),
    ]
    _, *agents = answer("agent_occupancy", activities=activities)
    days = {agent["agent"]: (agent["days"], round(agent["present_hours"] * 60)) for agent in agents}
    assert days == {"Eva": (2, 50), "Jan": (2, 20)}


def test_the_hour_that_comes_twice_is_two_hours_long() -> None:
    [_, eva] = answer("agent_occupancy", activities=[work("eva", "2026-10-25 00:00:00", "2026-10-25 02:00:00")])
    assert (eva["present_hours"], eva["occupancy"]) == (2, 1)


# First answers.


def answered_after(seconds: int, **columns: Any) -> dict[str, Any]:
    answered = datetime.fromisoformat("2026-03-02 08:00:00") + timedelta(seconds=seconds)
    return ticket(f"acme_{seconds}", first_answer=answered, **columns)


def test_first_answers_are_measured_from_the_creation() -> None:
    tickets = [answered_after(seconds) for seconds in (60, 300, 301, 900, 3600, 3601, 14400, 86400, 86401)]
    # Daktela stores 0 for some tickets without an answer.
    tickets += [ticket("acme_1", first_answer_duration=0), ticket("acme_2", category_name=None)]
    whole, helped, without = answer("first_answer_time", tickets=tickets)
    spans = {column: count for column, count in whole.items() if column.startswith(("up_to_", "over_"))}
    assert list(spans.values()) == [2, 2, 1, 2, 1, 1]
    assert (whole["tickets"], whole["answered"], sum(spans.values())) == (11, 9, 9)
    names = ["up to 5 min", "up to 15 min", "up to 1 h", "up to 4 h", "up to 1 day", "over 1 day"]
    assert [figures.heading(column) for column in spans] == names
    assert [figures.figure(column, count) for column, count in spans.items()] == list("221211")
    assert whole["median_seconds"] == 3600
    assert whole["percentile_90_seconds"] == pytest.approx(86400 + 0.2)
    assert (helped["category"], helped["tickets"]) == ("Help", 10)
    assert (without["category"], without["tickets"], without["median_seconds"]) == ("(no category)", 1, None)


def test_within_the_sla_is_answered_by_the_deadline() -> None:
    deadline = {"first_answer_deadline": "2026-03-02 09:00:00"}
    tickets = [
        answered_after(3600, **deadline),
        answered_after(3601, **deadline),
        ticket("acme_overdue", **deadline),
        ticket("acme_waiting", stage="WAIT", **deadline),
        ticket("acme_not_yet", first_answer_deadline="2026-03-09 08:00:01"),
        ticket("acme_closed", stage="CLOSE", **deadline),
        ticket("acme_archived", stage="ARCHIVE", **deadline),
        answered_after(10),
        answered_after(20, id_merge_name="acme_other", **deadline),
    ]
    whole, *_ = answer("first_answer_time", tickets=tickets)
    assert (whole["tickets"], whole["in_time"], whole["late"], whole["overdue"]) == (8, 1, 1, 2)
    assert whole["within_sla_share"] == 1 / 4
    assert whole["closed_unanswered"] == 2


# Tickets that came back.


def test_a_ticket_comes_back_by_its_stage_or_by_its_customer() -> None:
    closed = {"closed": "2026-03-04 08:00:00", "stage": "CLOSE"}
    before, at, after = "2026-03-04 07:59:59", "2026-03-04 08:00:00", "2026-03-04 08:00:01"
    tickets = [ticket(f"acme_{number}", **closed) for number in range(1, 9)]
    tickets += [
        ticket("acme_open_again", **{**closed, "stage": "WAIT"}),
        ticket("acme_open"),
        ticket("acme_merged", id_merge_name="acme_1", **closed),
        ticket("acme_planned", reopen="2030-01-01 00:00:00", **closed),
        ticket("acme_planned_soon", reopen="2026-03-09 08:00:01", **closed),
        ticket("acme_was_planned", reopen="2026-03-05 08:00:00", **closed),
    ]
    calls = [
        call("a", after, ticket_name="acme_1"),
        call("b", after, ticket_name="acme_2", item_direction="out"),
        *(call(f"before {name}", before, ticket_name=name) for name in ("acme_1", "acme_3")),
        call("d", at, ticket_name="acme_4"),
        *(call(name, after, ticket_name=f"acme_{name}") for name in ("open_again", "open", "merged")),
        call("e", after),
    ]
    emails = [
        {"ticket_name": "acme_1", "time": after, "item_direction": "in"},
        {"ticket_name": "acme_5", "time": after, "item_direction": "in"},
        {"ticket_name": "acme_6", "time": after, "item_direction": "out"},
    ]
    chats = [{"ticket_name": "acme_7", "time": after}]
    whole, helped = answer(
        "reopened_tickets", tickets=tickets, activities_call=calls, activities_email=emails, activities_chat=chats
    )
    assert (whole["closed_tickets"], whole["open_again"], whole["contacted_again"]) == (12, 1, 3)
    assert whole["came_back_share"] == 4 / 12
    assert whole["reopening_planned"] == 2
    assert {**helped, "category_name": None, "category": "all categories"} == whole


# All queries.


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_documents_its_question_and_its_tables(query: str) -> None:
    text = (FOLDER / f"{query}.sql").read_text(encoding="utf-8")
    said = notes(text)
    assert list(said) == ["Question", "Definition", "Unknown", "Reads", "Rows"]
    assert said["Question"].endswith("?")
    with duckdb.connect() as warehouse:
        assert set(said["Reads"].split(", ")) == warehouse.get_table_names(text)
    limits = re.findall(r"(\d+) AS (in_time|short_abandon)_seconds", text)
    assert all(f" {number} seconds" in said["Definition"] for number, _ in limits)
    assert max(map(len, text.splitlines())) <= 120


def test_the_readme_lists_the_queries() -> None:
    for query in QUERIES:
        said = notes((FOLDER / f"{query}.sql").read_text(encoding="utf-8"))
        reads = ", ".join(f"`{name}`" for name in said["Reads"].split(", "))
        assert f"| [`{query}.sql`]({query}.sql) | {said['Question']} | {reads} |\n" in README
    assert len(list(FOLDER.glob("*.sql"))) == len(QUERIES)


README = (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_commands_of_the_readme_run(filled: Path, tmp_path: Path) -> None:
    page = tmp_path / "contact-centre.html"
    commands = re.findall(r"^\$ \.venv/bin/python (.*)$", README, re.MULTILINE)
    for command in commands:
        for path in (".demo/daktela.duckdb", "daktela.duckdb"):
            command = command.replace(path, str(filled))  # noqa: PLW2901 - one after the other
        words = shlex.split(command.replace(page.name, str(page)))
        ended = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=True)
        assert ended.stderr == ""
        assert "all queues" in (ended.stdout or page.read_text(encoding="utf-8"))
    assert len(commands) == 2


def test_a_warehouse_without_the_tables_is_one_line(tmp_path: Path) -> None:
    duckdb.connect(tmp_path / "other.duckdb").close()
    page = tmp_path / "page.html"
    for name in ("other.duckdb", "none.duckdb"):
        command = [sys.executable, "-m", "examples.warehouse", str(tmp_path / name), str(page)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
        assert name in ended.stderr
        assert not page.exists()


# The page.

TITLE = '<b>"Sales" & more</b>, and a name that is longer than a chart has room for'


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Return a warehouse with a few rows."""
    path = tmp_path / "filled.duckdb"
    write_small_warehouse(path)
    return path


def write_small_warehouse(path: Path) -> None:
    """Write a warehouse with a few rows in each table that the queries read."""
    calls = [call(str(number), f"2026-03-02 {number % 12 + 6:02}:10:00") for number in range(30)]
    calls += [unanswered(f"gone {number}", number, at="2026-03-02 09:00:00") for number in range(12)]
    tables: Tables = {
        "activities_call": calls,
        "queues": [{**QUEUE, "title": TITLE}, {**QUEUE, "name": "acme_2", "title": "Quiet"}],
        "activities": [work("eva", "2026-03-02 08:00:00", "2026-03-02 08:20:00", aaw=60, user_title=TITLE)],
        "tickets": [
            ticket("acme_1", category_title=TITLE, first_answer="2026-03-02 08:10:00", stage="CLOSE"),
            ticket("acme_2", category_title=TITLE, closed="2026-03-03 08:00:00"),
        ],
    }
    with duckdb.connect(path) as warehouse:
        fill(warehouse, tables)


def test_the_page_says_what_the_queries_answer(filled: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    write(filled, page)
    assert_page(page, filled)
    assert TITLE in "".join(read_page(page).itertext())


def test_the_page_of_an_empty_warehouse_is_one(tmp_path: Path) -> None:
    warehouse, page = tmp_path / "empty.duckdb", tmp_path / "page.html"
    with duckdb.connect(warehouse) as connection:
        fill(connection, {})
    write(warehouse, page)
    assert_page(page, warehouse)
    assert "No incoming calls are loaded." in "".join(read_page(page).itertext())


def read_page(page: Path) -> ET.Element:
    """Return the page's document, which must be XML as well as HTML."""
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>\n<html lang=")
    return ET.fromstring(text)  # noqa: S314 - our own page


def assert_page(page: Path, warehouse: Path) -> None:
    """Check that the page is complete, loads nothing, and contains the numbers of the queries."""
    document = read_page(page)
    everything = list(document.iter())
    assert not {element.tag for element in everything} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "use",
        "image",
    }
    attributes = [(name, value) for element in everything for name, value in element.items()]
    assert not {name for name, _ in attributes} & {"src", "href", "srcset", "data", "action", "style"}
    assert not re.search(r"https?:|//|url\(|@import", page.read_text(encoding="utf-8"))
    keys = [value for name, value in attributes if name == "id"]
    assert len(keys) == len(set(keys))
    for drawing in document.iter("svg"):
        title, description, *_ = drawing
        assert (title.tag, description.tag, drawing.get("role")) == ("title", "desc", "img")
        assert drawing.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
        assert title.text
        assert description.text
    with duckdb.connect(warehouse, read_only=True) as connection:
        for query in QUERIES:
            [section] = document.findall(f".//section[@id='{query}']")
            assert_section(section, ask(connection, query).rows)


def _exact(value: object) -> str:
    """Return a value as on the page. Sums can differ in the last digits between two queries."""
    return "" if value is None else f"{value:.9g}" if isinstance(value, float) else str(value)


def assert_section(section: ET.Element, rows: list[Row]) -> None:
    """Check that a table with every row and every column except keys follows its charts."""
    holding = [{part.tag for part in element.iter()} for element in section]
    [table] = [place for place, tags in enumerate(holding) if "table" in tags]
    drawings = [place for place, tags in enumerate(holding) if "svg" in tags]
    # Without a queue there is no drawing of queues.
    assert all(place < table for place in drawings)
    assert drawings or len(rows) == 1
    columns = [column for column in rows[0] if not column.endswith("_name")]
    assert [head.text for head in section.iter("th")] == [figures.heading(column) for column in columns]
    shown = [[cell.attrib["value"] for cell in row.iter("data")] for row in section.findall(".//tbody/tr")]
    assert shown == [[_exact(row[column]) for column in columns] for row in rows]
    texts = [cell.text for cell in section.iter("data")]
    assert texts == [figures.figure(column, row[column]) for row in rows for column in columns]


# The charts.


def rectangles(markup: str) -> list[tuple[str, dict[str, float]]]:
    """Return the colour and the position of each rectangle."""
    return [
        (str(each.get("class")), {side: float(each.attrib[side]) for side in ("x", "y", "width", "height")})
        for each in ET.fromstring(f"<p>{markup}</p>").iter("rect")  # noqa: S314 - our own drawing
    ]


def test_the_columns_of_calls_are_as_high_as_their_numbers_and_stand_on_each_other() -> None:
    counts = {"answered": 30, "abandoned": 10, "short_abandons": 0, "not_answered_otherwise": 20}
    moments = (time(0), time(12), time(23, 30))
    rows = [{"half_hour": moment, "offered": 60, **counts} for moment in (None, *moments)]
    drawn = rectangles(charts.abandoned_calls(rows))
    assert len(drawn) == 3 * 4
    first = [place for _, place in drawn[:4]]
    unit = first[0]["height"] / 30
    assert [place["height"] / unit for place in first] == pytest.approx([30, 10, 0, 20], abs=0.01)
    for lower, upper in pairwise(first):
        assert upper["y"] + upper["height"] == pytest.approx(lower["y"], abs=0.02)
    lefts = [drawn[4 * number][1]["x"] for number in range(3)]
    assert (lefts[1] - lefts[0]) / (lefts[2] - lefts[0]) == pytest.approx(24 / 47, abs=0.001)


def test_a_level_of_few_calls_is_pale_and_one_of_none_is_not_drawn() -> None:
    queue = {"queue_name": "acme_1", "queue": "Sales"}
    levels = [(100, 1.0), (charts.FEW, 0.5), (charts.FEW - 1, 0.25), (1, None)]
    rows: list[Row] = [
        {"queue_name": None, "queue": "all", "half_hour": None, "offered": 0, "service_level": None}
    ]
    rows += [{**queue, "half_hour": None, "offered": 120, "service_level": 0.5}]
    rows += [
        {**queue, "half_hour": time(hour), "offered": offered, "service_level": level}
        for hour, (offered, level) in enumerate(levels)
    ]
    drawn = rectangles(charts.service_level(rows))
    assert [kind for kind, _ in drawn] == ["first", "first", "first few"]
    heights = [place["height"] for _, place in drawn]
    assert [height / heights[0] for height in heights] == pytest.approx([1, 0.5, 0.25])


def test_bars_are_as_long_as_their_shares_and_lie_end_to_end() -> None:
    shares = {"talk_share": 0.5, "wrap_up_share": 0.125, "other_share": 0.25}
    nobody = dict.fromkeys((*shares, "occupancy"))
    rows = [{"agent": "Eva", "occupancy": 0.625, **shares}, {"agent": "Jan", **nobody}]
    drawn = rectangles(charts.agent_occupancy(rows))
    bars = [place for _, place in drawn[:3]]
    assert [bar["width"] / bars[0]["width"] for bar in bars] == pytest.approx([1, 0.25, 0.5], abs=0.001)
    assert bars[1]["x"] == pytest.approx(bars[0]["x"] + bars[0]["width"], abs=0.02)
    assert [place["width"] for _, place in drawn[3:]] == [0, 0, 0]


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("offered", 12345, "12,345"),
        ("service_level", 0.28449, "28.4%"),
        ("abandoned_share", 0, "0.0%"),
        ("median_seconds", 0, "0 s"),
        ("median_seconds", 59.6, "1 min"),
        ("median_seconds", 3725, "1 h 2 min"),
        ("present_hours", 1234.56, "1,234.6 h"),
        ("half_hour", time(8, 30), "08:30"),
        ("first_day", date(2026, 3, 2), "2 Mar 2026"),
        ("queue", "Sales", "Sales"),
        ("service_level", None, "-"),
        ("half_hour", None, "all day"),
    ],
)
def test_figures_are_written_in_their_units(column: str, value: object, expected: str) -> None:
    assert figures.figure(column, value) == expected
