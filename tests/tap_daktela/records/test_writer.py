"""What the tap writes page by page is what the SDK writes record by record, byte for byte."""

from __future__ import annotations

import copy
import io
import json
import re
from contextlib import redirect_stdout
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk import Stream
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.singerlib import RecordMessage

from tap_daktela import stream as module
from tap_daktela.cli.errors import RunError
from tap_daktela.records.row_mapper import RowMapper
from tap_daktela.records.writer import PageWriter
from tap_daktela.streams.definitions import STREAMS
from tap_daktela.tap import TapDaktela
from tests.simulator import Simulator, generate

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
ALL = tuple(stream.name for stream in STREAMS)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(generate(activities=900, tickets=120, seed=2)) as instance:
        yield instance


class _Output(io.TextIOWrapper):
    """Standard out, to look at."""

    def __init__(self) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding="utf-8", write_through=True)


def _written(
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    *,
    by_sdk: bool,
    catalog: Any,
    servers: tuple[str, ...] = ("acme",),
    state: Any = None,
    **config: Any,
) -> bytes:
    output = _Output()
    monkeypatch.setattr("sys.stdout", output)
    for place in ("singer_sdk.streams.core.utc_now", "tap_daktela.stream.utc_now"):
        monkeypatch.setattr(place, lambda: NOW)
    monkeypatch.setattr("singer_sdk.Tap.initialized_at", int(NOW.timestamp() * 1000))
    monkeypatch.setattr(module.DaktelaStream, "STATE_MSG_FREQUENCY", 70)
    if by_sdk:
        monkeypatch.setattr(PageWriter, "write_message", MsgSpecWriter.write_message)
        for name in ("_sync_records", "TYPE_CONFORMANCE_LEVEL"):
            monkeypatch.setattr(module.DaktelaStream, name, getattr(Stream, name))
    instance = {"url": simulator.url, "access_token": simulator.access_token}
    settings = {"instances": [{"server": server, **instance} for server in servers], "allow_http": True}
    # The SDK goes on in the state that it is given.
    given = copy.deepcopy(state)
    tap = TapDaktela(config={**settings, "settle_minutes": 0, **config}, catalog=catalog, state=given)
    tap.sync_all()
    monkeypatch.undo()
    return output.bytes.getvalue()


def _catalog(*left_out: tuple[str, ...], streams: tuple[str, ...] = ALL, method: str | None = None) -> Any:
    """Return a catalog of `streams` without what is left out: a column of a stream, or a part of one."""
    catalog = TapDaktela(config={"url": "https://acme.daktela.com", "access_token": "x"}).catalog_dict
    entries = {entry["tap_stream_id"]: entry for entry in catalog["streams"]}
    for name, entry in entries.items():
        if method is not None and entry.get("replication_key"):
            entry["replication_method"] = method
        entry["metadata"][-1]["metadata"]["selected"] = name in streams
        assert entry["metadata"][-1]["breadcrumb"] == []
    for name, column, *part in left_out:
        assert column in entries[name]["schema"]["properties"]
        metadata = {tuple(each["breadcrumb"]): each["metadata"] for each in entries[name]["metadata"]}
        breadcrumb = ("properties", column, *(place for each in part for place in ("properties", each)))
        metadata.setdefault(breadcrumb, {})["selected"] = False
        entries[name]["metadata"] = [
            {"breadcrumb": list(place), "metadata": each} for place, each in metadata.items()
        ]
    return catalog


def _bookmarks(server: str, moment: str) -> dict[str, Any]:
    mark = {"context": {"server": server}, "replication_key_value": moment}
    return {
        "bookmarks": {
            stream.name: {"partitions": [{**mark, "replication_key": stream.replication_key}]}
            for stream in STREAMS
            if stream.replication_key
        }
    }


