"""The table in the end: what it says is what the instance was asked and has answered."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tap_daktela.reading.run_metrics import StreamMetrics, as_table
from tests.logs import WITH_SUMMARY, summaries
from tests.simulator import Fault, Simulator, generate
from tests.tap_daktela.running import ROOT, run_command, run_tap, select, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.tap_daktela.running import Run

STREAMS = ("tickets", "queues", "activities_call")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(generate(activities=400, tickets=90, seed=5)) as instance:
        yield instance


def _summary(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]]
    [found] = summaries(run.log)
    return found


def test_metrics_count_rows_requests_retries_and_bytes(simulator: Simulator) -> None:
    simulator.faults.append(Fault("500", endpoint="tickets", times=2))

    run = run_tap(settings(simulator, page_size=20), catalog=select(*STREAMS), environment=WITH_SUMMARY)

    metrics = {cost["stream"]: cost for cost in _summary(run)}
    assert {name: cost["rows"] for name, cost in metrics.items()} == {
        name: len(run.records[name]) for name in STREAMS
    }
    asked = [request.endpoint for request in simulator.requests]
    of_tickets = asked.count("tickets")
    assert metrics["tickets"]["requests"] - of_tickets in {0, 1}, "the first stream asks who is signed in, too"
    assert metrics["tickets"]["retries"] == 2
    assert sum(cost["requests"] for cost in metrics.values()) == len(asked)
    assert all(cost["bytes"] > 50 * cost["rows"] for cost in metrics.values())
    assert all(cost["instance"] == "acme" and cost["seconds"] >= 0 for cost in metrics.values())


def test_metrics_are_logged_after_failures_and_not_with_a_quiet_log(simulator: Simulator) -> None:
    simulator.faults.append(Fault("403", endpoint="tickets", times=None))
    run = run_tap(settings(simulator), catalog=select(*STREAMS), environment=WITH_SUMMARY)
    assert run.code == 1
    assert {cost["stream"]: cost["rows"] for cost in _summary(run)}["tickets"] == 0

    quiet = run_tap(settings(simulator), catalog=select("queues"), environment={"TAP_DAKTELA_LOGLEVEL": "WARNING"})
    assert quiet.log == ""
    assert quiet.records["queues"]


STRUCTURED = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "singer_sdk.logging.StructuredFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
    "root": {"level": "INFO", "handlers": ["console"]},
}


def test_plain_logs_have_only_the_table(simulator: Simulator) -> None:
    run = run_tap(settings(simulator), catalog=select("queues"))
    assert "summary" not in run.log
    assert '"requests"' not in run.log
    assert run.log.count("  stream  instance  rows") == 1


def test_structured_logs_have_the_metrics_as_a_field(simulator: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "logging.json"
    path.write_text(json.dumps(STRUCTURED), "utf-8")

    run = run_tap(settings(simulator), catalog=select("queues"), environment={"SINGER_SDK_LOG_CONFIG": str(path)})

    # Each line is an object. Meltano shows its message, so that is the table.
    entries = [json.loads(line) for line in run.log.splitlines()]
    [entry] = [entry for entry in entries if "requests" in json.dumps(entry)]
    assert entry["message"].splitlines()[0].split()[:3] == ["stream", "instance", "rows"]
    [cost] = entry["extra"]["summary"]
    assert (cost["stream"], cost["rows"]) == ("queues", len(run.records["queues"]))


def test_a_table_has_sums_and_aligned_columns() -> None:
    metrics = [
        StreamMetrics("tickets", "acme", 1_200, 3, 0, 1_000_000, 1.25),
        StreamMetrics("activities_call", "emea", 30, 12, 1, 99, 0.5),
    ]
    assert as_table(metrics) == (
        "  stream           instance   rows  requests  retries      bytes  seconds\n"
        "  tickets          acme      1,200         3        0  1,000,000      1.2\n"
        "  activities_call  emea         30        12        1         99      0.5\n"
        "  all                        1,230        15        1  1,000,099      1.8"
    )


@pytest.mark.parametrize("end", ["2>&-", "2>/dev/full", "2> >(head -n1 >/dev/null)"])
def test_a_log_without_handlers_causes_no_failure(simulator: Simulator, tmp_path: Path, end: str) -> None:
    config, catalog = tmp_path / "config.json", tmp_path / "catalog.json"
    config.write_text(json.dumps(settings(simulator)), "utf-8")
    catalog.write_text(json.dumps(select("queues", "tickets")), "utf-8")
    command = f"{sys.executable} -m tests.tap_daktela.quick --config {config} --catalog {catalog} {end}"

    run = subprocess.run(["bash", "-c", command], cwd=ROOT, stdout=subprocess.PIPE, check=False)  # noqa: S607

    assert run.returncode == 0
    messages = [json.loads(line) for line in run.stdout.splitlines()]
    assert {message["stream"] for message in messages if message["type"] == "RECORD"} == {"queues", "tickets"}


def test_after_a_signal_the_metrics_include_the_interrupted_stream(simulator: Simulator) -> None:
    run = run_tap(
        settings(simulator, page_size=5),
        catalog=select("tickets"),
        stop_after=20,
        stop_with=signal.SIGTERM,
        environment=WITH_SUMMARY,
    )
    assert run.code == 143
    [cost] = _summary(run)
    assert cost["requests"] > 1
    assert cost["bytes"] > 50 * cost["rows"] > 0


def test_a_test_of_records_with_a_map_is_no_failure(simulator: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings(simulator, stream_maps={"queues": {"title": "str(name)"}})), "utf-8")
    run = run_command(["--config", str(path), "--test=records"])
    assert run.returncode == 0
    assert "stream_maps" not in run.stderr, "the SDK's own end of such a test is no failure of a map"
