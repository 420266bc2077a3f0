"""Windows of local time, and how to cut them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from tap_daktela.api.local_time import from_text, to_text


@dataclass(frozen=True)
class Window:
    """A stretch of local time."""

    start: str | None
    """The first second of it; None for the beginning of all time."""
    end: str
    """The first second after it."""


def cut(window: Window, parts: int) -> list[Window]:
    """Return at most `parts` windows of about equal length that cover `window`, which must have a start."""
    if window.start is None:
        raise ValueError("a window without a start has no length")
    start, end = from_text(window.start), from_text(window.end)
    seconds = int((end - start).total_seconds())
    parts = max(1, min(parts, seconds))
    borders = [to_text(start + timedelta(seconds=seconds * part // parts)) for part in range(parts + 1)]
    return [Window(start, end) for start, end in pairwise(borders)]
