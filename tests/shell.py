"""A shell for the commands of the documentation."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.markdown import Command

TIMEOUT = 600
"""Maximum seconds of a command."""
_SHOWN_LINES = 80


class CommandError(Exception):
    """A command failed, or its output lacks a line of the page."""


@dataclass(frozen=True)
class Shell:
    """A bash whose working directory and exported variables persist between commands."""

    folder: Path
    """The first working directory."""
    environment: Mapping[str, str]
    state: Path
    """A folder for the state between commands."""

    def run(self, command: Command) -> str:
        """Run a command and return its output, standard error included.

        Raises:
            CommandError: the command failed, timed out, or its output lacks a line that the page shows.
        """
        directory, variables = self.state / "directory", self.state / "variables"
        script = [
            f"if [ -e {shlex.quote(str(variables))} ]; then source {shlex.quote(str(variables))}; fi",
            f"trap 'pwd > {shlex.quote(str(directory))}; export -p > {shlex.quote(str(variables))}' EXIT",
            command.text,
        ]
        start = directory.read_text(encoding="utf-8").rstrip("\n") if directory.exists() else str(self.folder)
        output, status = _bash("\n".join(script), start, self.environment)
        if status:
            raise CommandError(f"$ {command.text}\nended with exit code {status}:\n{_end(output)}")
        if missing := missing_lines(command.output, output):
            raise CommandError(f"$ {command.text}\ndid not print {missing!r}, but:\n{_end(output)}")
        return output


def missing_lines(shown: Sequence[str], output: str) -> list[str]:
    """Return the expected lines that an output lacks, in this order. `…` stands for any text."""
    lines = iter(output.splitlines())
    for number, line in enumerate(shown):
        pattern = ".*".join(re.escape(part) for part in re.split(r"\s*…\s*", line.strip()))
        if not any(re.fullmatch(pattern, printed.strip()) for printed in lines):
            return list(shown[number:])
    return []


def _bash(script: str, directory: str, environment: Mapping[str, str]) -> tuple[str, int]:
    """Return the output and the exit code of a script. All of its processes end with it."""
    with subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", script],  # noqa: S607 - as a reader starts it
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            return f"no end after {TIMEOUT} s", 124
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return output, process.returncode


def _end(output: str) -> str:
    return "\n".join(output.splitlines()[-_SHOWN_LINES:])
