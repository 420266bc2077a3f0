"""Write the diagrams of the documentation as SVG files in `docs/images/`."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tap_daktela.streams.definitions import STREAMS
from tools.reference import DIAGRAMS, drawn_joins
from tools.svg import Box, Edge, Span, flow, joins, timeline

if TYPE_CHECKING:
    from collections.abc import Iterable

IMAGES = Path(__file__).parents[1] / "docs" / "images"


def overview() -> str:
    """Return the diagram of the data flow through both commands."""
    boxes = {
        "daktela": Box(0, 0, ["Daktela", "API v6"]),
        "tap": Box(1, 0, ["tap-daktela"]),
        "loader": Box(2, 0, ["any loader", "target-duckdb, …"]),
        "warehouse": Box(3, 0, ["warehouse"]),
        "crm": Box(0, 1, ["CRM", "Salesforce, …"]),
        "crm tap": Box(1, 1, ["any CRM tap", "tap-salesforce, …"]),
        "target": Box(2, 1, ["target-daktela-crm"]),
        "daktela crm": Box(3, 1, ["Daktela", "sync endpoint"]),
    }
    lines = (("daktela", "tap", "loader", "warehouse"), ("crm", "crm tap", "target", "daktela crm"))
    return flow(boxes, [(start, end, "") for line in lines for start, end in pairwise(line)])


def read_range() -> str:
    """Return the diagram of the time range that an incremental stream reads."""
    return timeline(
        [
            Span(130, "earlier runs", "read before", "", is_read=False),
            Span(170, "look-back", "read again", "bookmark", is_read=True),
            Span(210, "new", "read for the first time", "new bookmark", is_read=True),
            Span(170, "settle_minutes", "left to the next run", "server time", is_read=False),
        ]
    )


def target() -> str:
    """Return the diagram of the path of a record through the target."""
    boxes = {
        "tap": Box(0, 0, ["CRM tap", "Singer messages"]),
        "mapping": Box(1, 0, ["mapping", "preset and streams"]),
        "store": Box(2, 0, ["store", "joins, changes"]),
        "requests": Box(3, 0, ["requests", "up to 20 MB"]),
        "daktela": Box(4, 0, ["Daktela", "sync endpoint"]),
        "invalid": Box(1, 1, ["rejects file", "not mapped"]),
        "hold": Box(2, 1, ["on hold", "company unknown"]),
        "rejects": Box(3, 1, ["rejects file", "refused"]),
    }
    arrows = [("tap", "mapping"), ("mapping", "store"), ("store", "requests"), ("requests", "daktela")]
    arrows += [("mapping", "invalid"), ("store", "hold"), ("requests", "rejects")]
    return flow(boxes, [(start, end, "") for start, end in arrows])


def deletes() -> str:
    """Return the diagram of the two steps of a load with deletes."""
    boxes = {
        "tap": Box(0, 0, ["CRM tap", "full refresh"]),
        "run": Box(1, 0, ["meltano run", "delete_missing"]),
        "store": Box(2, 0, ["store", "staged load"]),
        "deliver": Box(3, 0, ["--deliver", "checks the load"]),
        "daktela": Box(4, 0, ["Daktela", "delete"]),
        "refused": Box(3, 1, ["nothing is sent"]),
    }
    arrows = [("tap", "run", ""), ("run", "store", "step 1"), ("store", "deliver", "step 2")]
    return flow(boxes, [*arrows, ("deliver", "daktela", ""), ("deliver", "refused", "refused")])


def stream_joins(sources: Iterable[str]) -> str:
    """Return the diagram of the joins of some streams."""
    edges = [Edge(join.stream, join.target, join.column, *join.rows) for join in drawn_joins(sources)]
    return joins(edges, {stream.name: stream.keys for stream in STREAMS})


def files() -> dict[Path, str]:
    """Return the text of each file."""
    diagrams = {"overview": overview(), "range": read_range(), "target": target(), "deletes": deletes()}
    diagrams |= {name: stream_joins(sources) for name, sources in DIAGRAMS.items()}
    return {IMAGES / f"{name}.svg": text for name, text in diagrams.items()}
