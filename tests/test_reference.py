"""The reference of streams agrees with the declarations, and its joins agree with the data.

The text of the page is compared with the committed catalogs, with the schema of the simulator, and with the
records and requests of the tap.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import duckdb
import pytest

from tap_daktela.streams.definitions import STREAMS
from tap_daktela.streams.fields import Kind
from tests.simulator import Simulator, generate
from tests.simulator.schema import EMBEDDED, ITEM_TABLES, target_of
from tests.tap_daktela.running import Run, run_tap, select, settings
from tools.diagrams import IMAGES
from tools.reference import (
    BY_NAME,
    DIAGRAMS,
    ITEM_STREAMS,
    MADE,
    STREAMS_PAGE,
    filled,
    parts,
    without_stream,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tap_daktela.streams.fields import Stream
    from tests.simulator import Dataset, Request

TEXT = STREAMS_PAGE.read_text(encoding="utf-8")
CATALOG = Path(__file__).parent / "tap_daktela" / "catalog"
SVG = "{http://www.w3.org/2000/svg}"

each_stream = pytest.mark.parametrize("stream", STREAMS, ids=list(BY_NAME))
each_page = pytest.mark.parametrize("page", parts(), ids=[page.name for page in parts()])


# The page.


@each_page
def test_the_generated_parts_are_those_of_the_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert filled(page, text) == text, "run `make generate`"


@each_stream
def test_every_declared_column_stands_in_the_stream_s_table_with_its_type_and_source(stream: Stream) -> None:
    catalog = json.loads((CATALOG / f"{stream.name}.json").read_text(encoding="utf-8"))
    expected = [
        [f"`{name}`", type_of(schema), f"`{stream.field(name).source}`" if stream.field(name).source else MADE]
        for name, schema in catalog["schema"]["properties"].items()
    ]
    rows = table(section(f"### `{stream.name}`"), "column")
    assert [row[:3] for row in rows] == expected
    assert [row[3] for row in rows] == [
        schema["description"] for schema in catalog["schema"]["properties"].values()
    ]


@each_stream
def test_the_section_of_a_stream_contains_its_key_and_whether_it_is_selected(stream: Stream) -> None:
    catalog = json.loads((CATALOG / f"{stream.name}.json").read_text(encoding="utf-8"))
    facts = facts_of(stream.name)
    assert facts["key"] == ", ".join(f"`{key}`" for key in catalog["key_properties"])
    [of_stream] = [each["metadata"] for each in catalog["metadata"] if not each["breadcrumb"]]
    assert facts["selected by default"] == ("yes" if of_stream["selected-by-default"] else "no")
    first = section(f"### `{stream.name}`").strip().split("\n\n")[0]
    assert " ".join(first.split()) == stream.description


def test_the_page_lists_the_streams_without_joins() -> None:
    joined = {name for claim in claims() for name in (claim.stream, claim.target)}
    _, _, rest = TEXT.partition("These streams have no joins:")
    listed, _, _ = rest.partition("###")
    assert set(names(listed)) == set(BY_NAME) - joined
    assert {"groups", "pauses"} <= set(names(listed))


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", page.read_text(encoding="utf-8"))
    assert links
    for file, anchor in links:
        if file.startswith("https://"):
            continue
        target = page.parent / file if file else page
        assert target.is_file(), file
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), (file, anchor)


@each_page
def test_prose_is_wrapped(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if len(line) > 120 and not line.startswith("|")]


# How the streams join.


@dataclass(frozen=True)
class Claim:
    """A join in the table of the page."""

    stream: str
    column: str
    target: str
    target_column: str
    is_list: bool


def claims() -> list[Claim]:
    """Return a claim for each join of the page's table."""
    items = ", ".join(f"`{name}`" for name in ITEM_STREAMS)
    return [
        Claim(stream, column, target, target_column, is_list=cell.endswith(", a list"))
        for cell, streams, place in table(section("### All joins"), "this column")
        for [column], [target, target_column] in [(names(cell), names(place)[0].split("."))]
        for stream in names(streams.replace("`activities_*`", items))
    ]


def test_a_join_leads_from_a_key_to_a_key() -> None:
    assert len(claims()) == len(set(claims())) > 80
    for claim in claims():
        kind = Kind.KEYS if claim.is_list else Kind.KEY
        assert BY_NAME[claim.stream].field(claim.column).kind is kind, claim
        assert claim.target_column in BY_NAME[claim.target].keys, claim


