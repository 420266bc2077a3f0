"""Rows, requests, bytes and seconds of each stream and instance, as a table and as JSON in the log."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from tap_daktela.cli.progress import log_summary

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator

    from tap_daktela.cli.progress import Reporter
    from tap_daktela.reading.instance import Instance


@dataclass
class StreamMetrics:
    """The metrics of one stream of one instance."""

    stream: str
    instance: str
    rows: int = 0
    """Number of records before stream maps."""
    requests: int = 0
    """Number of requests, including retries."""
    retries: int = 0
    bytes: int = 0
    """Size of the response bodies after decompression."""
    seconds: float = 0.0


@dataclass
class RunMetrics:
    """The metrics of a run, in the order in which the streams were read."""

    reporter: Reporter
    all: list[StreamMetrics] = field(default_factory=list)
    _is_logged: bool = False
    _measure: Callable[[], None] | None = None
    """Updates the metrics of the stream that is being read."""

    @contextmanager
    def of(self, stream: str, instance: Instance) -> Iterator[StreamMetrics]:
        """Measure a block that reads a stream of an instance. The block sets the number of rows."""
        measured = StreamMetrics(stream, instance.server)
        self.all.append(measured)
        self.reporter.begin(f"{stream} ({instance.server})", "rows")
        before, begun = instance.client.traffic, time.monotonic()

        def measure() -> None:
            counts = zip(before, instance.client.traffic, strict=True)
            measured.requests, measured.retries, measured.bytes = (after - earlier for earlier, after in counts)
            measured.seconds = time.monotonic() - begun

        self._measure = measure
        try:
            yield measured
        finally:
            measure()
            self._measure = None
            self.reporter.end()

    def log(self, logger: logging.Logger) -> None:
        """Write the metrics to standard error as a table, and to the log as JSON. Later calls do nothing."""
        was_logged, self._is_logged = self._is_logged, True
        if self._measure is not None:
            # A signal has ended the run in the middle of a stream.
            self._measure()
        if self.all and not was_logged:
            log_summary(logger, as_table(self.all), as_objects(self.all))


def as_objects(metrics: list[StreamMetrics]) -> list[dict[str, Any]]:
    """Return metrics as objects for JSON."""
    return [{**vars(measured), "seconds": round(measured.seconds, 1)} for measured in metrics]


def as_table(metrics: list[StreamMetrics]) -> str:
    """Return metrics as a table, with the sums in its last line if there are several rows."""
    rows = [_cells(measured) for measured in metrics]
    if len(metrics) > 1:
        sums = {name: sum(getattr(measured, name) for measured in metrics) for name in _COUNTED}
        rows.append(_cells(StreamMetrics("all", "", **sums)))
    rows.insert(0, [each.name for each in fields(StreamMetrics)])
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


_NAMED = ("stream", "instance")
_COUNTED = ("rows", "requests", "retries", "bytes", "seconds")


def _cells(measured: StreamMetrics) -> list[str]:
    counts = [f"{measured.rows:,}", f"{measured.requests:,}", f"{measured.retries:,}", f"{measured.bytes:,}"]
    return [measured.stream, measured.instance, *counts, f"{measured.seconds:,.1f}"]


def _line(row: list[str], widths: list[int]) -> str:
    cells = [
        cell.ljust(width) if place < len(_NAMED) else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return f"  {'  '.join(cells)}".rstrip()
