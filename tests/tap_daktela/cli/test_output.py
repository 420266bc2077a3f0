"""Standard output: parts of whole lines, written completely or not at all."""

from __future__ import annotations

import io
import os
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.cli import output
from tap_daktela.cli.output import OutputError, complete_output

LINES = b"".join(b"%d %s\n" % (number, b"x" * (number * 37 % 5000)) for number in range(400))


@given(st.lists(st.binary(max_size=50), max_size=40), st.binary(max_size=30), st.integers(1, 60))
def test_parts_are_whole_lines(lines: list[bytes], rest: bytes, size: int) -> None:
    content = b"".join(line.replace(b"\n", b"") + b"\n" for line in lines) + rest.replace(b"\n", b"")
    start, parts = 0, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "_PART", size)
        while start < len(content):
            end = output._end_of_part(content, start)
            parts.append(content[start:end])
            start = end
    assert b"".join(parts) == content
    for part in parts[:-1]:
        assert part.endswith(b"\n")
        assert len(part) <= size or part.count(b"\n") == 1, "longer than a part is only a single line"


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.promise("T7")
def test_all_bytes_are_written(monkeypatch: pytest.MonkeyPatch, *, blocking: bool) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, blocking)
    received: list[bytes] = []

    def read() -> None:
        received.extend(iter(lambda: os.read(reading, 999), b""))

    thread = threading.Thread(target=read)
    thread.start()
    # As with PYTHONUNBUFFERED.
    with io.TextIOWrapper(io.FileIO(writing, "w"), write_through=True) as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        with complete_output():
            assert sys.stdout.buffer.write(LINES) == len(LINES)
            print("žlutý kůň")  # noqa: T201 - what commands do
            assert sys.stdout.fileno() == writing
            assert not sys.stdout.isatty()
        assert sys.stdout is stdout
    thread.join()
    os.close(reading)
    assert b"".join(received) == LINES + "žlutý kůň\n".encode()


@pytest.mark.promise("T7")
def test_nothing_follows_a_write_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with open(writing, "w", encoding="utf-8") as stdout:  # noqa: PTH123 - a descriptor
        monkeypatch.setattr(sys, "stdout", stdout)
        with complete_output():
            sys.stdout.buffer.write(b"first\n")
            kept = os.dup(writing)
            os.dup2(os.open("/dev/full", os.O_WRONLY), writing)
            with pytest.raises(OutputError, match="No space left on device"):
                sys.stdout.buffer.write(b"second\n")
            os.dup2(kept, writing)
            with pytest.raises(OutputError, match="No space left on device"):
                print("third")  # noqa: T201 - what commands do
            os.close(kept)
    assert os.read(reading, 100) == b"first\n"
    os.close(reading)


@pytest.mark.promise("T7")
def test_closed_output_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with complete_output(), pytest.raises(OutputError, match="It is closed: connect it to a loader or a file"):
        print("text")  # noqa: T201 - what commands do


def test_text_that_the_terminal_cannot_show_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with open(writing, "w", encoding="cp1252") as stdout:  # noqa: PTH123 - a descriptor
        monkeypatch.setattr(sys, "stdout", stdout)
        with complete_output():
            print("kůň")  # noqa: T201 - what commands do
    assert os.read(reading, 100) == b"k\\u016f\\u0148\n"
    os.close(reading)


def test_output_in_memory_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = io.StringIO()
    monkeypatch.setattr(sys, "stdout", memory)
    with complete_output():
        print("text")  # noqa: T201 - what commands do
    assert memory.getvalue() == "text\n"


def test_an_output_error_ends_a_program_with_exit_code_1() -> None:
    # Handlers of `Exception`, such as the SDK's around each stream, do not catch it.
    assert not issubclass(OutputError, Exception)
    assert isinstance(OutputError(5).code, str), "Python prints a text and exits with 1"
