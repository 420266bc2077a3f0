"""The simulator as a separate process."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import requests

from tests.simulator.__main__ import build, parser
from tests.simulator.asking import TIMEOUT
from tests.simulator.control import OPTIONS
from tests.simulator.dataset import Dataset
from tests.simulator.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = [sys.executable, "-m", "tests.simulator"]


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Return a process and its first line of output."""
    with subprocess.Popen([*COMMAND, "--port", "0", *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name, *pairs = process.stdout.readline().split()
        try:
            yield process, {"name": name} | dict(pair.split("=", 1) for pair in pairs)
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_its_url_serves_and_ends(number: signal.Signals) -> None:
    options = ("--activities", "120", "--tickets", "20", "--name", "brno", "--fault", "503:tickets:1")
    with running(*options) as (process, said):
        assert (said["name"], said["username"], said["password"]) == ("brno", "robot", "secret")
        asked = {"url": f"{said['url']}/api/v6/tickets.json", "headers": {"X-AUTH-TOKEN": said["token"]}}
        statuses = [requests.get(**asked, timeout=TIMEOUT).status_code for _ in range(2)]  # type: ignore[arg-type]
        assert statuses == [503, 200]
        state = requests.get(f"{said['url']}/__control__/state", timeout=TIMEOUT).json()
        assert state["tables"]["activities"] == 120
        process.send_signal(number)
        assert process.wait(TIMEOUT) == 0


def test_help_names_options_and_faults() -> None:
    text = parser().format_help()
    options = ("--port", "--activities", "--seed", "--latency", "--timezone", "--now", "--days", "--drift-every")
    assert all(option in text for option in options)
    # Names are broken at hyphens.
    unbroken = re.sub(r"\s+", "", text)
    assert "429-date" in unbroken
    assert "applied-timeout" in unbroken
    assert all(
        option in text for option in ("--sync-limit", "--sync-poison-status {400,422,200}", "--no-sync-keep")
    )


def test_options_reach_the_simulator() -> None:
    arguments = shlex.split(
        "--activities 50 --tickets 5 --seed 9 --latency 50 --timezone Europe/London --days 10 --build 2021 "
        "--now '2026-07-01 00:00:00' --burst '2026-06-30 10:00:00=7' --drift-every 3 --drift-edit 4 "
        "--drift-tables tickets groups --fault 500 --fault timeout:accounts:ever --total-as string --no-timezone "
        "--bom --prefix /p --token-uses 5 --username u --password p"
    )
    simulator = build(parser().parse_args(arguments))
    assert (simulator.latency, simulator.now, simulator.prefix) == (0.05, "2026-07-01 00:00:00", "/p")
    assert (simulator.username, simulator.password, simulator.token_uses) == ("u", "p", 5)
    assert (simulator.total_as, simulator.timezone_in_answer, simulator.bom) == ("string", False, True)
    assert (simulator.dataset.timezone, simulator.dataset.build, simulator.dataset.seed) == (
        "Europe/London",
        "2021",
        9,
    )
    assert len(simulator.dataset.tables["activities"]) == 57
    assert simulator.drift is not None
    assert (simulator.drift.every, simulator.drift.edit, simulator.drift.tables) == (3, 4, ["tickets", "groups"])
    assert [(fault.kind, fault.endpoint, fault.times) for fault in simulator.faults] == [
        ("500", None, 1),
        ("timeout", "accounts", None),
    ]


def test_options_of_the_synchronization_reach_it_too() -> None:
    few = ["--activities", "5", "--tickets", "5"]
    arguments = shlex.split(
        "--sync-path /s.php --sync-limit 99 --sync-contacts replace --sync-poison a 7 --sync-poison-status 422 "
        "--sync-answer text --sync-status 204 --no-sync-keep"
    )
    simulator = build(parser().parse_args([*few, *arguments]))
    assert (simulator.sync_path, simulator.sync_limit, simulator.sync_contacts) == ("/s.php", 99, "replace")
    assert (simulator.sync_poison, simulator.sync_poison_status) == ({"a", "7"}, 422)
    assert (simulator.sync_answer, simulator.sync_status, simulator.sync_keep) == ("text", 204, False)
    usual = build(parser().parse_args(few))
    plain = Simulator(Dataset())
    for option in OPTIONS:
        if option.startswith("sync_"):
            assert getattr(usual, option) == getattr(plain, option), option


@pytest.mark.parametrize("fault", ["418", "500:tickets:often"])
def test_a_wrong_fault_is_refused(fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--fault", fault])
    assert "--fault" in capsys.readouterr().err