CASES: dict[str, dict[str, Any]] = {
    "all": {"catalog": _catalog()},
    "two instances": {"catalog": _catalog(), "servers": ("acme", "umbrella")},
    "a state": {
        "catalog": _catalog(),
        "servers": ("acme", "umbrella"),
        "state": _bookmarks("acme", "2026-01-20T00:00:00+00:00"),
    },
    "some columns": {
        "catalog": _catalog(("activities_call", "item_options"), ("tickets", "title"), ("queues", "title"))
    },
    "without the name of the instance": {"catalog": _catalog(*((name, "server") for name in ALL))},
    "replication key left out": {"catalog": _catalog(("tickets", "edited"), method="FULL_TABLE")},
    "a part of a column": {"catalog": _catalog(("activities_call", "item_options", "missedagentname"))},
    "maps": {
        "catalog": _catalog(),
        "stream_maps": {"tickets": {"title": "title.upper()", "__filter__": "title is not None"}, "queues": None},
    },
    "an alias": {"catalog": _catalog(), "stream_maps": {"queues": {"__alias__": "lines"}}},
    "flattening": {"catalog": _catalog(), "flattening_enabled": True, "flattening_max_depth": 2},
    "versions": {"catalog": _catalog(), "emit_activate_version_messages": True},
}


