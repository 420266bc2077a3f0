"""Draw the result of a query as inline SVG.

Only positions are computed here: every number is a cell of the result. Colours and font sizes are classes of
`page.css`. A unit of a drawing is about 1.5 pixels on a wide screen.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import groupby
from math import ceil
from typing import TYPE_CHECKING, Any, TypeAlias

from examples.warehouse.figures import figure, heading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import time

Row: TypeAlias = dict[str, Any]
Parts: TypeAlias = "Sequence[tuple[str, str]]"
"""The stacked columns of a row, each with its colour."""

FEW = 10
"""A share of fewer calls than this is not significant, so its column is pale."""

_WIDTH = 480
_SMALL_WIDTH = 240
_HALF_HOURS = 48
_LONGEST_LABEL = 19
_MOST_TICKS = 5
"""Maximum number of ticks, without the one at 0."""


@dataclass(frozen=True)
class Words:
    """The title and the description of a drawing, for screen readers."""

    key: str
    """A name that no other drawing on the page has."""
    title: str
    description: str


@dataclass(frozen=True)
class Plot:
    """The part of a drawing between its axes."""

    left: float
    top: float
    width: float
    height: float
    highest: float
    """The value at the end of the axis."""

    def x_of(self, moment: time) -> float:
        """Return the left edge of a half-hour of the day."""
        return self.left + self.width * (2 * moment.hour + moment.minute // 30) / _HALF_HOURS

    def y_of(self, value: float) -> float:
        """Return the vertical position of a value."""
        return self.top + self.height * (1 - value / self.highest)


@dataclass(frozen=True)
class Bar:
    """A horizontal bar: its name, its parts, and the text at its end."""

    label: str
    row: Row
    parts: Parts
    note: str


# The charts, each of one query.


def service_level(rows: Sequence[Row]) -> str:
    """Return a small drawing for each queue, with a column for each half-hour."""
    _, *queues = [list(group) for _, group in groupby(rows, key=lambda row: (row["queue_name"], row["queue"]))]
    drawings = [_service_level_of_queue(number, *queue) for number, queue in enumerate(queues)]
    line = '<li><i class="line"></i>whole day</li>'
    few = f'<li><i class="first few"></i>fewer than {FEW} calls</li>'
    return f'<ul class="legend">{line}{few}</ul><div class="several">{"".join(drawings)}</div>'


def _service_level_of_queue(number: int, whole: Row, *half_hours: Row) -> str:
    plot = Plot(left=32, top=6, width=194, height=84, highest=1)
    parts = [_grid(plot, [0, 0.5, 1], as_share=True), _hours(plot, plot.top + plot.height, every=6)]
    for row in half_hours:
        if row["service_level"] is not None:
            kind = "first" if row["offered"] >= FEW else "first few"
            parts.append(_column(plot, row, (("service_level", kind),), also="offered"))
    level, offered = whole["service_level"], figure("offered", whole["offered"])
    if level is not None:
        y = _number(plot.y_of(level))
        parts.append(f'<path class="line" d="M{plot.left} {y}h{plot.width}"/>')
    words = Words(
        f"service-level-{number}",
        f"Service level of {whole['queue']}",
        f"{figure('service_level', level)} over the whole day, with {offered} calls offered; "
        f"a column for each of {len(half_hours)} half-hours.",
    )
    said = f"{figure('service_level', level)}, {offered} calls"
    caption = f"<figcaption>{escape(whole['queue'])} <span>{said}</span></figcaption>"
    return f"<figure>{caption}{_svg(words, (_SMALL_WIDTH, 108), parts)}</figure>"


def abandoned_calls(rows: Sequence[Row]) -> str:
    """Return a column for each half-hour with the results of its calls."""
    outcomes = (
        ("answered", "first"),
        ("abandoned", "second"),
        ("short_abandons", "third"),
        ("not_answered_otherwise", "fourth"),
    )
    whole, *half_hours = rows
    ticks = _ticks(max((row["offered"] for row in half_hours), default=0))
    plot = Plot(left=38, top=8, width=426, height=170, highest=ticks[-1])
    parts = [_grid(plot, ticks), _hours(plot, plot.top + plot.height, every=2)]
    parts += [_column(plot, row, outcomes) for row in half_hours]
    said = ", ".join(f"{figure(column, whole[column])} {heading(column)}" for column, _ in outcomes)
    words = Words(
        "abandoned-calls", "Offered calls by half-hour", f"{figure('', whole['offered'])} calls: {said}."
    )
    return _legend(outcomes) + _svg(words, (_WIDTH, 200), parts)


def agent_occupancy(rows: Sequence[Row]) -> str:
    """Return a bar for each agent with the shares of talk, wrap-up and other work."""
    shares = (("talk_share", "first"), ("wrap_up_share", "second"), ("other_share", "fourth"))
    bars = [Bar(row["agent"], row, shares, figure("occupancy", row["occupancy"])) for row in rows]
    words = Words(
        "agent-occupancy",
        "Occupancy by agent",
        f"Talk and wrap-up are {figure('occupancy', rows[0]['occupancy'])} of the time of all agents together; "
        "other work comes on top.",
    )
    said = "<p>The figure beside a bar is the occupancy, which is talk and wrap-up.</p>"
    return _legend(shares) + said + _bars(words, bars, as_share=True)


def first_answer_time(rows: Sequence[Row]) -> str:
    """Return a bar for each range of time with the number of tickets that were answered in it."""
    whole = rows[0]
    spans = [column for column in whole if column.startswith(("up_to_", "over_"))]
    bars = [Bar(heading(span), whole, [(span, "first")], figure(span, whole[span])) for span in spans]
    words = Words(
        "first-answer-time",
        "Tickets by the time to their first answer",
        f"{figure('', whole['answered'])} tickets were answered; the median is "
        f"{figure('median_seconds', whole['median_seconds'])}.",
    )
    return f"<p>{words.title}, in all categories</p>{_bars(words, bars)}"


def reopened_tickets(rows: Sequence[Row]) -> str:
    """Return a bar for each category with the shares of its closed tickets that were reopened."""
    shares = (("open_again_share", "first"), ("contacted_again_share", "second"))
    bars = [Bar(row["category"], row, shares, figure("came_back_share", row["came_back_share"])) for row in rows]
    words = Words(
        "reopened-tickets",
        "Closed tickets that came back, by category",
        f"{figure('came_back_share', rows[0]['came_back_share'])} of "
        f"{figure('', rows[0]['closed_tickets'])} closed tickets came back.",
    )
    return _legend(shares) + _bars(words, bars, as_share=True)


# Parts of charts.


def _bars(words: Words, bars: Sequence[Bar], *, as_share: bool = False) -> str:
    """Return horizontal bars below each other, each with its parts in a row."""
    pitch, thickness = 18, 12
    longest = max((sum(bar.row[column] or 0 for column, _ in bar.parts) for bar in bars), default=0)
    ticks = _ticks(longest)
    plot = Plot(left=150, top=4, width=274, height=pitch * len(bars), highest=ticks[-1])
    parts = []
    for tick in ticks:
        x = plot.left + plot.width * tick / plot.highest
        parts.append(f'<path class="grid" d="M{_number(x)} {plot.top}v{plot.height}"/>')
        parts.append(_text(x, plot.top + plot.height + 13, _tick(tick, as_share=as_share), "middle"))
    for place, bar in enumerate(bars):
        top, x = plot.top + pitch * place + (pitch - thickness) / 2, plot.left
        parts.append(_text(plot.left - 6, top + thickness - 2, _shortened(bar.label), "end"))
        for column, kind in bar.parts:
            length = plot.width * (bar.row[column] or 0) / plot.highest
            tip = f"{bar.label}: {heading(column)} {figure(column, bar.row[column])}"
            parts.append(_rectangle((x, top, length, thickness), kind, tip))
            x += length
        parts.append(_text(x + 5, top + thickness - 2, bar.note, "start"))
    return _svg(words, (_WIDTH, plot.top + plot.height + 20), parts)


def _column(plot: Plot, row: Row, parts: Parts, also: str = "") -> str:
    """Return the column of a half-hour. `also` names another column of the row for the tooltip."""
    gap, base, drawn = 0.8, 0.0, []
    for column, kind in parts:
        value = row[column] or 0
        top = plot.y_of(base + value)
        place = (plot.x_of(row["half_hour"]), top, plot.width / _HALF_HOURS - gap, plot.y_of(base) - top)
        beside = f", {figure(also, row[also])} {heading(also)}" if also else ""
        tip = f"{figure('', row['half_hour'])}: {heading(column)} {figure(column, row[column])}{beside}"
        drawn.append(_rectangle(place, kind, tip))
        base += value
    return "".join(drawn)


def _grid(plot: Plot, ticks: Iterable[float], *, as_share: bool = False) -> str:
    """Return a line across the plot for each tick, with its value on the left."""
    lines = []
    for tick in ticks:
        y = plot.y_of(tick)
        lines.append(f'<path class="grid" d="M{plot.left} {_number(y)}h{plot.width}"/>')
        lines.append(_text(plot.left - 5, y + 3, _tick(tick, as_share=as_share), "end"))
    return "".join(lines)


def _hours(plot: Plot, y: float, every: int) -> str:
    """Return the hours of the day below the plot. Narrow screens show only every sixth hour."""
    texts = []
    for hour in range(0, 25, every):
        x = plot.left + plot.width * hour / 24
        texts.append(_text(x, y + 13, f"{hour}:00", "middle" if hour % 6 == 0 else "middle fine"))
    return "".join(texts)


def _ticks(highest: float) -> list[float]:
    """Return four to six round values from 0 to at least the highest value, or 0 and 1."""
    if highest <= 0:
        return [0, 1]
    steps = (float(f"{digit}e{power}") for power in range(-9, 19) for digit in (1, 2, 5))
    step = next(step for step in steps if step * _MOST_TICKS >= highest)
    return [round(step * number, 9) for number in range(ceil(highest / step) + 1)]


def _tick(value: float, *, as_share: bool) -> str:
    return f"{value * 100:g}%" if as_share else f"{value:,g}"


def _shortened(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1].rstrip()}…"


def _legend(parts: Parts) -> str:
    names = [(heading(column).removesuffix(" share"), kind) for column, kind in parts]
    items = [f'<li><i class="{kind}"></i>{escape(name)}</li>' for name, kind in names]
    return f'<ul class="legend">{"".join(items)}</ul>'


def _svg(words: Words, size: tuple[float, float], parts: Iterable[str]) -> str:
    key, kind = words.key, "small" if size[0] == _SMALL_WIDTH else "wide"
    return (
        f'<svg class="{kind}" viewBox="0 0 {size[0]} {_number(size[1])}" role="img" '
        f'aria-labelledby="{key}-title {key}-desc">'
        f'<title id="{key}-title">{escape(words.title)}</title>'
        f'<desc id="{key}-desc">{escape(words.description)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def _rectangle(place: tuple[float, float, float, float], kind: str, tip: str) -> str:
    x, y, width, height = (_number(value) for value in place)
    title = f"<title>{escape(tip)}</title>"
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}">{title}</rect>'


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{_number(x)}" y="{_number(y)}">{escape(words)}</text>'


def _number(value: float) -> str:
    """Return a length with two decimal places."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
