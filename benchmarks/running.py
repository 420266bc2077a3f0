"""Run commands, and measure their seconds, their CPU seconds and their maximum memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
TOKEN = "benchmark"


class Line(NamedTuple):
    """A row of the table of results."""

    what: str
    figure: str
    bound: str = ""
    kept: bool | None = None


def at_most(what: str, value: float, bound: float, unit: str = "") -> Line:
    """Return the row of a value with an upper bound."""
    return Line(what, f"{value:,.4g}{unit}", f"≤ {bound:g}{unit}", value <= bound)


def at_least(what: str, value: float, bound: float, unit: str = "") -> Line:
    """Return the row of a value with a lower bound."""
    return Line(what, f"{value:,.4g}{unit}", f"≥ {bound:g}{unit}", value >= bound)


class Cost(NamedTuple):
    """The measured costs of a command."""

    seconds: float
    processor: float
    megabytes: float


def cost(command: list[str], source: Path | None = None, sink: Path | None = None) -> Cost:
    """Run a command, with files or nothing as standard input and output.

    Raises: RuntimeError: the command failed.
    """
    with (source or Path(os.devnull)).open("rb") as read, (sink or Path(os.devnull)).open("wb") as write:
        metered = subprocess.run(
            [sys.executable, "-S", ROOT / "benchmarks" / "meter.py", *command],
            check=True,
            cwd=ROOT,
            stdin=read,
            stdout=write,
            stderr=subprocess.PIPE,
        )
    code, *figures = json.loads(metered.stderr)
    if code:
        raise RuntimeError(f"{' '.join(command)} ended with {code}")
    return Cost(*figures)


def medians(cases: Mapping[str, Callable[[], Cost]], runs: int) -> dict[str, Cost]:
    """Run all cases alternately, several times, and return the medians of each. The first round does not count."""
    metrics: dict[str, list[Cost]] = {name: [] for name in cases}
    for turn in range(runs + 1):
        for name, case in cases.items():
            found = case()
            if turn:
                metrics[name].append(found)
            sys.stderr.write(f"  {name}: {found.seconds:.2f} s, {found.megabytes:.0f} MB\n")
    return {
        name: Cost(*(median(values) for values in zip(*several, strict=True))) for name, several in metrics.items()
    }


class Instance:
    """A simulator in a separate process."""

    def __init__(self, url: str) -> None:
        self.url = url

    def set(self, **options: Any) -> None:
        """Set options of the simulator, such as its latency."""
        self._ask("POST", "options", options)

    def advance(self, minutes: int) -> None:
        """Move the clock of the simulator without changes."""
        self._ask("POST", "advance", {"minutes": minutes})

    def asked(self) -> list[str]:
        """Return the requested endpoints since the last call."""
        found = [entry["endpoint"] for entry in self._ask("GET", "requests").json()]
        self._ask("DELETE", "requests")
        return found

    def _ask(self, method: str, what: str, content: Any = None) -> requests.Response:
        answer = requests.request(method, f"{self.url}/__control__/{what}", json=content, timeout=60)
        answer.raise_for_status()
        return answer


@contextmanager
def instance(*options: str) -> Iterator[Instance]:
    """Start a simulator, and wait until it is ready."""
    command = [sys.executable, "-m", "tests.simulator", "--port", "0", "--access-token", TOKEN, *options]
    with started(command) as url:
        yield Instance(url)


@contextmanager
def started(command: list[str]) -> Iterator[str]:
    """Start a server, and yield the URL that its first line of output contains as `url=…`."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            found = re.search(r"url=(\S+)", line)
            if found is None:
                raise RuntimeError(f"the server did not start: {line!r}")
            yield found[1]
        finally:
            process.terminate()


def written(path: Path, content: Any) -> str:
    """Write JSON into a file, and return its name."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)
