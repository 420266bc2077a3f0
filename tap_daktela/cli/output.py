"""Standard output: write all bytes, in whole lines, or fail with one message.

`sys.stdout` itself does not ensure that. With PYTHONUNBUFFERED, `sys.stdout.buffer` is the file itself, whose
`write` may write only some of the bytes, for example after SIGSTOP. If a parent process has made the pipe
non-blocking, as some Node.js programs do, a full pipe is an error. And if a write fails, Python tries it once more
when the interpreter exits, and prints a traceback.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from typing_extensions import override

from tap_daktela.cli.signals import termination

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer

_PART = 65_536
"""Bytes between two checks for a signal, each at the end of a line. A pipe of Linux holds this many."""
_WAIT_SECONDS = 0.5

_ADVICE = {
    errno.EPIPE: "The loader or orchestrator that reads it closed its input: see its messages",
    errno.EBADF: "It is closed: connect it to a loader or a file",
    errno.ENOSPC: "Free some disk space, then run again",
    errno.EDQUOT: "Free some disk space, then run again",
    errno.EFBIG: "The file has reached its maximum size: write to another file",
}


class OutputError(SystemExit):
    """Standard output cannot be written; its last line may be incomplete. The message says what to do.

    It is not an `Exception`, so code that handles the failure of a record or a stream does not catch it.
    """

    def __init__(self, number: int) -> None:
        advice = _ADVICE.get(number, "Check the file or program that receives it, then run again")
        super().__init__(f"cannot write to standard output ({os.strerror(number)}). {advice}")


@contextmanager
def complete_output() -> Iterator[None]:
    """Within a block, `sys.stdout` writes all bytes or raises an `OutputError`."""
    try:
        descriptor = None if sys.stdout is None else sys.stdout.fileno()
    except OSError:
        # Not a file: a program that uses the command as a library keeps the output in memory.
        yield
        return
    if sys.stdout is not None:
        sys.stdout.flush()
    encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding
    # A character that the terminal cannot show must not be an error. Singer messages are bytes.
    text = io.TextIOWrapper(
        _CompleteOutput(descriptor), encoding=encoding, errors="backslashreplace", write_through=True
    )
    with redirect_stdout(text):
        yield


class _CompleteOutput(io.BufferedIOBase):
    """Writes to a file descriptor, None if standard output is closed.

    Once a write has failed, all further ones do, so that nothing follows an incomplete line.
    """

    name = "<stdout>"

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._error: OutputError | None = None

    @override
    def writable(self) -> bool:
        return True

    @override
    def fileno(self) -> int:
        if self._descriptor is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._descriptor

    @override
    def isatty(self) -> bool:
        return self._descriptor is not None and os.isatty(self._descriptor)

    @override
    def write(self, data: ReadableBuffer, /) -> int:
        """Write all bytes. A signal that has arrived takes effect at the end of a line.

        Raises:
            OutputError: standard output cannot be written.
            Terminated: a signal has arrived. Nothing after the current line is written.
        """
        content = bytes(data)
        start = 0
        while start < len(content):
            end = _end_of_part(content, start)
            with termination.deferred():
                self._write_part(memoryview(content)[start:end])
            if content.endswith(b"\n", start, end):
                termination.check()
            start = end
        return len(content)

    def _write_part(self, part: memoryview) -> None:
        if self._error is not None:
            raise self._error
        try:
            while part:
                part = part[self._write_some(part) :]
        except OSError as error:
            self._error = OutputError(error.errno or errno.EIO)
            raise self._error from None

    def _write_some(self, part: memoryview) -> int:
        """Write at least one byte, unless a signal arrives; return how many were written."""
        descriptor = self.fileno()
        try:
            count = os.write(descriptor, part)
        except BlockingIOError:
            select.select([], [descriptor], [], _WAIT_SECONDS)
            return 0
        termination.bytes_written += count
        return count


def _end_of_part(content: bytes, start: int) -> int:
    """Return the end of the part of whole lines that begins at `start`."""
    limit = start + _PART
    if limit >= len(content):
        return len(content)
    end = content.rfind(b"\n", start, limit) + 1 or content.find(b"\n", limit) + 1
    return end or len(content)
