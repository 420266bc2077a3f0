"""What a run is doing: counts in; lines of log or, on a terminal, a bar out; in the end, a summary.

Both commands tell of one piece of work at a time. Nothing is told where the log takes no messages of level INFO.
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
"""Seconds between two lines; work that takes no longer is not told of."""

_MINUTE, _HOUR = 60, 3600


@dataclass
class Work:
    """Something that takes its time."""

    what: str
    unit: str
    """What is counted, in the plural."""
    done: int = 0
    total: int | None = None
    """How many there are, None while nobody knows."""
    seconds: float = 0.0
    """Since it was begun."""

    @property
    def rate(self) -> float:
        """How many were done in a second."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds that it will take, None if that cannot be told."""
        return max(self.total - self.done, 0) / self.rate if self.total is not None and self.rate else None


def described(work: Work) -> str:
    """Return one line on how far a work is."""
    of_total = f" of {max(work.total, work.done):,}" if work.total is not None else ""
    left = "" if work.left is None else f", {in_words(work.left)} left"
    return f"{work.what}: {work.done:,}{of_total} {work.unit}, {work.rate:,.0f} a second{left}"


def in_words(seconds: float) -> str:
    """Return a time as `7 s`, `3 min` or `2 h 5 min`."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE)
    if seconds < _HOUR:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


class Display(Protocol):
    """Where it is told."""

    def show(self, work: Work) -> None:
        """Tell how far a work is, if it is time to."""

    def hide(self) -> None:
        """Note that the work has ended."""


@dataclass
class Lines:
    """A log."""

    logger: logging.Logger
    clock: Callable[[], float] = time.monotonic
    _told: float | None = None

    def show(self, work: Work) -> None:
        """Log a line, unless there was one a moment ago."""
        now = self.clock()
        waited = work.seconds if self._told is None else now - self._told
        if waited >= INTERVAL:
            self._told = now
            content = {"what": work.what, "done": work.done, "total": work.total, "unit": work.unit}
            seconds = {"rate": round(work.rate, 1), "seconds": round(work.seconds, 1), "seconds_left": work.left}
            self.logger.info("%s", described(work), extra={"progress": {**content, **seconds}})

    def hide(self) -> None:
        """Let the next work have its first line later."""
        self._told = None


class Bar:
    """A terminal. Lines of log are written above the bar."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._handlers: list[logging.StreamHandler[Any]] = []

    def show(self, work: Work) -> None:
        """Draw the bar."""
        with _unheard():
            if self._bar is None:
                self._bar = self._begun(work)
            task = self._bar.tasks[0].id
            said = described(work).removeprefix(f"{work.what}: ")
            self._bar.update(task, completed=work.done, total=work.total, said=said)

    def hide(self) -> None:
        """Take the bar away."""
        bar, self._bar = self._bar, None
        if bar is not None:
            with _unheard():
                bar.stop()
            for handler in self._handlers:
                handler.setStream(sys.stderr)

    def _begun(self, work: Work) -> Progress:
        # Here, since it takes longer to import than short runs may.
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"))
        bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
        root = logging.getLogger()
        self._handlers = [
            handler
            for handler in root.handlers
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr
        ]
        bar.start()
        bar.add_task(work.what, total=None, said="")
        for handler in self._handlers:
            # What rich has put there writes above the bar.
            handler.setStream(sys.stderr)
        return bar


@dataclass
class Reporter:
    """Tells of one work after the other."""

    display: Display | None
    """None to tell nothing."""
    clock: Callable[[], float] = time.monotonic
    _work: Work | None = None
    _begun: float = field(default=0.0, init=False)

    def begin(self, what: str, unit: str, total: int | None = None) -> None:
        """Begin with a work; one that has not ended ends."""
        self.end()
        self._work, self._begun = Work(what, unit, total=total), self.clock()

    def tell(self, done: int, total: int | None = None) -> None:
        """Note how much of the work is done, and how much there is if that is known by now."""
        if self._work is None or self.display is None:
            return
        self._work.done = done
        self._work.total = self._work.total if total is None else total
        self._work.seconds = self.clock() - self._begun
        self.display.show(self._work)

    def end(self) -> None:
        """End the work."""
        if self._work is not None and self.display is not None:
            self.display.hide()
        self._work = None


def reporter(logger: logging.Logger, *, may_draw: bool = True) -> Reporter:
    """Return what tells of a run: a bar if standard error is a terminal and `may_draw`, else lines in the log."""
    if not logger.isEnabledFor(logging.INFO):
        return Reporter(None)
    draws = (
        may_draw and sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    )
    return Reporter(Bar() if draws else Lines(logger))


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
    with _unheard():
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


def _unheard() -> suppress:
    """Let a block write to standard error that may be closed or full: no run fails for what nobody hears."""
    return suppress(OSError, ValueError)
