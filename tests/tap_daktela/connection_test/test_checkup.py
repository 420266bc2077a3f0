"""`--test`: every failure of an instance is a line and an exit code, and the other instances are checked."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from tap_daktela.connection_test import checkup
from tap_daktela.connection_test.stream_check import StreamCheck
from tap_daktela.streams.definitions import STREAMS
from tap_daktela.tap import TapDaktela
from tests.simulator import Fault, Simulator, generate
from tests.tap_daktela.running import ROOT, run_command, run_tap, settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

NAMES = [stream.name for stream in STREAMS]


@pytest.fixture
def good() -> Iterator[Simulator]:
    with Simulator(generate(activities=60, tickets=20, seed=2)) as simulator:
        yield simulator


@pytest.fixture
def bad() -> Iterator[Simulator]:
    with Simulator(generate(activities=20, tickets=5, seed=2)) as simulator:
        yield simulator


def check(tmp_path: Path, config: Mapping[str, Any]) -> tuple[int, dict[str, list[str]], str]:
    """Return the exit code of `--test`, its lines by instance, and what it logged."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    result = run_command(["--config", str(path), "--test"])
    assert "Traceback" not in result.stderr
    lines: dict[str, list[str]] = {}
    for line in result.stdout.splitlines():
        name = line.partition(":")[0]
        if not line.startswith(" "):
            lines[name] = [line]
        else:
            lines[next(reversed(lines))].append(line.strip())
    return result.returncode, lines, result.stderr


def both(bad: Simulator, good: Simulator, **more: Any) -> dict[str, Any]:
    return {
        "instances": [settings(bad, server="bad"), settings(good, server="good")],
        "request_timeout": 5,
        **more,
    }


def assert_good(lines: list[str]) -> None:
    head, *streams = lines
    assert head.startswith("good: http://127.0.0.1:")
    assert [line.split()[0] for line in streams] == NAMES
    assert all(" ok: " in line for line in streams)


@pytest.mark.parametrize(
    "kind", ["404", "403", "400", "500", "401", "html", "502-html", "empty", "error-200", "reset"]
)
def test_an_instance_without_a_valid_answer_is_one_line_and_the_next_one_is_checked(
    bad: Simulator, good: Simulator, tmp_path: Path, kind: str
) -> None:
    bad.faults = [Fault(kind, "*", times=None)]
    code, lines, log = check(tmp_path, both(bad, good))
    assert code == 1
    assert list(lines) == ["bad", "good"], log
    assert len(lines["bad"]) == 1
    assert log.splitlines()[-1].endswith(f"| --test failed: {lines['bad'][0].rstrip('.')}")
    assert_good(lines["good"])


@pytest.mark.parametrize("status", ["404", "403", "400"])
def test_streams_that_cannot_be_read_have_a_line_each(bad: Simulator, tmp_path: Path, status: str) -> None:
    """`whoim` fails, too, so the time comes from the first stream that can be read."""
    bad.faults = [Fault(status, endpoint, times=None) for endpoint in ("whoim", "users", "accounts", "tickets")]
    code, lines, _ = check(tmp_path, settings(bad))
    assert code == 1
    head, *streams = lines["acme"]
    assert head.endswith("; Europe/Prague, 2026-03-10 11:00:00 UTC")
    assert [line.split()[0] for line in streams] == NAMES
    failed = [line.split()[0] for line in streams if "FAILED: " in line]
    assert failed == ["accounts", "tickets"]
    assert [line for line in streams if line.startswith("users ") and "not readable: " in line]


def test_the_last_line_of_a_failed_test_names_each_stream_that_cannot_be_read(
    bad: Simulator, tmp_path: Path
) -> None:
    bad.faults = [Fault("403", endpoint, times=None) for endpoint in ("accounts", "users", "queues")]
    code, _, log = check(tmp_path, settings(bad))
    assert code == 1
    last = log.splitlines()[-1]
    assert "| ERROR " in last
    assert "| --test failed: accounts (acme): Daktela answered 403 " in last
    assert "; queues (acme): Daktela answered 403 " in last
    assert "users" not in last


def test_a_start_date_in_the_future_fails_the_test(good: Simulator, tmp_path: Path) -> None:
    code, lines, log = check(tmp_path, settings(good, start_date="2062-01-01"))
    assert code == 1
    assert lines["acme"][0].startswith("acme: start_date, 2062-01-01, is in the future: ")
    assert "| --test failed: acme: start_date, 2062-01-01, is in the future: " in log.splitlines()[-1]


