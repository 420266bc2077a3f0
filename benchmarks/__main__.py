"""`make bench`: measure both commands, and write `benchmarks/RESULTS.md`.

Speeds are compared as ratios of medians from the same run, since machines differ and measurements vary.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import tap, target

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.running import Line

RESULTS = Path(__file__).with_name("RESULTS.md")
_PACKAGES = ("singer-sdk", "msgspec", "requests", "jmespath")


def table(lines: list[Line]) -> str:
    """Return the lines as Markdown."""
    marks = {None: "", True: "kept", False: "**missed**"}
    rows = [f"| {line.what} | {line.figure} | {line.bound} | {marks[line.kept]} |" for line in lines]
    return "\n".join(["| what | figure | bound | |", "|---|---|---|---|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure both commands.")
    parser.add_argument("--runs", type=int, default=5, help="of which the median is taken")
    parser.add_argument("--calls", type=int, default=300_000)
    parser.add_argument("--rows", type=int, default=1_000_000, help="activities for the tap's memory")
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["tap", "target"], help="the other part of the results stays as it is")
    given = parser.parse_args()
    measures: dict[str, Callable[[Path], list[Line]]] = {
        "tap": lambda folder: tap.measure(folder, calls=given.calls, rows=given.rows, runs=given.runs),
        "target": lambda folder: target.measure(folder, contacts=given.contacts, runs=given.runs),
    }
    versions = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    head = (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with `{command}`: Python {platform.python_version()}, "
        f"{versions}, {os.cpu_count()} cores, medians of {given.runs} runs. The server runs on the same cores."
    )
    parts = _parts()
    for part, measure in measures.items():
        if given.only in {None, part}:
            with tempfile.TemporaryDirectory() as name:
                parts[part] = f"{head}\n\n{table(measure(Path(name)))}\n"
            sys.stdout.write(parts[part])
    sections = [f"## {part.capitalize()}\n\n{parts[part]}" for part in measures if part in parts]
    RESULTS.write_text("\n".join(["# What the commands cost\n", *sections]), encoding="utf-8")


def _parts() -> dict[str, str]:
    """Return the parts of the results."""
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    parts = (section.partition("\n\n") for section in text.split("\n## ")[1:])
    return {title.lower(): f"{content.strip()}\n" for title, _, content in parts}


if __name__ == "__main__":
    main()
