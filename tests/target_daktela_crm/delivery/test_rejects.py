"""The rejects file: each rejected record is one complete line."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tap_daktela.cli.errors import RunError
from target_daktela_crm.delivery.rejects import Rejects
from tests.simulator import Fault
from tests.target_daktela_crm.running import (
    COMMAND,
    Crm,
    contact,
    encoded,
    feed,
    finished,
    record,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulator import Simulator
    from tests.target_daktela_crm.running import Crm


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_line_that_is_written_in_parts_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, content: write(file, content[:7]))
    rejects = Rejects(tmp_path / "rejects.jsonl", max_rejects=10)
    for number in range(3):
        rejects.add("contacts", str(number), "it is wrong", {"id": number})
    rejects.close()
    assert [line["record"] for line in _lines(tmp_path / "rejects.jsonl")] == [
        {"id": number} for number in range(3)
    ]


def test_a_disk_that_becomes_full_within_a_line_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    rejects = Rejects(path, max_rejects=10)
    rejects.add("contacts", "1", "it is wrong", {"id": 1})
    before = path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (before + 20, limits[1]))
    try:
        with pytest.raises(RunError, match="cannot be written"):
            rejects.add("contacts", "2", "it is wrong", {"id": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        rejects.close()
    assert len(rejects) == 1
    assert path.stat().st_size == before + 20

    # The next run begins a new line.
    later = Rejects(path, max_rejects=10)
    later.add("contacts", "3", "it is wrong", {"id": 3})
    later.close()
    first, broken, last = path.read_text("utf-8").splitlines()
    assert [json.loads(line)["id"] for line in (first, last)] == ["1", "3"]
    assert len(broken) == 20


@pytest.mark.promise("S4")
def test_no_state_is_written_if_a_reject_is_written_only_in_part(crm: Crm) -> None:
    # Files may have at most a megabyte. The store is smaller, the record is larger.
    messages = encoded(feed(contact("", description="x" * 2_000_000), contact(7)))
    path = crm.folder / "config.json"
    path.write_text(json.dumps(crm.settings), "utf-8")
    command = ["sh", "-c", 'ulimit -f 2000; exec "$@"', "sh", *COMMAND, "--config", str(path)]
    process = subprocess.run(command, input=messages, capture_output=True, check=False, timeout=60)
    run = finished(process.returncode, process.stdout, process.stderr)
    assert run.code == 1
    [error] = run.errors
    assert "cannot be written" in error
    assert not run.states
    assert not crm.requests()

    # With enough space, everything is delivered or rejected.
    run = crm.run(messages)
    assert len(run.states) == 1
    assert [json.loads(line)["record"]["id"] for line in _whole_lines(crm.folder / "acme.rejects.jsonl")] == [""]
    assert list(crm.contacts()) == ["7"]


def _whole_lines(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line.endswith("}")]


def test_max_rejects_stops_an_endpoint_that_refuses_everything(crm: Crm, instance: Simulator) -> None:
    instance.faults.append(Fault("400", endpoint="sync", times=None))

    run = crm.run(feed(*(contact(number) for number in range(500))), max_rejects=10)

    assert run.code == 1
    assert not run.states
    assert len(crm.rejects()) == 11
    assert "max_rejects" in run.errors[0]
    assert crm.requests() < 60


def test_max_rejects_stops_a_run_whose_records_cannot_be_mapped(crm: Crm) -> None:
    run = crm.run(feed(*(record("contacts", name=f"{number}") for number in range(50))), max_rejects=10)

    assert run.code == 1
    assert not run.states
    assert len(crm.rejects()) == 11
    assert not crm.requests()
    assert run.summary["rejected"]["id: is missing"]["count"] == 11
    assert len(run.summary["rejected"]["id: is missing"]["ids"]) == 5


@pytest.mark.promise("S4")
def test_a_full_disk_for_the_rejects_is_reported_in_one_line(crm: Crm) -> None:
    run = crm.run(feed(contact("")), rejects_path="/dev/full")
    assert run.code == 1
    assert len(run.errors) == 1, run.log
    assert not run.states
