"""Termination signals, in processes of their own: the first one ends the program, later ones have no effect."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tap_daktela.cli.signals import Terminated, Termination
from tests.tap_daktela.running import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = """
import signal, sys, time
from tap_daktela.cli.signals import Terminated, termination
{before}
termination.install()
try:
    {body}
except Terminated as error:
    print(error.signal, flush=True)
    {handling}
    raise
finally:
    termination.acknowledge()
"""
READ = "print('ready', flush=True); sys.stdin.read(); print('read', flush=True)"


@contextmanager
def program(body: str = READ, handling: str = "pass", before: str = "") -> Iterator[subprocess.Popen[str]]:
    """Start a program that is ready to be ended."""
    text = PROGRAM.format(body=body, handling=handling, before=before)
    with subprocess.Popen(
        [sys.executable, "-c", text],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_program_that_waits(number: signal.Signals) -> None:
    with program() as process:
        process.send_signal(number)
        assert process.wait(60) == 128 + number
        assert ended(process) == (128 + number, f"{number.name}\n", "")


def test_further_signals_do_not_interrupt_the_handling_of_the_first() -> None:
    handling = "sys.stdin.readline(); print('handled', flush=True)"
    with program(handling=handling) as process:
        assert process.stdout is not None
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "SIGTERM\n"
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            process.send_signal(number)
        assert ended(process) == (128 + signal.SIGTERM, "handled\n", "")


def test_a_signal_waits_for_check_where_it_is_deferred() -> None:
    body = f"""
    with termination.deferred():
        {READ}
        print(termination.number, flush=True)
        termination.check()
        print('not reached')
    """
    with program(body.strip()) as process:
        process.send_signal(signal.SIGTERM)
        # More than one interrupted system call.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        assert ended(process) == (143, "read\n15\nSIGTERM\n", "")


def test_a_signal_after_the_end_has_no_effect() -> None:
    body = "termination.acknowledge(); " + READ
    with program(body) as process:
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        assert ended(process) == (0, "read\n", "")


def test_a_program_that_does_not_end_is_ended() -> None:
    # The program catches all exceptions.
    body = f"""
    try:
        {READ}
    except BaseException:
        sys.stdin.read()
        print('read on', flush=True)
    """
    with program(body.strip()) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
        code, output, errors = ended(process)
    assert code == 143
    assert not output
    assert errors.startswith("SIGTERM: the command has not ended")


def test_a_signal_ends_a_program_whose_log_is_not_read() -> None:
    body = "print('ready', flush=True); sys.stderr.write('x' * 1_000_000)"
    with program(body) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    with program(before="signal.signal(signal.SIGHUP, signal.SIG_IGN)") as process:
        process.send_signal(signal.SIGHUP)
        assert ended(process) == (0, "read\n", "")


def test_without_a_signal_check_does_nothing() -> None:
    termination = Termination()
    termination.check()
    with termination.deferred():
        termination.check()
    assert Terminated(2).signal == "SIGINT"
    assert Terminated(2).code == 130
