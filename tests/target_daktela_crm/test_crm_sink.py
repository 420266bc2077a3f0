"""What comes of records that skip the SDK's maps is what comes of them through the maps, byte for byte.

The same of records that need no mapping, with those among them that do.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from target_daktela_crm.receiver import Receiver
from target_daktela_crm.target import TargetDaktelaCrm
from tests.target_daktela_crm.running import company, contact, encoded, feed

if TYPE_CHECKING:
    from collections.abc import Iterator

TAPS = sorted((Path(__file__).parents[1] / "crm" / "taps").glob("*/messages.jsonl"))


def _fields(number: int | str) -> list[dict[str, Any]]:
    return [{"key": "number", "value": [f"+42060200{number}"]}, {"key": "email", "value": []}]


RECORDS = [
    company(1, description="text with \u00e1\u00e9 and \U0001f600"),
    company(2, fields=[{"key": "number", "value": ["+420601000001", 601000002]}]),
    *(contact(number, of=number % 3 + 1) for number in range(40)),
    contact(41, of=None, name=None),
    contact(7, of=2, name="Once more"),
    *(contact(number, of=number % 3 + 1, fields=_fields(number)) for number in range(50, 90)),
    company(3, fields=_fields(3)),
    company("3", fields=_fields(4), contacts=[{"id": 91, "name": "Inside"}]),
    contact(52, of=2, fields=_fields(92)),
    contact(53, of=2, fields=_fields("not a phone number")),
    contact(54, of=1, fields="neither a list nor an object"),
    contact(55, of={"id": 1}, fields=_fields(1)),
    contact("", of=1, fields=_fields(1)),
    contact(56, of=1, fields=_fields(1), _sdc_deleted_at="2026-01-01T00:00:00Z"),
    {"type": "RECORD", "stream": "contacts", "record": {"id": 57, "name": "without a company's column"}},
]


@pytest.fixture(params=[*TAPS, None], ids=lambda path: "native" if path is None else path.parent.name)
def given(request: pytest.FixtureRequest) -> Iterator[tuple[bytes, str]]:
    """Return an input and its preset."""
    path = request.param
    if path is None:
        yield encoded(feed(*RECORDS)), "daktela"
    else:
        yield path.read_bytes(), json.loads(path.with_name("expected.json").read_text("utf-8"))["preset"]


def _written(
    messages: bytes, preset: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any, *, short: bool
) -> dict[str, bytes]:
    """Return all output of a run except its log."""
    folder.mkdir()
    (folder / "messages.jsonl").write_bytes(messages)
    if not short:
        monkeypatch.setattr("target_daktela_crm.target._changes_nothing", lambda _maps: False)
    through_maps: list[Any] = []
    natively: list[Any] = []
    receive = Receiver.receive_native

    def receive_native(receiver: Receiver, *entity: Any) -> None:
        natively.append(entity)
        receive(receiver, *entity)

    def transform(_self: Any, record: Any) -> Any:
        through_maps.append(record)
        return record

    monkeypatch.setattr("singer_sdk.mapper.SameRecordTransform.transform", transform)
    monkeypatch.setattr(Receiver, "receive_native", receive_native)
    config = {"server": "acme", "access_token": "hush", "preset": preset, "dry_run": str(folder / "requests")}
    target = TargetDaktelaCrm(config={**config, "store_path": str(folder / "store.sqlite3"), "max_rejects": 100})
    with (folder / "messages.jsonl").open("rb") as file:
        try:
            target.listen(file)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - whatever it is, it has to be the same
            (folder / "error").write_text(str(error).replace(str(folder), ""), "utf-8")
    monkeypatch.undo()
    # Without a SCHEMA message, there are no maps.
    assert bool(through_maps) == (not short and b'"SCHEMA"' in messages)
    assert bool(natively) == (short and preset == "daktela")
    written = {path.name: path.read_bytes() for path in folder.rglob("*.json*") if path.name != "messages.jsonl"}
    if (folder / "error").exists():
        written["error"] = (folder / "error").read_bytes()
    return {**written, "state": capfd.readouterr().out.encode()}


def test_records_without_maps_have_the_same_result_as_through_the_sdk_s_maps(
    given: tuple[bytes, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    messages, preset = given
    by_sdk = _written(messages, preset, tmp_path / "sdk", monkeypatch, capfd, short=False)
    shortly = _written(messages, preset, tmp_path / "short", monkeypatch, capfd, short=True)

    assert shortly == by_sdk
    assert "request-00001.json" in shortly


@pytest.mark.parametrize("short", [True, False])
def test_the_sdk_s_metrics_count_every_record(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    short: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    with caplog.at_level("INFO", "singer_sdk.metrics"):
        _written(encoded(feed(*RECORDS)), "daktela", tmp_path / "run", monkeypatch, capfd, short=short)
    counts = [
        json.loads(each.message.removeprefix("METRIC: ")) for each in caplog.records if "METRIC" in each.message
    ]
    expected = Counter(each["stream"] for each in RECORDS)
    assert {
        each["tags"]["stream"]: each["value"] for each in counts if each["metric"] == "record_count"
    } == expected