@pytest.mark.parametrize("case", CASES)
def test_pages_are_written_as_the_sdk_writes_records(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    expected = _written(simulator, monkeypatch, by_sdk=True, **CASES[case])
    written = _written(simulator, monkeypatch, by_sdk=False, **CASES[case])
    assert written.count(b'"type":"RECORD"') > 500
    assert written.count(b'"type":"STATE"') > 5
    lines = written.split(b"\n")
    # The SDK writes it elsewhere, at the start of a stream: tests/tap_daktela/test_activation.py.
    others = [line for line in lines if b'"type":"ACTIVATE_VERSION"' not in line]
    assert others == escaped(expected).split(b"\n")
    assert (b'"version":1772368215,' in written) is (case == "versions")


def escaped(lines: bytes) -> bytes:
    """Return lines with the only difference that there is: other line ends are escaped."""
    text = lines.decode()
    for mark, escape in (("\u2028", r"\u2028"), ("\u2029", r"\u2029"), ("\x85", r"\u0085")):
        assert mark in text
        text = text.replace(mark, escape)
    return text.encode()


@pytest.mark.parametrize(
    "more", [{}, {"stream_maps": {"tickets": {"map\u2028ped": "title"}}}], ids=["pages", "records"]
)
@pytest.mark.promise("T7")
def test_a_message_is_one_line_for_every_reader(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    written = _written(simulator, monkeypatch, by_sdk=False, catalog=_catalog(), **more)
    lines = written.decode().splitlines()
    assert len(lines) == written.count(b"\n")
    titles = [record.get("title") for line in lines if (record := json.loads(line).get("record"))]
    for mark in "\u2028\u2029\x85":
        assert any(mark in title for title in titles if title)


@given(st.lists(st.text(st.characters() | st.sampled_from("\u2027\u2028\u2029\u202a\u0084\u0085\u0086â€¨\xa0"))))
@pytest.mark.promise("T7")
def test_a_text_is_the_same_for_every_reader(texts: list[str]) -> None:
    output = _Output()
    with redirect_stdout(output):
        PageWriter().write_records("tickets", [{text: text} for text in texts], None, NOW)
    lines = output.bytes.getvalue().decode().splitlines()
    assert [json.loads(line)["record"] for line in lines] == [{text: text} for text in texts]


@pytest.mark.promise("T7")
def test_pages_of_any_size_are_written_completely() -> None:
    # Longer than several parts of the output. Some lines are longer than a part and consist of escaped characters.
    texts = [
        f"{number} {'é' * 70 * (number % 30)}" + "\u2028\x85\u2029" * (number % 7 == 0) for number in range(400)
    ]
    texts[200:200] = ["x" * offset + "\u2028" * 30_000 for offset in range(3)]
    output = _Output()
    with redirect_stdout(output):
        PageWriter().write_records("tickets", [{"text": text} for text in texts], None, NOW)
    lines = output.bytes.getvalue().decode().splitlines()
    assert [json.loads(line)["record"]["text"] for line in lines] == texts


def test_records_are_counted_as_by_the_sdk(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    counts = []
    for by_sdk in (True, False):
        caplog.clear()
        with caplog.at_level("INFO", "singer_sdk.metrics"):
            _written(simulator, monkeypatch, by_sdk=by_sdk, **CASES["two instances"])
        counts.append([each.message for each in caplog.records if '"metric":"record_count"' in each.message])
    assert len(counts[0]) == len(ALL)
    assert counts[0] == counts[1]


def test_a_page_is_handed_on_at_once(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = PageWriter.write_records

    def write(self: Any, stream: str, records: Any, *arguments: Any) -> None:
        calls.append(len(records))
        real(self, stream, records, *arguments)

    monkeypatch.setattr(PageWriter, "write_records", write)
    _written(simulator, monkeypatch, by_sdk=False, catalog=_catalog(streams=("tickets",)))
    assert sum(calls) > 100
    assert len(calls) < 10


@pytest.mark.parametrize(
    ("maps", "lost"),
    # With a map, the SDK reads all instances in one go.
    [({}, {"acme"}), ({"stream_maps": {"tickets": {"server": "server"}}}, {"acme", "umbrella"})],
)
@pytest.mark.promise("T2")
def test_values_that_are_nested_too_deeply_to_be_written_cost_their_stream_alone(
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    maps: dict[str, Any],
    lost: set[str],
) -> None:
    # Which values can be read and not be written again depends on how deep Python is at work already.
    written: set[tuple[str, str]] = set()
    write_records, write_message = PageWriter.write_records, PageWriter.write_message

    def note(stream: str, server: str) -> None:
        if (stream, server) == ("tickets", "acme"):
            raise RecursionError
        written.add((stream, server))

    def records(writer: Any, stream: str, records: Any, *arguments: Any) -> None:
        note(stream, msgspec.to_builtins(records[0])["server"])
        write_records(writer, stream, records, *arguments)

    def message(writer: Any, message: Any) -> None:
        if isinstance(message, RecordMessage):
            note(message.stream, message.record["server"])
        write_message(writer, message)

    monkeypatch.setattr(PageWriter, "write_records", records)
    monkeypatch.setattr(PageWriter, "write_message", message)
    instance = {"url": simulator.url, "access_token": simulator.access_token}
    instances = [{"server": server, **instance} for server in ("acme", "umbrella")]
    tap = TapDaktela(config={"instances": instances, "allow_http": True, **maps}, catalog=_catalog())
    what = f"tickets ({', '.join(sorted(lost))})"
    with pytest.raises(
        RunError,
        match=re.escape(f"not everything could be read: {what}: a value is nested too deeply to be written."),
    ):
        tap.sync_all()
    assert f"{what}: a value is nested too deeply to be written" in caplog.text
    assert {("queues", "acme"), ("users", "umbrella"), ("activities", "acme")} <= written
    assert ("tickets", "umbrella") in written or "umbrella" in lost
    marked = {
        each["context"]["server"]
        for each in tap.state["bookmarks"]["tickets"]["partitions"]
        if "replication_key_value" in each
    }
    assert marked == {"acme", "umbrella"} - lost


@pytest.mark.promise("T2")
def test_values_that_are_nested_too_deeply_to_be_read_cost_their_stream_alone(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read(mapper: RowMapper, rows: Any) -> Any:
        pages.append(len(rows))
        if len(pages) > 1:
            raise RecursionError
        return mapped(mapper, rows)

    pages: list[int] = []
    mapped = RowMapper.__call__
    monkeypatch.setattr(RowMapper, "__call__", read)
    with pytest.raises(RunError, match=r"not everything could be read: statuses \(acme\): a value "):
        _written(simulator, monkeypatch, by_sdk=False, catalog=_catalog(streams=("queues", "statuses")))
    assert "statuses (acme): a value is nested too deeply to be read" in caplog.text
