"""Windows of local time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from tap_daktela.api.local_time import from_text, to_text


@dataclass(frozen=True)
class Window:
    """A range of local time."""

    start: str | None
    """The first second of the range, None for no lower bound."""
    end: str
    """The first second after the range."""


def cut(window: Window, parts: int) -> list[Window]:
    """Return at most `parts` windows of about equal length that cover `window`, which must have a start."""
    if window.start is None:
        raise ValueError("a window without a start has no length")
    start, end = from_text(window.start), from_text(window.end)
    seconds = int((end - start).total_seconds())
    parts = max(1, min(parts, seconds))
    borders = [to_text(start + timedelta(seconds=seconds * part // parts)) for part in range(parts + 1)]
    return [Window(start, end) for start, end in pairwise(borders)]
