"""Progress: when a line is logged, its figures, and a bar that does not change standard output."""

from __future__ import annotations

import json
import logging
import os
import pty
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.cli.progress import INTERVAL, LogDisplay, Reporter, Task, format_duration, progress_line, reporter
from tests.simulator import Simulator, generate
from tests.tap_daktela.running import ROOT, select, settings

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logged(clock: Clock, caplog: pytest.LogCaptureFixture) -> tuple[Reporter, pytest.LogCaptureFixture]:
    """Return a reporter that writes to a log, and the log."""
    caplog.set_level(logging.INFO)
    return Reporter(LogDisplay(logging.getLogger("progress"), clock), clock), caplog


def test_a_line_has_count_total_rate_and_time_left() -> None:
    work = Task("activities_call (acme)", "rows", done=120_000, total=301_140, seconds=3.0)
    assert progress_line(work) == "activities_call (acme): 120,000 of 301,140 rows, 40,000 a second, 5 s left"


def test_a_line_without_a_total_has_count_and_rate() -> None:
    assert progress_line(Task("receiving", "records", done=10, seconds=4.0)) == "receiving: 10 records, 2 a second"


def test_a_total_below_the_count_is_replaced_by_the_count() -> None:
    line = progress_line(Task("users (acme)", "rows", done=12, total=10, seconds=1.0))
    assert line == "users (acme): 12 of 12 rows, 12 a second, 0 s left"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (3_599, "60 min"), (7_500, "2 h 5 min")]
)
def test_durations_have_units(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words


def test_a_line_is_logged_every_few_seconds_and_none_for_a_short_task(clock: Clock, logged: Any) -> None:
    progress, log = logged
    progress.begin("tickets (acme)", "rows", 1_000)
    for done in range(10):
        progress.update(done * 100)
        clock.now += 1
    progress.end()
    assert [record.message for record in log.records] == [
        "tickets (acme): 500 of 1,000 rows, 100 a second, 5 s left"
    ]
    progress.begin("users (acme)", "rows")
    clock.now += INTERVAL - 1
    progress.update(5)
    progress.end()
    assert len(log.records) == 1


@given(st.lists(st.floats(0.01, 20), max_size=30))
def test_lines_are_never_closer_than_the_interval(waits: list[float]) -> None:
    clock, logged_at = Clock(), []
    lines = LogDisplay(logging.getLogger("progress.close"), clock)
    lines.logger.info = lambda *_args, **_more: logged_at.append(clock.now)  # type: ignore[method-assign]
    progress = Reporter(lines, clock)
    progress.begin("calls", "rows")
    for count, wait in enumerate(waits):
        clock.now += wait
        progress.update(count)
    assert all(
        later - earlier >= INTERVAL for earlier, later in zip([1_000.0, *logged_at], logged_at, strict=False)
    )
    assert bool(logged_at) == (sum(waits) >= INTERVAL)


def test_figures_are_in_the_record_for_structured_logs(clock: Clock, logged: Any) -> None:
    progress, log = logged
    progress.begin("tickets (acme)", "rows")
    clock.now += 10
    progress.update(100, 300)
    [record] = log.records
    assert record.progress == {
        "what": "tickets (acme)",
        "done": 100,
        "total": 300,
        "unit": "rows",
        "rate": 10.0,
        "seconds": 10.0,
        "seconds_left": 20.0,
    }


def test_nothing_is_reported_if_the_log_level_is_above_info() -> None:
    quiet = logging.getLogger("progress.quiet")
    quiet.setLevel(logging.WARNING)
    assert reporter(quiet).display is None


@pytest.fixture(scope="module")
def slow() -> Any:
    """Return an instance with slow responses."""
    with Simulator(generate(activities=600, tickets=300, seed=3), latency=0.05) as instance:
        yield instance


def _on_a_terminal(config: Path, catalog: Path, **environment: str) -> tuple[bytes, str]:
    """Run the tap with a terminal for its standard error; return its output, and what the terminal got."""
    main, terminal = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        while True:
            try:
                part = os.read(main, 65_536)
            except OSError:
                return
            if not part:
                return
            shown.append(part)

    reading = threading.Thread(target=read)
    reading.start()
    command = [sys.executable, "-m", "tests.tap_daktela.quick", "--config", str(config), "--catalog", str(catalog)]
    run = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=terminal, cwd=ROOT, env={**os.environ, **environment}, check=True
    )
    os.close(terminal)
    reading.join()
    os.close(main)
    return run.stdout, b"".join(shown).decode()


def test_a_bar_is_drawn_on_a_terminal_and_standard_output_has_only_messages(
    slow: Simulator, tmp_path: Path
) -> None:
    config, catalog = tmp_path / "config.json", tmp_path / "catalog.json"
    config.write_text(json.dumps(settings(slow, page_size=20, settle_minutes=0)), "utf-8")
    catalog.write_text(json.dumps(select("tickets")), "utf-8")

    output, shown = _on_a_terminal(config, catalog, TERM="xterm-256color", COLUMNS="120", TAP_DAKTELA_LOGLEVEL="")

    assert {json.loads(line)["type"] for line in output.splitlines()} == {"SCHEMA", "RECORD", "STATE"}
    assert "\x1b[?25l" in shown, "no bar was drawn"
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "the cursor is left hidden"
    records = sum(line.startswith(b'{"type":"RECORD"') for line in output.splitlines())
    assert f"of {records} rows" in shown
    assert f"tickets (acme): {records} records" in shown

    for quiet in ({"TERM": "dumb"}, {"TERM": "xterm", "TAP_DAKTELA_LOGLEVEL": "WARNING"}):
        assert "\x1b[" not in _on_a_terminal(config, catalog, **quiet)[1]
