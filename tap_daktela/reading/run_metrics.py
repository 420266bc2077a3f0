"""Metrics of a run: the rows, requests, bytes and seconds of each stream and instance.

The tap writes them at the end of the run, as a table or as JSON.
"""

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
    streams: list[StreamMetrics] = field(default_factory=list)
    _is_logged: bool = False
    _update: Callable[[], None] | None = None
    """Updates the metrics of the stream that is being read."""

    @contextmanager
    def measure(self, stream: str, instance: Instance) -> Iterator[StreamMetrics]:
        """Measure the `with` block that reads a stream of an instance. The block sets `rows`."""
        metrics = StreamMetrics(stream, instance.server)
        self.streams.append(metrics)
        self.reporter.begin(f"{stream} ({instance.server})", "rows")
        traffic_before, started = instance.client.traffic, time.monotonic()

        def update() -> None:
            pairs = zip(traffic_before, instance.client.traffic, strict=True)
            metrics.requests, metrics.retries, metrics.bytes = (after - before for before, after in pairs)
            metrics.seconds = time.monotonic() - started

        self._update = update
        try:
            yield metrics
        finally:
            update()
            self._update = None
            self.reporter.end()

    def log(self, logger: logging.Logger) -> None:
        """Write the metrics once: as a table to standard error, or as JSON to a log of JSON objects."""
        was_logged, self._is_logged = self._is_logged, True
        if self._update is not None:
            # A signal ended the run while the tap was reading a stream.
            self._update()
        if self.streams and not was_logged:
            log_summary(logger, as_table(self.streams), as_objects(self.streams))


def as_objects(metrics: list[StreamMetrics]) -> list[dict[str, Any]]:
    """Return metrics as JSON objects."""
    return [{**vars(measured), "seconds": round(measured.seconds, 1)} for measured in metrics]


def as_table(metrics: list[StreamMetrics]) -> str:
    """Return metrics as a table. If there are several streams or instances, its last line contains the sums."""
    rows = [_cells(measured) for measured in metrics]
    if len(metrics) > 1:
        sums = {name: sum(getattr(measured, name) for measured in metrics) for name in _NUMBERS}
        rows.append(_cells(StreamMetrics("all", "", **sums)))
    rows.insert(0, [column.name for column in fields(StreamMetrics)])
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


_TEXTS = ("stream", "instance")
_NUMBERS = ("rows", "requests", "retries", "bytes", "seconds")


def _cells(measured: StreamMetrics) -> list[str]:
    counts = [f"{measured.rows:,}", f"{measured.requests:,}", f"{measured.retries:,}", f"{measured.bytes:,}"]
    return [measured.stream, measured.instance, *counts, f"{measured.seconds:,.1f}"]


def _line(row: list[str], widths: list[int]) -> str:
    cells = [
        cell.ljust(width) if index < len(_TEXTS) else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return f"  {'  '.join(cells)}".rstrip()
