"""Diagrams as SVG.

The documentation site embeds them into its pages, where they use the colours of the page. Elsewhere they have
their own colours for light and dark backgrounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_STYLE = """\
<style>
.dk { --dk-text: #1f2328; --dk-fill: #f6f8fa; --dk-line: #6e7781; }
@media (prefers-color-scheme: dark) { .dk { --dk-text: #e6edf3; --dk-fill: #21262d; --dk-line: #8b949e; } }
.dk text { font: 13px system-ui, sans-serif; fill: var(--color-foreground-primary, var(--dk-text)); }
.dk .head { font-weight: 600; }
.dk .small { font-size: 11px; fill: var(--color-foreground-secondary, var(--dk-text)); }
.dk .box { fill: var(--color-background-secondary, var(--dk-fill)); stroke: var(--dk-line); }
.dk .line { fill: none; stroke: var(--dk-line); stroke-width: 1.5; }
.dk .tip { fill: var(--dk-line); }
.dk .mark { fill: var(--dk-line); fill-opacity: 0.35; }
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>"""

# A flow.

_CELL_WIDTH, _CELL_HEIGHT = 196, 96
_BOX_WIDTH, _BOX_HEIGHT = 150, 54
_MARGIN = 14


@dataclass(frozen=True)
class Box:
    """A box of a flow chart, in a cell of a grid."""

    column: int
    row: int
    lines: Sequence[str]
    """The first line is the name of the box."""

    @property
    def centre(self) -> tuple[float, float]:
        """The centre of the box."""
        return (
            _MARGIN + self.column * _CELL_WIDTH + _BOX_WIDTH / 2,
            _MARGIN + self.row * _CELL_HEIGHT + _BOX_HEIGHT / 2,
        )


def flow(boxes: Mapping[str, Box], arrows: Iterable[tuple[str, str, str]]) -> str:
    """Return boxes with arrows between neighbours. An arrow has a start, an end and a label."""
    parts = [_arrow(boxes[start], boxes[end], label) for start, end, label in arrows]
    for box in boxes.values():
        x, y = box.centre
        parts.append(_rectangle(x - _BOX_WIDTH / 2, y - _BOX_HEIGHT / 2, _BOX_WIDTH, _BOX_HEIGHT))
        top = y + 5 - 8 * (len(box.lines) - 1)
        for number, line in enumerate(box.lines):
            parts.append(_text(x, top + 17 * number, line, "small" if number else "head", "middle"))
    width = _MARGIN * 2 + _BOX_WIDTH + _CELL_WIDTH * max(box.column for box in boxes.values())
    height = _MARGIN * 2 + _BOX_HEIGHT + _CELL_HEIGHT * max(box.row for box in boxes.values())
    return _svg(width, height, parts)


def _arrow(start: Box, end: Box, label: str) -> str:
    (x1, y1), (x2, y2) = start.centre, end.centre
    if start.row == end.row:
        side = _BOX_WIDTH / 2 if x1 < x2 else -_BOX_WIDTH / 2
        x1, x2 = x1 + side, x2 - side
        place = ((x1 + x2) / 2, y1 - 7, "middle")
    else:
        side = _BOX_HEIGHT / 2 if y1 < y2 else -_BOX_HEIGHT / 2
        y1, y2 = y1 + side, y2 - side
        place = (x1 + 8, (y1 + y2) / 2 + 4, "start")
    line = f'<path class="line" marker-end="url(#tip)" d="M{x1:g} {y1:g} {x2:g} {y2:g}"/>'
    return line + (_text(place[0], place[1], label, "small", place[2]) if label else "")


# A range of time.


@dataclass(frozen=True)
class Span:
    """A part of a timeline."""

    width: int
    text: str
    detail: str
    end: str
    """The label of its end, which can be empty."""
    is_read: bool


def timeline(spans: Sequence[Span]) -> str:
    """Return a timeline. The parts that a run reads are marked."""
    parts: list[str] = []
    x, top, height = _MARGIN, 34, 46
    for span in spans:
        style = "box mark" if span.is_read else "box"
        parts.append(f'<rect class="{style}" x="{x}" y="{top}" width="{span.width}" height="{height}"/>')
        middle = x + span.width / 2
        parts.append(_text(middle, top + 20, span.text, "head", "middle"))
        parts.append(_text(middle, top + 37, span.detail, "small", "middle"))
        x += span.width
        if span.end:
            parts.append(f'<path class="line" d="M{x} {top - 8} {x} {top + height + 8}"/>')
            parts.append(_text(x, top + height + 24, span.end, "small", "middle"))
    return _svg(x + _MARGIN + 40, top + height + 36, parts)


# Joins of tables.

_ROW = 21
_TABLE_WIDTH = 270
_GAP = 200
_SPACE = 18


@dataclass(frozen=True)
class Edge:
    """A column of a table whose values are keys of another one."""

    source: str
    target: str
    column: str
    left: str
    """Number of rows of the source with one key: `0..1` or `n`."""
    right: str
    """Number of rows of the target for one value: `1`, `0..1` or `n`."""


def joins(edges: Sequence[Edge], keys: Mapping[str, Sequence[str]]) -> str:
    """Return tables on the left, with a line from each column to the table on the right that it joins.

    The edges of a table follow each other. The label of a line shows the number of rows at both of its ends.
    """
    parts: list[str] = []
    rows: list[float] = []
    y: float = _MARGIN
    for source, group in groupby(edges, key=lambda edge: edge.source):
        own = list(group)
        parts += _table(_MARGIN, y, source, [edge.column for edge in own])
        rows += [y + _ROW * (number + 1.5) + 2 for number in range(len(own))]
        y += _ROW * (len(own) + 1) + 8 + _SPACE
    bottom = y - _SPACE
    right = _MARGIN + _TABLE_WIDTH + _GAP
    places = _right_tables(edges, rows, keys, bottom)
    for target, top in places.items():
        parts += _table(right, top, target, [f"{key} (key)" for key in keys[target]])
    for edge, row in zip(edges, rows, strict=True):
        hue = list(places).index(edge.target) * 360 // len(places)
        parts.append(_join(edge, row, places[edge.target] + _height(keys[edge.target]) / 2, right, hue))
    bottom = max(bottom, *(top + _height(keys[name]) for name, top in places.items()))
    return _svg(right + _TABLE_WIDTH + _MARGIN, bottom + _MARGIN, parts)


def _table(x: float, y: float, name: str, rows: Sequence[str]) -> list[str]:
    texts = [_text(x + 10, y + 18 + _ROW * (number + 1), row, "small", "start") for number, row in enumerate(rows)]
    return [_rectangle(x, y, _TABLE_WIDTH, _height(rows)), _text(x + 10, y + 19, name, "head", "start"), *texts]


def _height(rows: Sequence[str]) -> int:
    return _ROW * (len(rows) + 1) + 8


def _right_tables(
    edges: Sequence[Edge], rows: Sequence[float], keys: Mapping[str, Sequence[str]], bottom: float
) -> dict[str, float]:
    """Return the top of each table on the right, in the order of the average position of its lines."""
    starts: dict[str, list[float]] = {}
    for edge, row in zip(edges, rows, strict=True):
        starts.setdefault(edge.target, []).append(row)
    order = sorted(starts, key=lambda name: sum(starts[name]) / len(starts[name]))
    free = bottom - _MARGIN - sum(_height(keys[name]) for name in order)
    gap = max(float(_SPACE), free / max(1, len(order) - 1))
    found: dict[str, float] = {}
    y = float(_MARGIN)
    for name in order:
        found[name] = y
        y += _height(keys[name]) + gap
    return found


def _join(edge: Edge, start: float, end: float, right: int, hue: int) -> str:
    left = _MARGIN + _TABLE_WIDTH
    data = {
        "data-source": edge.source,
        "data-target": edge.target,
        "data-column": edge.column,
        "data-left": edge.left,
        "data-right": edge.right,
    }
    attributes = " ".join(f"{name}={quoteattr(value)}" for name, value in data.items())
    path = f"M{left} {start:g}C{left + 100} {start:g} {right - 100} {end:g} {right} {end:g}"
    line = f'<path class="line" style="stroke: hsl({hue} 55% 50%)" d="{path}"/>'
    label = _text(left - 10, start + 4, f"{edge.left} : {edge.right}", "small", "end")
    return f'<g class="join" {attributes}>{line}{label}</g>'


# Elements.


def _svg(width: float, height: float, parts: Iterable[str]) -> str:
    head = (
        f'<svg class="dk" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}">'
    )
    return "\n".join([head, _STYLE, *parts, "</svg>", ""])


def _rectangle(x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="box" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6"/>'


def _text(x: float, y: float, text: str, style: str, anchor: str) -> str:
    return f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'
