"""What the tap writes page by page is what the SDK writes record by record, byte for byte."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk import Stream

from tap_daktela import stream as module
from tap_daktela.tap import TapDaktela
from tap_daktela.writer import PageWriter
from tests.simulator import Simulator, generate

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
ELEVEN = ("activities", "activities_call", "activities_email", "activities_web", "tickets", "queues", "statuses")


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
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, *, by_sdk: bool, catalog: Any = None, **config: Any
) -> bytes:
    output = _Output()
    monkeypatch.setattr("sys.stdout", output)
    for place in ("singer_sdk.streams.core.utc_now", "tap_daktela.stream.utc_now"):
        monkeypatch.setattr(place, lambda: NOW)
    monkeypatch.setattr(module.DaktelaStream, "STATE_MSG_FREQUENCY", 70)
    if by_sdk:
        monkeypatch.setattr(module.DaktelaStream, "_sync_records", Stream._sync_records)
    settings = {"url": simulator.url, "server": "acme", "access_token": simulator.access_token, "allow_http": True}
    tap = TapDaktela(config={**settings, "settle_minutes": 0, **config}, catalog=catalog)
    tap.sync_all()
    monkeypatch.undo()
    return output.bytes.getvalue()


def _catalog(*deselected: tuple[str, ...], streams: tuple[str, ...] = ELEVEN, method: str | None = None) -> Any:
    catalog = TapDaktela(config={"url": "https://acme.daktela.com", "access_token": "x"}).catalog_dict
    for entry in catalog["streams"]:
        if method is not None and entry.get("replication_key"):
            entry["replication_method"] = method
        for item in entry["metadata"]:
            place = item["breadcrumb"]
            if not place:
                item["metadata"]["selected"] = entry["tap_stream_id"] in streams
            elif (entry["tap_stream_id"], place[-1]) in deselected:
                item["metadata"]["selected"] = False
        parts = [each for each in deselected if len(each) > 2 and each[0] == entry["tap_stream_id"]]
        entry["metadata"] += [
            {"breadcrumb": ["properties", part[1], "properties", part[2]], "metadata": {"selected": False}}
            for part in parts
        ]
    return catalog


CASES: dict[str, dict[str, Any]] = {
    "all": {"catalog": _catalog()},
    "some columns": {
        "catalog": _catalog(("activities_call", "options"), ("tickets", "title"), ("queues", "title"))
    },
    "replication key left out": {"catalog": _catalog(("tickets", "edited"), method="FULL_TABLE")},
    "a part of a column": {"catalog": _catalog(("activities_call", "item_options", "missedagentname"))},
    "maps": {
        "catalog": _catalog(),
        "stream_maps": {"tickets": {"title": "title.upper()", "__filter__": "title is not None"}, "queues": None},
    },
    "an alias": {"catalog": _catalog(), "stream_maps": {"queues": {"__alias__": "lines"}}},
    "flattening": {"catalog": _catalog(), "flattening_enabled": True, "flattening_max_depth": 2},
}


@pytest.mark.parametrize("case", CASES)
def test_pages_are_written_as_the_sdk_writes_records(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    expected = _written(simulator, monkeypatch, by_sdk=True, **CASES[case])
    written = _written(simulator, monkeypatch, by_sdk=False, **CASES[case])
    assert written.count(b'"type":"RECORD"') > 500
    assert written.count(b'"type":"STATE"') > 5
    assert written.split(b"\n") == expected.split(b"\n")


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