def test_every_key_is_in_one_of_the_tables() -> None:
    """The keys of a stream itself need not join another stream."""
    joined = [(claim.stream, claim.column) for claim in claims()]
    others = [
        (stream, column)
        for cell, streams in table(section("### Keys of objects without a stream"), "this column")
        for [column] in [names(cell)]
        for stream in names(streams)
    ]
    keys = {
        (stream.name, column.name): column.name in stream.keys
        for stream in STREAMS
        for column in stream.fields
        if column.kind in {Kind.KEY, Kind.KEYS}
    }
    assert Counter([*joined, *others]).most_common(1)[0][1] == 1
    assert set(joined) | set(others) <= set(keys)
    assert {place for place, is_own in keys.items() if not is_own} <= set(joined) | set(others)


def test_joins_are_those_of_daktela() -> None:
    """The targets of relations come from the API's documents. Calls and campaigns have keys as texts."""
    for claim in claims():
        if claim.target_column == "name" and claim.column not in {"activities_name", "activity"}:
            assert simulated_target(claim.stream, claim.column) == BY_NAME[claim.target].endpoint, claim
    endpoints = {stream.endpoint for stream in STREAMS}
    for column, streams in without_stream().items():
        for stream in streams:
            target = simulated_target(stream, column)
            assert target in {EMBEDDED, "crmDatabases"}, (stream, column)
            assert target not in endpoints


def simulated_target(stream: str, column: str) -> str | None:
    """Return the endpoint of the relation of a column."""
    declared = BY_NAME[stream]
    relation = column.removesuffix("_name")
    in_item = declared.activity_type and relation.startswith("item_")
    place = ITEM_TABLES[declared.activity_type] if in_item and declared.activity_type else declared.endpoint
    return target_of(place, relation.removeprefix("item_") if in_item else relation)


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_diagram_draws_joins(name: str) -> None:
    known = {(claim.stream, claim.column, claim.target): claim for claim in claims()}
    tables, edges = diagram(name)
    for target in {target for _, _, _, target, _ in edges}:
        assert tables[target] == BY_NAME[target].keys
    assert len(edges) > 10
    for source, left, right, target, columns in edges:
        assert {source, target} <= set(tables)
        for column in columns:
            claim = known[source, column, target]
            to_many = claim.is_list or BY_NAME[target].keys != (claim.target_column,)
            is_own = column in BY_NAME[source].keys
            expected = ("0..1" if is_own else "n", "n" if to_many else "1" if is_own else "0..1")
            assert (left, right) == expected, claim


def test_the_diagrams_draw_every_join_but_those_of_items() -> None:
    drawn = {
        (source, column, target)
        for name in DIAGRAMS
        for source, _, _, target, columns in diagram(name)[1]
        for column in columns
    }
    all_joins = {(claim.stream, claim.column, claim.target) for claim in claims()}
    to_activity = {(name, "activities_name", "activities") for name in ITEM_STREAMS}
    assert drawn <= all_joins
    assert {stream for stream, _, _ in all_joins - drawn} == set(ITEM_STREAMS)
    shown = {name for name, _, _ in to_activity & drawn}
    assert shown == {"activities_call", "activities_email", "activities_chat"}


# Joins in the data.


@pytest.fixture(scope="module")
def runs() -> tuple[Run, list[Request]]:
    """Return a run over all streams of an instance that uses every join, and the requests of the next run."""
    catalog = select(*BY_NAME)
    dataset = generate(activities=1500, tickets=120, seed=5, build="2021")
    with Simulator(with_every_join(dataset)) as simulator:
        # After the settle time, all joined rows exist.
        simulator.advance(minutes=60)
        config = settings(simulator)
        run = run_tap(config, catalog=catalog)
        simulator.clear()
        again = run_tap(config, catalog=catalog, state=run.state)
        requests = simulator.requests
    assert (run.code, again.code) == (0, 0), run.log + again.log
    return run, requests


def with_every_join(dataset: Dataset) -> Dataset:
    """Return the dataset with rows for joins that the random rows do not use."""
    tables = dataset.tables
    tables["users"][1]["sign"] = tables["templates"][0]
    tables["ticketsCategories"][0]["sms_queue"] = tables["queues"][-1]
    tables["campaignsRecords"][0]["activity"] = next(
        row["name"] for row in tables["activities"] if row["type"] == "CALL" and row["item"]
    )
    for kind in ITEM_TABLES:
        next(row for row in tables["activities"] if row["type"] == kind)["ticket"] = tables["tickets"][0]
    return dataset


