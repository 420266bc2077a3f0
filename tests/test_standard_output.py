"""Standard output and signals, for both commands as processes: what a reader gets, and the exit code."""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import signal
import subprocess
import sys
import termios
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator import Fault, Simulator, generate
from tests.tap_daktela import original
from tests.tap_daktela.running import ROOT, Run, settings
from tests.target_daktela_crm.running import contact, encoded, feed, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

SECONDS = 60
PIPE = 65_536
_MOMENT = 0.5
"""Seconds in which a command does what it does about a signal."""
TAP, TARGET = "tap_daktela", "target_daktela_crm"
UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
DATA = generate(activities=1500, tickets=150, seed=1)
# The SDK writes these one by one.
FLATTENED = {"flattening_enabled": True, "flattening_max_depth": 1}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(DATA) as instance:
        yield instance


@dataclass
class Command:
    """A command that runs, and the reader's end of its standard output."""

    process: subprocess.Popen[bytes]
    reader: int
    folder: Path

    def send(self, *numbers: signal.Signals) -> None:
        """Send signals, 10 ms apart as Meltano does."""
        for number in numbers:
            self.process.send_signal(number)
            time.sleep(0.01)

    def read(self, size: int = PIPE) -> bytes:
        """Return what can be read of its output, nothing at its end."""
        return os.read(self.reader, size)

    def read_all(self) -> bytes:
        """Return the rest of its output."""
        return b"".join(iter(self.read, b""))

    def fills_pipe(self) -> None:
        """Wait until the pipe of its output is full: half of its memory at least, and nothing more comes."""
        before = -1
        while self.unread() < PIPE // 2 or self.unread() != before:
            before = self.unread()
            time.sleep(0.2)

    def unread(self) -> int:
        """Return how many bytes of its output are not read yet."""
        count = bytearray(4)
        fcntl.ioctl(self.reader, termios.FIONREAD, count)
        return int.from_bytes(count, sys.byteorder)

    def wait(self) -> int:
        """Return its exit code."""
        return self.process.wait(SECONDS)

    def log(self) -> str:
        """Return its log; nothing that it does is a traceback."""
        text = (self.folder / "log").read_text("utf-8")
        assert "Traceback" not in text, text
        assert "Exception ignored" not in text, text
        return text

    def errors(self) -> list[str]:
        """Return the texts of the log's errors."""
        return Run(0, self.log(), []).errors


@contextmanager
def started(
    module: str,
    config: Mapping[str, Any],
    folder: Path,
    *arguments: str,
    lines: bytes = b"",
    blocking: bool = True,
    filled: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Command]:
    """Start a command whose output is a pipe, which may be non-blocking, or full from the beginning."""
    reader, writer = os.pipe()
    if filled:
        os.set_blocking(writer, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writer, b"." * 4096)
    os.set_blocking(writer, blocking)
    with process(module, config, folder, *arguments, lines=lines, output=writer, environment=environment) as child:
        os.close(writer)
        try:
            yield Command(child, reader, folder)
        finally:
            os.close(reader)


