"""Print a page to the terminal, in bold or dim if the terminal supports it."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH = 78
BAR = 44


def say(*lines: str) -> None:
    """Print lines immediately."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print a title immediately, and the seconds of its block behind it."""
    sys.stdout.write(f"{title} {dim('.' * max(3, WIDTH - len(title) - 9))} ")
    sys.stdout.flush()
    start = time.monotonic()
    yield
    say(f"{time.monotonic() - start:5.1f} s")


def heading(title: str) -> None:
    """Print a heading."""
    say("", bold(title), "")


def bar(share: float, width: int = BAR) -> str:
    """Return a bar that fills a share of the width, to an eighth of a character."""
    eighths = round(share * width * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def bold(text: str) -> str:
    """Return text in bold, if the terminal supports it."""
    return _styled(text, 1)


def dim(text: str) -> str:
    """Return dim text, if the terminal supports it."""
    return _styled(text, 2)


def _styled(text: str, code: int) -> str:
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return text if plain else f"\033[{code}m{text}\033[0m"