@pytest.mark.parametrize("credentials", [{}, {"access_token": None, "username": "robot", "password": "secret"}])
def test_a_url_with_a_wrong_path_is_one_line_that_says_so(
    good: Simulator, tmp_path: Path, credentials: dict[str, Any]
) -> None:
    config = {**settings(good), **credentials, "url": f"{good.url}/wrong"}
    code, lines, log = check(tmp_path, config)
    reason = (
        f"acme: {good.url}/wrong: all endpoints answered 404, so url probably does not lead to Daktela: its path"
    )
    assert code == 1
    [[line]] = lines.values()
    assert line.startswith(reason)
    run = run_tap(config)
    assert run.code == 1
    assert [error.startswith(reason) for error in run.errors] == [True, False]
    assert reason in run.errors[-1]
    assert reason in log.splitlines()[-1]


class Broken(StreamCheck):
    """Fails for tickets with an error that the tap does not expect."""

    @override
    def run(self) -> str:
        if self._stream.name == "tickets":
            raise KeyError("Jana Nováková")
        return super().run()


def test_an_unexpected_error_is_one_line(
    bad: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkup, "StreamCheck", Broken)
    tap = TapDaktela(config=settings(bad), setup_mapper=False)
    assert checkup.check_up(tap.instances.values(), STREAMS).causes() == (
        "tickets (acme): unexpected error (KeyError); please report it with the debug log"
    )
    output = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in output[1:]] == NAMES
    [line] = [line for line in output if "FAILED" in line]
    assert line.split(": ", 1) == [
        "  tickets              FAILED",
        "unexpected error (KeyError); please report it with the debug log",
    ]


def test_a_certificate_file_that_is_missing_is_one_line_for_each_instance(good: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    elsewhere = {"url": "https://127.0.0.1:9", "server": "elsewhere", "access_token": "x" * 40}
    path.write_text(json.dumps({"instances": [elsewhere, settings(good, server="good")]}))
    result = run_command(["--config", str(path), "--test"], {"REQUESTS_CA_BUNDLE": "/nonexistent.pem"})
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    first, *rest = result.stdout.splitlines()
    assert first.startswith("elsewhere: ")
    assert "/nonexistent.pem" in first
    assert rest[0].startswith("good: ")
    assert len(rest) == 1 + len(NAMES)


def test_wrong_stream_maps_are_lines_and_the_instances_are_checked(good: Simulator, tmp_path: Path) -> None:
    maps = {"ticket": None, "tickets": {"x": "len(title)"}}
    config = {"instances": [settings(good, server="good")], "stream_maps": maps}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    result = run_command(["--config", str(path), "--test"])
    assert result.returncode == 1
    first, second, *rest = result.stdout.splitlines()
    assert first == "stream_maps: no stream is called 'ticket'; did you mean tickets?"
    assert second.startswith("stream_maps: tickets.x: Function 'len' not defined;")
    assert_good([line.strip() for line in rest])


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_any_text_can_be_printed_in_any_encoding(bad: Simulator, tmp_path: Path, encoding: str) -> None:
    bad.dataset.tables["users"][0]["name"] = "Jiří Řehoř ☎"
    bad.faults = [Fault("400", "tickets", times=None, message="Neplatný požadavek: příliš žluťoučký kůň")]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings(bad)))
    result = subprocess.run(
        [sys.executable, "-m", "tests.tap_daktela.quick", "--config", str(path), "--test"],
        cwd=ROOT,
        env={"PYTHONIOENCODING": encoding, "PATH": ""},
        capture_output=True,
        check=False,
    )
    assert result.returncode == 1
    assert b"Traceback" not in result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == 1 + len(NAMES)
    [line] = [line for line in lines if b"FAILED" in line]
    assert b"Neplatn" in line


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_run_logs_any_text_in_any_encoding(bad: Simulator, tmp_path: Path, encoding: str) -> None:
    bad.faults = [Fault("400", "tickets", times=None, message="Neplatný požadavek: příliš žluťoučký kůň")]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings(bad)))
    result = subprocess.run(
        [sys.executable, "-m", "tests.tap_daktela.quick", "--config", str(path)],
        cwd=ROOT,
        env={"PYTHONIOENCODING": encoding, "PATH": ""},
        capture_output=True,
        check=False,
    )
    assert result.returncode == 1
    assert b"Traceback" not in result.stderr
    assert b"Logging error" not in result.stderr
    assert result.stderr.count(b"Neplatn") == 2
    records = [json.loads(line) for line in result.stdout.split(b"\n") if b'"stream":"accounts"' in line]
    assert len(records) == 1 + len(bad.dataset.tables["accounts"])


def test_a_reader_that_closes_the_pipe_ends_the_test_without_a_traceback(good: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings(good)))
    command = f"{sys.executable} -m tests.tap_daktela.quick --config {path} --test | head -1"
    result = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, check=False)  # noqa: S607
    assert result.stdout.startswith(b"acme: ")
    assert result.stdout.count(b"\n") == 1
    assert b"Traceback" not in result.stderr
    assert b"Exception" not in result.stderr