@contextmanager
def process(
    module: str,
    config: Mapping[str, Any],
    folder: Path,
    *arguments: str,
    output: int,
    lines: bytes = b"",
    prepare: Callable[[], None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command that writes its output to a file descriptor."""
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    (folder / "input").write_bytes(lines)
    command = [sys.executable, "-m", module, "--config", str(folder / "config.json"), *arguments]
    variables = {name: value for name, value in os.environ.items() if name not in UNBUFFERED}
    with (
        (folder / "input").open("rb") as given,
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**variables, **(environment or {})},
            stdin=given,
            stdout=output,
            stderr=log,
            preexec_fn=prepare,  # noqa: PLW1509 - nothing else can limit or close the child's files
        ) as child,
    ):
        try:
            yield child
        finally:
            child.kill()


def messages(output: bytes) -> list[dict[str, Any]]:
    """Return the messages of an output of whole lines."""
    assert not output or output.endswith(b"\n"), output[-200:]
    return [json.loads(line) for line in output.split(b"\n")[:-1]]


def comparable(output: bytes) -> list[bytes]:
    """Return the lines of an output without the time at which each run read."""
    messages(output)
    return re.sub(rb',"time_extracted":"[^"]*"', b"", output).split(b"\n")


def kinds(output: bytes) -> set[str]:
    return {message["type"] for message in messages(output)}


# The tap: nothing is lost, whatever reads it.


@pytest.fixture(scope="module")
def expected(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """Return what a reader gets that reads everything at once, by the path on which the records are written."""
    runs = {}
    for name, more in (("pages", {}), ("records", FLATTENED)):
        with started(TAP, settings(simulator, **more), tmp_path_factory.mktemp(name)) as tap:
            runs[name] = tap.read_all()
            assert tap.wait() == 0
    assert len(runs["pages"]) > 10 * PIPE
    return runs


@pytest.mark.parametrize(
    ("path", "how"),
    [
        ("pages", {"environment": UNBUFFERED}),
        ("records", {"environment": UNBUFFERED}),
        ("pages", {"blocking": False}),
        ("records", {"blocking": False, "environment": UNBUFFERED}),
    ],
    ids=str,
)
@pytest.mark.promise("T7")
def test_a_slow_reader_and_a_stopped_process_lose_nothing(
    simulator: Simulator, expected: Mapping[str, bytes], tmp_path: Path, path: str, how: dict[str, Any]
) -> None:
    more = FLATTENED if path == "records" else {}
    output = b""
    with started(TAP, settings(simulator, **more), tmp_path, **how) as tap:
        tap.fills_pipe()
        for number, part in enumerate(iter(lambda: tap.read(10_007), b"")):
            output += part
            if number % 10 == 0:
                tap.send(signal.SIGSTOP, signal.SIGCONT)
        assert tap.wait() == 0
        assert not tap.errors()
    assert comparable(output) == comparable(expected[path])
    assert kinds(output) == {"SCHEMA", "RECORD", "STATE"}


@pytest.mark.promise("T7")
def test_a_non_blocking_pipe_gets_the_whole_catalog(tmp_path: Path) -> None:
    with started(TAP, {}, tmp_path, "--discover", blocking=False, environment=UNBUFFERED) as tap:
        tap.fills_pipe()
        assert len(json.loads(tap.read_all())["streams"]) > 10
        assert tap.wait() == 0


# A write that fails.

FULL, CLOSED, GONE, LIMITED = "full disk", "closed", "closed by the reader", "largest file"
REASONS = {
    FULL: "No space left on device",
    CLOSED: "Bad file descriptor",
    GONE: "Broken pipe",
    LIMITED: "File too large",
}


@contextmanager
def failing(
    kind: str, module: str, config: Mapping[str, Any], folder: Path, *arguments: str, **more: Any
) -> Iterator[Command]:
    """Start a command whose output fails, some of it after a number of bytes."""
    reader, writer = os.pipe()
    os.close(reader)
    prepare = None
    if kind in {FULL, LIMITED}:
        os.close(writer)
        writer = os.open("/dev/full" if kind == FULL else folder / "output", os.O_WRONLY | os.O_CREAT)
    if kind == LIMITED:

        def prepare() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    elif kind == CLOSED:

        def prepare() -> None:
            os.close(1)

    with process(module, config, folder, *arguments, output=writer, prepare=prepare, **more) as child:
        os.close(writer)
        yield Command(child, -1, folder)


@pytest.mark.parametrize(
    ("kind", "environment"),
    [*((kind, {}) for kind in REASONS), (FULL, UNBUFFERED), (LIMITED, UNBUFFERED)],
    ids=str,
)
@pytest.mark.promise("T7")
def test_a_failed_write_ends_the_tap_with_one_line(
    simulator: Simulator, tmp_path: Path, kind: str, environment: Mapping[str, str]
) -> None:
    with failing(kind, TAP, settings(simulator), tmp_path, environment=environment) as tap:
        assert tap.wait() == 1
        [line] = tap.errors()
    assert line.startswith(f"cannot write to standard output ({REASONS[kind]}). ")
    if kind == LIMITED:
        output = (tmp_path / "output").read_bytes()
        assert len(output) == 100_000
        complete, _, rest = output.rpartition(b"\n")
        assert messages(complete + b"\n")
        assert b'"type":"STATE"' not in rest, "nothing follows an incomplete line"


@pytest.mark.parametrize("more", [{}, FLATTENED], ids=["pages", "records"])
@pytest.mark.promise("T7")
def test_a_reader_that_goes_away_ends_the_tap_with_one_line(
    simulator: Simulator, tmp_path: Path, more: dict[str, Any]
) -> None:
    with started(TAP, settings(simulator, **more), tmp_path) as tap:
        while b'"type":"RECORD"' not in tap.read():
            pass
        os.dup2(os.open(os.devnull, os.O_RDONLY), tap.reader)
        assert tap.wait() == 1
        [line] = tap.errors()
    assert line.startswith("cannot write to standard output (Broken pipe). ")


@pytest.mark.parametrize(
    ("kind", "argument"),
    [
        (FULL, "--discover"),
        (FULL, "--test"),
        (CLOSED, "--test"),
        (GONE, "--test"),
        (FULL, "--about"),
        (GONE, "--help"),
    ],
)
@pytest.mark.promise("T7")
def test_a_failed_write_of_text_is_one_line(
    simulator: Simulator, tmp_path: Path, kind: str, argument: str
) -> None:
    with failing(kind, TAP, settings(simulator), tmp_path, argument) as tap:
        assert tap.wait() == 1
        [line] = tap.errors()
    assert f"({REASONS[kind]})" in line


# Signals.

TERM, BOTH = (signal.SIGTERM,), (signal.SIGINT, signal.SIGTERM)
HANGUP, REPEATED = (signal.SIGHUP,), (signal.SIGTERM, signal.SIGTERM, signal.SIGTERM)


def ids(numbers: tuple[signal.Signals, ...]) -> str:
    return "+".join(number.name for number in numbers)


@pytest.mark.parametrize(
    ("numbers", "how", "more"),
    [
        (TERM, {}, {}),
        (HANGUP, {}, {}),
        (BOTH, {"environment": UNBUFFERED}, {}),
        (BOTH, {"blocking": False}, {}),
        (REPEATED, {}, FLATTENED),
    ],
    ids=str,
)
@pytest.mark.promise("T7")
def test_a_signal_at_a_full_pipe_ends_with_a_state(
    simulator: Simulator,
    tmp_path: Path,
    numbers: tuple[signal.Signals, ...],
    how: dict[str, Any],
    more: dict[str, Any],
) -> None:
    config = settings(simulator, page_size=100, **more)
    with started(TAP, config, tmp_path, **how) as tap:
        # In the middle of a stream that has a bookmark.
        output = b"".join(tap.read(PIPE) for _ in range(4))
        tap.fills_pipe()
        tap.send(*numbers)
        output += tap.read_all()
        assert tap.wait() == 128 + numbers[0]
        assert f"stopped by {numbers[0].name}" in tap.log()
    first = messages(output)
    assert first[-1]["type"] == "STATE"
    (tmp_path / "state.json").write_text(json.dumps(first[-1]["value"]), "utf-8")
    with started(TAP, config, tmp_path, "--state", str(tmp_path / "state.json")) as tap:
        second = messages(tap.read_all())
        assert tap.wait() == 0
    assert keys(first, "activities") < keys(first, "activities") | keys(second, "activities")
    for stream in original.DEFAULT:
        assert keys(first, stream) | keys(second, stream) == original.keys(DATA, stream), stream


def keys(found: list[dict[str, Any]], stream: str) -> set[tuple[Any, ...]]:
    run = Run(0, "", found)
    return set(run.keys(stream)) if stream in run.schemas else set()


@pytest.mark.promise("T7")
def test_after_a_signal_the_exit_code_is_the_signal_s_also_if_the_loader_ends(
    simulator: Simulator, tmp_path: Path
) -> None:
    with started(TAP, settings(simulator), tmp_path) as tap:
        tap.fills_pipe()
        tap.send(signal.SIGINT)
        # Ctrl-C ends the loader, too.
        os.dup2(os.open(os.devnull, os.O_RDONLY), tap.reader)
        assert tap.wait() == 128 + signal.SIGINT
        [line] = tap.errors()
    assert line.startswith("cannot write to standard output (Broken pipe). ")


@pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "non-blocking"])
@pytest.mark.promise("T7")
def test_a_signal_ends_a_tap_that_is_never_read(simulator: Simulator, tmp_path: Path, *, blocking: bool) -> None:
    with started(TAP, settings(simulator), tmp_path, blocking=blocking) as tap:
        tap.fills_pipe()
        tap.send(signal.SIGINT, signal.SIGTERM)
        assert tap.wait() == 128 + signal.SIGINT
        assert "SIGINT: the command has not ended, and standard output has taken nothing" in tap.log()
        output = tap.read_all()
    complete, _, rest = output.rpartition(b"\n")
    assert messages(complete + b"\n")
    assert b'"type":"STATE"' not in rest, "nothing follows an incomplete line"


@pytest.mark.parametrize(
    ("size", "pause"),
    # Less than the pipe's unit of memory, which takes no byte until it is empty; and what is filled again at once.
    [(100, 0.25), (4096, 1.2)],
)
@pytest.mark.promise("T7")
def test_a_signal_leaves_time_to_a_very_slow_reader(
    simulator: Simulator, tmp_path: Path, size: int, pause: float
) -> None:
    with started(TAP, settings(simulator), tmp_path) as tap:
        tap.fills_pipe()
        tap.send(signal.SIGTERM)
        output = b""
        end = time.monotonic() + 9
        while time.monotonic() < end:
            output += tap.read(size)
            time.sleep(pause)
        output += tap.read_all()
        assert tap.wait() == 128 + signal.SIGTERM
        tap.log()
    assert messages(output)[-1]["type"] == "STATE"


@pytest.mark.promise("T7")
def test_the_time_of_a_stopped_process_does_not_count(simulator: Simulator, tmp_path: Path) -> None:
    with started(TAP, settings(simulator), tmp_path) as tap:
        tap.fills_pipe()
        tap.send(signal.SIGTERM)
        time.sleep(_MOMENT)
        tap.send(signal.SIGSTOP)
        time.sleep(6)
        tap.send(signal.SIGCONT)
        output = tap.read_all()
        assert tap.wait() == 128 + signal.SIGTERM
        tap.log()
    assert messages(output)[-1]["type"] == "STATE"


@pytest.mark.parametrize(
    ("argument", "numbers"),
    [("--test", (signal.SIGINT,)), ("--test", BOTH), ("--discover", BOTH), ("--test=schema", TERM)],
    ids=str,
)
def test_a_signal_ends_the_other_commands_of_the_tap(
    tmp_path: Path, argument: str, numbers: tuple[signal.Signals, ...]
) -> None:
    faults = [Fault("timeout", "*", times=None, hang=60)]
    with (
        Simulator(generate(activities=10, tickets=5, seed=1), faults=faults) as simulator,
        started(TAP, settings(simulator), tmp_path, argument, filled=argument != "--test") as tap,
    ):
        wait_until(lambda: bool(simulator.requests) or argument != "--test")
        if argument != "--test":
            wait_until(lambda: "Skipping parse" in tap.log())
        tap.send(*numbers)
        output = tap.read_all()
        assert tap.wait() == 128 + numbers[0]
        assert f"stopped by {numbers[0].name}" in tap.log()
    assert b"STATE" not in output


@pytest.mark.parametrize("numbers", [TERM, BOTH], ids=ids)
@pytest.mark.promise("T7")
def test_a_signal_ends_a_tap_whose_server_does_not_answer(
    tmp_path: Path, numbers: tuple[signal.Signals, ...]
) -> None:
    faults = [Fault("timeout", "accounts", times=None, hang=60)]
    with (
        Simulator(generate(activities=10, tickets=5, seed=1), faults=faults) as simulator,
        started(TAP, settings(simulator), tmp_path) as tap,
    ):
        wait_until(lambda: any(request.endpoint == "accounts" for request in simulator.requests))
        tap.send(*numbers)
        output = tap.read_all()
        assert tap.wait() == 128 + numbers[0]
        tap.log()
    assert messages(output)[-1]["type"] == "STATE"


# Python prints, and loses, an exception in a destructor. Its import system has such callbacks, too.
_HOOK = """
import os, sys
class Waiting:
    def __del__(self):
        open(os.environ["WAIT_FOR"]).read()
class Hook:
    def find_spec(name, *_):
        if name == "singer_sdk":
            Waiting()
sys.meta_path.insert(0, Hook)
"""


@pytest.mark.parametrize("module", [TAP, TARGET])
@pytest.mark.parametrize("numbers", [TERM, BOTH], ids=ids)
def test_a_signal_during_the_imports_is_no_traceback(
    tmp_path: Path, module: str, numbers: tuple[signal.Signals, ...]
) -> None:
    (tmp_path / "sitecustomize.py").write_text(_HOOK, "utf-8")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    environment = {"PYTHONPATH": str(tmp_path), "WAIT_FOR": str(fifo)}
    with started(module, {}, tmp_path, environment=environment) as command:
        with fifo.open("w"):
            command.send(*numbers)
            time.sleep(_MOMENT)
        assert command.wait() == 128 + numbers[0]
        assert not command.log()
        assert not command.read_all()


@pytest.mark.parametrize("numbers", [BOTH, TERM], ids=ids)
@pytest.mark.parametrize("module", [TAP, TARGET])
def test_a_signal_while_the_configuration_is_read_is_no_traceback(
    tmp_path: Path, module: str, numbers: tuple[signal.Signals, ...]
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with started(module, {}, tmp_path, "--config", str(fifo)) as command:
        with fifo.open("w"):
            command.send(*numbers)
            assert command.wait() == 128 + numbers[0]
        assert f"stopped by {numbers[0].name}" in command.log()
        assert not command.read_all()


# The target.


def target_settings(simulator: Simulator, folder: Path) -> dict[str, Any]:
    return settings(simulator, store_path=str(folder / "acme.sqlite3"))


ODD = "line\u2028separator, paragraph\u2029separator, next\u0085line, ž"
INPUT = encoded(feed(contact(7), bookmark=ODD))
STATE = {"bookmarks": {"contacts": {"replication_key_value": ODD}}}


@pytest.mark.parametrize("how", [{}, {"blocking": False, "environment": UNBUFFERED}], ids=str)
@pytest.mark.promise("T7")
def test_the_state_waits_for_its_reader_and_is_one_line(
    simulator: Simulator, tmp_path: Path, how: dict[str, Any]
) -> None:
    config = target_settings(simulator, tmp_path)
    with started(TARGET, config, tmp_path, lines=INPUT, filled=True, **how) as target:
        wait_until(lambda: "Sync to http" in target.log())
        output = target.read_all()
        assert target.wait() == 0
        assert not target.errors()
    [line] = output.decode().lstrip(".").splitlines()
    assert json.loads(line) == STATE


@pytest.mark.parametrize(
    ("kind", "environment"), [(FULL, {}), (CLOSED, {}), (GONE, {}), (FULL, UNBUFFERED)], ids=str
)
@pytest.mark.promise("T7")
def test_a_state_that_cannot_be_written_is_one_line(
    tmp_path: Path, kind: str, environment: Mapping[str, str]
) -> None:
    with Simulator(generate(activities=10, tickets=5, seed=1)) as simulator:
        config = target_settings(simulator, tmp_path)
        with failing(kind, TARGET, config, tmp_path, lines=INPUT, environment=environment) as target:
            assert target.wait() == 1
            [line] = target.errors()
        assert list(simulator.crm.contacts) == ["7"]
    assert line.startswith(f"cannot write to standard output ({REASONS[kind]}). ")
    assert "The state was not written" in line


@pytest.mark.parametrize("argument", ["--explain", "--status"])
@pytest.mark.promise("T7")
def test_a_failed_write_of_the_target_s_text_is_one_line(
    simulator: Simulator, tmp_path: Path, argument: str
) -> None:
    config = target_settings(simulator, tmp_path)
    with started(TARGET, config, tmp_path, lines=INPUT) as target:
        assert target.wait() == 0
    with failing(FULL, TARGET, config, tmp_path, argument, lines=INPUT) as target:
        assert target.wait() == 1
        [line] = target.errors()
    assert "(No space left on device)" in line


@pytest.mark.parametrize("numbers", [TERM, BOTH], ids=ids)
@pytest.mark.promise("T7")
def test_a_signal_cuts_no_state_off(
    simulator: Simulator, tmp_path: Path, numbers: tuple[signal.Signals, ...]
) -> None:
    config = target_settings(simulator, tmp_path)
    with started(TARGET, config, tmp_path, lines=INPUT, filled=True) as target:
        wait_until(lambda: "Sync to http" in target.log())
        # Until it waits for the pipe, there is no state yet.
        time.sleep(_MOMENT)
        target.send(*numbers)
        output = target.read_all().lstrip(b".")
        assert target.wait() == 128 + numbers[0]
        target.log()
    assert output.endswith(b"\n")
    assert json.loads(output) == STATE


@pytest.mark.promise("T7")
def test_a_signal_ends_a_target_that_is_never_read(simulator: Simulator, tmp_path: Path) -> None:
    config = target_settings(simulator, tmp_path)
    with started(TARGET, config, tmp_path, lines=INPUT, filled=True) as target:
        wait_until(lambda: "Sync to http" in target.log())
        time.sleep(_MOMENT)
        target.send(signal.SIGINT, signal.SIGTERM)
        assert target.wait() == 128 + signal.SIGINT
        target.log()
        assert not target.read_all().lstrip(b".")


@pytest.mark.parametrize("numbers", [TERM, BOTH, HANGUP, REPEATED], ids=ids)
@pytest.mark.promise("S2")
def test_signals_while_a_request_waits_end_the_target_without_a_state(
    tmp_path: Path, numbers: tuple[signal.Signals, ...]
) -> None:
    faults = [Fault("timeout", "sync", times=None, hang=60)]
    with Simulator(generate(activities=10, tickets=5, seed=1), faults=faults) as simulator:
        config = target_settings(simulator, tmp_path)
        with started(TARGET, config, tmp_path, lines=INPUT) as target:
            wait_until(lambda: any(request.endpoint == "sync" for request in simulator.requests))
            target.send(*numbers)
            assert target.wait() == 128 + numbers[0]
            assert f"{numbers[0].name}: nothing more is sent" in target.log()
            assert not target.read_all()
        assert sum(request.endpoint == "sync" for request in simulator.requests) == 1
