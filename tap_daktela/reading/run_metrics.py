"""What each stream of each instance cost: counts in; a table for people, and the same for machines, out."""

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
class Cost:
    """What one stream of one instance cost."""

    stream: str
    instance: str
    rows: int = 0
    """Records that were read, before stream maps."""
    requests: int = 0
    """Repetitions included."""
    retries: int = 0
    bytes: int = 0
    """Of the bodies of answers, unpacked."""
    seconds: float = 0.0


@dataclass
class RunMetrics:
    """The costs of a run, in the order in which streams were read."""

    reporter: Reporter
    all: list[Cost] = field(default_factory=list)
    _is_told: bool = False
    _settle: Callable[[], None] | None = None
    """Measures the stream that is being read, up to now."""

    @contextmanager
    def of(self, stream: str, instance: Instance) -> Iterator[Cost]:
        """Measure what happens in a block, which reads a stream of an instance and counts its rows."""
        cost = Cost(stream, instance.server)
        self.all.append(cost)
        self.reporter.begin(f"{stream} ({instance.server})", "rows")
        before, begun = instance.client.traffic, time.monotonic()

        def settle() -> None:
            counts = zip(before, instance.client.traffic, strict=True)
            cost.requests, cost.retries, cost.bytes = (after - earlier for earlier, after in counts)
            cost.seconds = time.monotonic() - begun

        self._settle = settle
        try:
            yield cost
        finally:
            settle()
            self._settle = None
            self.reporter.end()

    def log(self, logger: logging.Logger) -> None:
        """Write the table to standard error and the same into the log, once, if the log takes such messages."""
        told, self._is_told = self._is_told, True
        if self._settle is not None:
            # A signal ends the run in the middle of a stream.
            self._settle()
        if self.all and not told:
            log_summary(logger, as_table(self.all), as_objects(self.all))


def as_objects(metrics: list[Cost]) -> list[dict[str, Any]]:
    """Return costs as plain data."""
    return [{**vars(cost), "seconds": round(cost.seconds, 1)} for cost in metrics]


def as_table(metrics: list[Cost]) -> str:
    """Return costs as lines to read, with their sums below where there are several."""
    rows = [_cells(cost) for cost in metrics]
    if len(metrics) > 1:
        sums = {name: sum(getattr(cost, name) for cost in metrics) for name in _COUNTED}
        rows.append(_cells(Cost("all", "", **sums)))
    rows.insert(0, [each.name for each in fields(Cost)])
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


_NAMED = ("stream", "instance")
_COUNTED = ("rows", "requests", "retries", "bytes", "seconds")


def _cells(cost: Cost) -> list[str]:
    counts = [f"{cost.rows:,}", f"{cost.requests:,}", f"{cost.retries:,}", f"{cost.bytes:,}"]
    return [cost.stream, cost.instance, *counts, f"{cost.seconds:,.1f}"]


def _line(row: list[str], widths: list[int]) -> str:
    cells = [
        cell.ljust(width) if place < len(_NAMED) else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return f"  {'  '.join(cells)}".rstrip()