def test_every_key_is_that_of_a_row_of_the_joined_stream(runs: tuple[Run, list[Request]]) -> None:
    run, _ = runs
    for claim in claims():
        found = keys_in(run, claim)
        there = {record[claim.target_column] for record in run.records[claim.target]}
        assert found, f"no row uses {claim}"
        assert found <= there, claim


def test_titles_are_those_of_the_rows_that_the_keys_name(runs: tuple[Run, list[Request]]) -> None:
    """The title column replaces a join only if both give the same value."""
    run, _ = runs
    compared = 0
    for claim in claims():
        beside = re.sub("_name$", "_title", claim.column)
        if beside == claim.column or beside not in {column.name for column in BY_NAME[claim.stream].fields}:
            continue
        titles = {record[claim.target_column]: record.get("title") for record in run.records[claim.target]}
        for record in run.records[claim.stream]:
            keys, values = record[claim.column], record[beside]
            # Items of old builds have a column of this name that is not the title of a relation.
            if keys is not None and beside != "item_queue_title":
                assert (([titles[key] for key in keys]) if claim.is_list else titles[keys]) == values, claim
                compared += 1
    assert compared > 1000


def test_an_activity_has_one_item_at_most_and_a_call_may_have_several_activities(
    runs: tuple[Run, list[Request]],
) -> None:
    run, _ = runs
    for name in ITEM_STREAMS:
        activities = [record["activities_name"] for record in run.records[name]]
        assert len(activities) == len(set(activities))
    calls = Counter(record["item_id_call"] for record in run.records["activities_call"])
    assert max(calls.values()) > 1


@each_stream
def test_a_stream_is_read_from_where_its_section_says(runs: tuple[Run, list[Request]], stream: Stream) -> None:
    _, requests = runs
    claim = re.fullmatch(
        r"`(\w+)\.json`(?:, all rows|, where (?:`type` is `(\w+)` and )?`(\w+)` lies in the run's range"
        r"(?:, or `(\w+)` lies in it for older rows)?)",
        facts_of(stream.name)["read from"],
    )
    assert claim
    endpoint, kind, cursor, closed = claim.groups()
    expected = {(endpoint, kind, frozenset({cursor} - {None}))}
    if closed:
        expected.add((endpoint, kind, frozenset({cursor, closed})))
    assert {asked(request) for request in requests if asked(request)[:2] == (endpoint, kind)} == expected


def asked(request: Request) -> tuple[str, str | None, frozenset[str]]:
    """Return the endpoint, the type of activity and the filtered time fields of a request."""
    filters = request.query.get("filters") or []
    kinds = [each["value"] for each in filters if each["operator"] == "eq"]
    compared = frozenset(each["field"] for each in filters if each["operator"] in {"gte", "lt"})
    return request.endpoint, kinds[0] if kinds else None, compared


def keys_in(run: Run, claim: Claim) -> set[str]:
    """Return the keys in a column."""
    values = [record[claim.column] for record in run.records[claim.stream] if record[claim.column] is not None]
    return {key for value in values for key in value} if claim.is_list else set(values)


# The examples.


def test_the_examples_of_sql_do_what_the_page_says(runs: tuple[Run, list[Request]], tmp_path: Path) -> None:
    run, _ = runs
    way, lists = code(TEXT, "sql")
    calls = run.records["activities_call"]
    with duckdb.connect() as database:
        load(database, run, BY_NAME, tmp_path)
        rows = database.execute(way).fetchall()
        counted = dict(database.execute(lists).fetchall())
        [[distinct]] = database.execute("SELECT count(DISTINCT item_id_call) FROM activities_call").fetchall()
    assert len(rows) == len(calls) > distinct == len({call["item_id_call"] for call in calls})
    assert sum(account is not None for *_, account in rows) > len(calls) / 4
    titles = {status["name"]: status["title"] for status in run.records["statuses"]}
    assert counted == Counter(titles[key] for ticket in run.records["tickets"] for key in ticket["statuses_name"])


# Reading a page.


