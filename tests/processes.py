"""Run commands as processes that start quickly: each is forked from a process that has imported all modules.

Importing the modules of the SDK takes most of the time of a short run. Two commands share nothing else.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.tap_daktela.quick", "tests.target_daktela_crm.quick"])


@dataclass
class Process:
    """A running command."""

    output: BinaryIO
    """Its standard output."""
    folder: Path
    """Its folder, which is deleted with it."""
    _process: ForkServerProcess

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid or 0

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def wait(self, seconds: float) -> int:
        """Return the exit code, negative for the signal that killed the process.

        Raises: TimeoutError: the process is still running.
        """
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise TimeoutError(f"still running after {seconds} s")
        return self._process.exitcode

    def log(self) -> str:
        """Return the content of standard error."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")


@contextmanager
def running(
    command: Callable[[], object],
    arguments: Iterable[str],
    *,
    lines: bytes = b"",
    files: Mapping[str, bytes] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Process]:
    """Run a command with `files` in its folder. `{folder}` in an argument stands for this folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in {"input": lines, **(files or {})}.items():
            (folder / file).write_bytes(content)
        given = [argument.replace("{folder}", str(folder)) for argument in arguments]
        reading, writing = _FORKS.Pipe(duplex=False)
        process = _FORKS.Process(target=_become, args=(command, given, folder, dict(environment or {}), writing))
        # In this process, since the new one may be killed immediately.
        (folder / "log").touch()
        process.start()
        writing.close()
        with os.fdopen(os.dup(reading.fileno()), "rb") as output:
            reading.close()
            try:
                yield Process(output, folder, process)
            finally:
                if process.exitcode is None:
                    process.kill()
                    process.join()
                process.close()


def _become(
    command: Callable[[], object],
    arguments: list[str],
    folder: Path,
    environment: dict[str, str],
    output: Connection,
) -> None:
    os.dup2(os.open(folder / "input", os.O_RDONLY), 0)
    os.dup2(output.fileno(), 1)
    output.close()
    os.dup2(os.open(folder / "log", os.O_WRONLY), 2)
    os.environ.update(environment)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.argv = ["command", *arguments]
    command()
