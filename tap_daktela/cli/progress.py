"""Progress and summary of a run, for both commands.

Progress is a bar on a terminal, and otherwise a line of the log every few seconds. A command reports one task at a
time. If the log level is above INFO, neither progress nor a summary is shown.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tap_daktela.api.redaction import echo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress

INTERVAL = 5.0
"""Seconds between two lines of the log. A shorter task has no line."""

_MINUTE, _HOUR = 60, 3600


@dataclass
class Task:
    """The progress of one task, such as a stream of an instance."""

    what: str
    unit: str
    """Plural noun for the items, for example `rows`."""
    done: int = 0
    total: int | None = None
    """Number of items, None while it is unknown."""
    seconds: float = 0.0
    """Seconds since the start of the task."""

    @property
    def rate(self) -> float:
        """Items per second."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Estimated seconds until the end, None if they are unknown."""
        return max(self.total - self.done, 0) / self.rate if self.total is not None and self.rate else None


def progress_line(task: Task) -> str:
    """Return one line with the progress of a task."""
    of_total = f" of {max(task.total, task.done):,}" if task.total is not None else ""
    left = "" if task.left is None else f", {format_duration(task.left)} left"
    return f"{task.what}: {task.done:,}{of_total} {task.unit}, {task.rate:,.0f} a second{left}"


def format_duration(seconds: float) -> str:
    """Return a number of seconds as `7 s`, `3 min` or `2 h 5 min`."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE)
    if seconds < _HOUR:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


class Display(Protocol):
    """Shows the progress of one task."""

    def show(self, task: Task) -> None:
        """Show the progress, unless it was shown a short time ago."""

    def hide(self) -> None:
        """Remove the progress, because the task has ended."""


@dataclass
class LogDisplay:
    """Shows progress as lines of a log."""

    logger: logging.Logger
    clock: Callable[[], float] = time.monotonic
    _last_line_at: float | None = None

    def show(self, task: Task) -> None:
        """Log a line if `INTERVAL` has passed since the last one."""
        now = self.clock()
        waited = task.seconds if self._last_line_at is None else now - self._last_line_at
        if waited >= INTERVAL:
            self._last_line_at = now
            content = {"what": task.what, "done": task.done, "total": task.total, "unit": task.unit}
            seconds = {"rate": round(task.rate, 1), "seconds": round(task.seconds, 1), "seconds_left": task.left}
            self.logger.info("%s", progress_line(task), extra={"progress": {**content, **seconds}})

    def hide(self) -> None:
        """Start the interval of the next task."""
        self._last_line_at = None


class BarDisplay:
    """Shows progress as a bar on a terminal. Lines of the log are written above the bar."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._handlers: list[logging.StreamHandler[Any]] = []

    def show(self, task: Task) -> None:
        """Draw the bar."""
        with _ignore_write_errors():
            if self._bar is None:
                self._bar = self._start(task)
            bar_task = self._bar.tasks[0].id
            text = progress_line(task).removeprefix(f"{task.what}: ")
            self._bar.update(bar_task, completed=task.done, total=task.total, text=text)

    def hide(self) -> None:
        """Remove the bar."""
        bar, self._bar = self._bar, None
        if bar is not None:
            with _ignore_write_errors():
                bar.stop()
            for handler in self._handlers:
                handler.setStream(sys.stderr)

    def _start(self, task: Task) -> Progress:
        # Imported here, because the import takes longer than a short run.
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
        bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
        root = logging.getLogger()
        self._handlers = [
            handler
            for handler in root.handlers
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr
        ]
        bar.start()
        bar.add_task(task.what, total=None, text="")
        for handler in self._handlers:
            # Rich has replaced `sys.stderr` by a file that writes above the bar.
            handler.setStream(sys.stderr)
        return bar


@dataclass
class Reporter:
    """Reports one task after the other."""

    display: Display | None
    """None to report nothing."""
    clock: Callable[[], float] = time.monotonic
    _task: Task | None = None
    _started_at: float = field(default=0.0, init=False)

    def begin(self, what: str, unit: str, total: int | None = None) -> None:
        """Start a task. This ends the one before it."""
        self.end()
        self._task, self._started_at = Task(what, unit, total=total), self.clock()

    def update(self, done: int, total: int | None = None) -> None:
        """Set how many items are done, and their total if it is known."""
        if self._task is None or self.display is None:
            return
        self._task.done = done
        self._task.total = self._task.total if total is None else total
        self._task.seconds = self.clock() - self._started_at
        self.display.show(self._task)

    def end(self) -> None:
        """End the task, if there is one."""
        if self._task is not None and self.display is not None:
            self.display.hide()
        self._task = None


def reporter(logger: logging.Logger, *, may_draw: bool = True) -> Reporter:
    """Return a reporter: a bar if standard error is a terminal and `may_draw`, otherwise lines in the log."""
    if not logger.isEnabledFor(logging.INFO):
        return Reporter(None)
    draws = (
        may_draw and sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    )
    return Reporter(BarDisplay() if draws else LogDisplay(logger))


def log_summary(logger: logging.Logger, text: str, content: object) -> None:
    """Write the summary of a run once, unless the log takes no messages of level INFO.

    `text` goes to standard error as it is. A log of JSON objects, which Meltano reads and shows, gets it as a
    message with `content` in the field `summary`.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    if any(_is_structured(handler) for handler in _handlers(logger)):
        logger.info("%s", text, extra={"summary": content})
        return
    with _ignore_write_errors():
        echo(text, err=True)


def _handlers(logger: logging.Logger | None) -> Iterator[logging.Handler]:
    """Yield the handlers that get the messages of a logger."""
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _is_structured(handler: logging.Handler) -> bool:
    """Return whether a handler writes JSON objects, whatever its formatter is."""
    record = logging.LogRecord("", logging.INFO, "", 0, "", None, None)
    try:
        return isinstance(json.loads(handler.format(record)), dict)
    except ValueError:
        return False


def _ignore_write_errors() -> suppress:
    """Ignore errors of a block that writes to standard error: a run does not fail if it is closed or full."""
    return suppress(OSError, ValueError)