def section(heading: str, text: str = TEXT) -> str:
    """Return the text below a heading, up to the next one of the same or a higher level."""
    rank = len(heading.split(" ", maxsplit=1)[0])
    _, rest = text.split(f"\n{heading}\n", 1)
    return re.split(rf"\n#{{1,{rank}}} ", rest, maxsplit=1)[0]


def table(text: str, first: str) -> list[list[str]]:
    """Return the cells of the table whose first column has the name `first`."""
    lines = text.splitlines()
    [start] = [index for index, line in enumerate(lines) if line.startswith(f"| {first} |")]
    return list(_rows(lines[start + 2 :]))


def _rows(lines: Iterable[str]) -> Iterator[list[str]]:
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def facts_of(stream: str) -> dict[str, str]:
    """Return the properties at the beginning of the section of a stream."""
    lines = section(f"### `{stream}`").splitlines()
    return {row[0]: row[1] for row in _rows(lines[lines.index("|---|---|") + 1 :])}


def names(cell: str) -> list[str]:
    """Return the names in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def code(text: str, language: str) -> list[str]:
    """Return the blocks of a language."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)


def diagram(name: str) -> tuple[dict[str, tuple[str, ...]], list[tuple[str, str, str, str, list[str]]]]:
    """Return the tables of a diagram with their keys, and its lines: source, both ends, target, columns."""
    root = ET.parse(IMAGES / f"{name}.svg").getroot()  # noqa: S314 - our own file
    texts = [element.text or "" for element in root.iter(f"{SVG}text")]
    starts = [number for number, text in enumerate(texts) if text in BY_NAME]
    tables: dict[str, tuple[str, ...]] = {}
    for start, end in pairwise([*starts, len(texts)]):
        keys = tuple(text.removesuffix(" (key)") for text in texts[start:end] if text.endswith(" (key)"))
        tables[texts[start]] = keys or tables.get(texts[start], ())
    lines = [
        (
            line.attrib["data-source"],
            line.attrib["data-left"],
            line.attrib["data-right"],
            line.attrib["data-target"],
            [line.attrib["data-column"]],
        )
        for line in root.iter(f"{SVG}g")
    ]
    # The attributes of a line agree with its text.
    drawn = [[text.text for text in line.iter(f"{SVG}text")] for line in root.iter(f"{SVG}g")]
    assert drawn == [[f"{left} : {right}"] for _, left, right, _, _ in lines]
    assert {column for *_, columns in lines for column in columns} <= {*texts}
    return tables, lines


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings of a page on GitHub."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def type_of(schema: dict[str, Any]) -> str:
    """Return a column's JSON type in words."""
    words = " of ".join(
        next(name for name in part["type"] if name != "null") for part in (schema, schema.get("items")) if part
    )
    return f"{words}, {schema['format']}" if "format" in schema else words


# A warehouse.

_TYPES = {"string": "VARCHAR", "integer": "HUGEINT", "number": "DOUBLE", "boolean": "BOOLEAN"}


def load(
    database: duckdb.DuckDBPyConnection, run: Run, streams: Iterable[str], folder: Path, schema: str = "main"
) -> None:
    """Create tables from the records of a run, with the types of the loader for DuckDB."""
    for name in streams:
        columns = run.schemas[name]["schema"]["properties"]
        records = [{each: _cell(record[each], columns[each]) for each in columns} for record in run.records[name]]
        load_rows(
            database, f'{schema}."{name}"', records, folder, {each: _type(columns[each]) for each in columns}
        )


def load_rows(
    database: duckdb.DuckDBPyConnection,
    table_name: str,
    rows: Iterable[Mapping[str, Any]],
    folder: Path,
    types: Mapping[str, str],
) -> None:
    """Create a table from rows through a file, which is ten times as fast as single statements."""
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    database.execute(
        f"CREATE TABLE {table_name} AS FROM read_json(?, format = 'newline_delimited', columns = ?)",
        [str(path), dict(types)],
    )


def _type(schema: dict[str, Any]) -> str:
    if schema.get("format") == "date-time":
        return "TIMESTAMP"
    [name] = [name for name in schema["type"] if name != "null"]
    return _TYPES.get(name, "JSON")


def _cell(value: Any, schema: dict[str, Any]) -> Any:
    if value is None:
        return None
    if schema.get("format") == "date-time":
        # The loader stores UTC without a zone.
        return datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None).isoformat(" ")
    return value
