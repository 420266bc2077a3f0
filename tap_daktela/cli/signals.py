"""Termination signals: the first one ends the command in an orderly way, further ones are ignored.

A terminal sends SIGINT to a whole pipeline, and Meltano forwards it once more, so one Ctrl-C often arrives as two
signals. All of them are blocked, and a thread waits for the first one. A Python handler would not be enough: it
does not run while the main thread waits in a system call, and a second signal would interrupt it.

SIGHUP, which a terminal sends when it closes, is handled in the same way, unless it is already ignored (`nohup`).
SIGQUIT and SIGKILL keep their effect. Windows cannot block signals. There, a Python handler replaces the thread.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

if sys.platform != "win32":
    import fcntl
    import termios

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTERVAL = 0.5
"""Seconds between two checks for progress."""
_IDLE_CHECKS = 10
"""Checks without progress after which the process ends. A stopped process (SIGSTOP) makes no checks."""


class Terminated(SystemExit):
    """A signal ended the command. The exit code is 128 plus the number of the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number).name


class Termination:
    """The state of a command that signals can end.

    A signal raises `Terminated` in the main thread: at once, or within `deferred` when `check` is called. If the
    process does not end after that, and standard output takes no bytes for 5 seconds, the thread ends the process.
    """

    def __init__(self) -> None:
        self.bytes_written = 0
        """Bytes written to standard output so far."""
        self.number: int | None = None
        """Number of the signal that has arrived, None before it."""
        self._deferrals = 0
        self._has_raised = False
        self._is_acknowledged = False
        self._is_installed = False

    def install(self) -> None:
        """Handle signals from now on. A command calls this in its main thread."""
        if self._is_installed:
            return
        self._is_installed = True
        numbers = {signal.SIGINT, signal.SIGTERM}
        if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.add(signal.SIGHUP)
        for number in numbers:
            # For a signal that has already arrived, and for Windows.
            signal.signal(number, self._handle)
        if sys.platform != "win32":
            signal.signal(signal.SIGALRM, self._interrupt)
            signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
            threading.Thread(target=self._wait, args=(numbers,), name="signals", daemon=True).start()

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within a block, a signal takes effect when `check` is called, not at once."""
        self._deferrals += 1
        try:
            yield
        finally:
            self._deferrals -= 1

    def check(self) -> None:
        """Raise `Terminated` if a signal has arrived and is not acknowledged yet."""
        if self.number is not None and not self._is_acknowledged:
            self._raise(self.number)

    def acknowledge(self) -> None:
        """Raise no `Terminated` from now on, because the command is ending."""
        self._is_acknowledged = True

    def _raise(self, number: int) -> NoReturn:
        self._has_raised = True
        raise Terminated(number)

    def _handle(self, number: int, _frame: object) -> None:
        if self.number is None:
            self.number = number
        self._interrupt()

    def _interrupt(self, *_: object) -> None:
        """Raise `Terminated` in the main thread, once, unless it is deferred."""
        if self.number is not None and not (self._deferrals or self._has_raised or self._is_acknowledged):
            self._raise(self.number)

    def _wait(self, numbers: set[signal.Signals]) -> None:
        """Wait for the first signal; end the process if the main thread neither ends nor writes after it."""
        self.number = number = signal.sigwait(numbers)
        main = threading.main_thread().ident
        idle, before = 0, self._progress()
        while idle < _IDLE_CHECKS:
            if main is not None:
                # Interrupts the system call in which the main thread waits: a write returns how many bytes it has
                # written so far, any other call calls `_interrupt`.
                signal.pthread_kill(main, signal.SIGALRM)
            time.sleep(_INTERVAL)
            now = self._progress()
            idle, before = (idle + 1, now) if now == before else (0, now)
        _exit_at_once(number)

    def _progress(self) -> tuple[int, int]:
        """Return numbers that change while standard output is being read."""
        return self.bytes_written, _unread_bytes()


def _unread_bytes() -> int:
    """Return how many bytes the reader of standard output has not read yet, if it is a pipe.

    A writer can fill a pipe again only once the reader has emptied a whole page of memory. This number shows
    a slow reader sooner.
    """
    count = bytearray(4)
    with suppress(OSError):
        fcntl.ioctl(1, termios.FIONREAD, count)
    return int.from_bytes(count, sys.byteorder)


def _exit_at_once(number: int) -> NoReturn:
    """End the process, whatever the main thread does."""
    # Logging may block: the main thread may hold the lock of the log, and the log may be a full pipe.
    thread = threading.Thread(target=_log_exit, args=(number,), daemon=True)
    thread.start()
    thread.join(_INTERVAL)
    os._exit(128 + number)


def _log_exit(number: int) -> None:
    # Not imported at the top: the command imports this module first, to handle signals early.
    import logging  # noqa: PLC0415

    logging.getLogger(__name__).warning(
        "%s: the command has not ended, and standard output has taken nothing for %g seconds. The process ends "
        "without a final STATE message, and the last line of the output may be incomplete",
        signal.Signals(number).name,
        _INTERVAL * _IDLE_CHECKS,
    )


termination = Termination()
"""The only instance, because signals are sent to a process."""
