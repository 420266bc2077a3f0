"""What the target costs: speed, unchanged runs, memory, and how full request bodies are."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from benchmarks import crm
from benchmarks.running import BIN, TOKEN, Cost, Line, at_least, at_most, cost, endpoint, medians, written

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 20_000_000


def measure(folder: Path, *, contacts: int, runs: int) -> list[Line]:
    """Return the lines about the target."""
    with endpoint() as (url, sizes):
        lines, stock = _speed(folder, url, contacts // 10, runs)
        return [*lines, *_whole(folder, url, sizes, contacts, stock)]


def _command(folder: Path, url: str, name: str, **settings: Any) -> list[str]:
    config = {
        "url": url,
        "server": "acme",
        "access_token": TOKEN,
        "store_path": str(folder / f"{name}.sqlite3"),
        **settings,
    }
    return [str(BIN / "target-daktela-crm"), "--config", written(folder / f"{name}.target.json", config)]


def _speed(folder: Path, url: str, contacts: int, runs: int) -> tuple[list[Line], float]:
    """Return lines about a tenth, and how many native records a second the stock target takes in."""
    records = contacts + contacts // crm.PER_COMPANY
    lines: list[Line] = []
    of_stock = 0.0
    stock = [sys.executable, "-m", "benchmarks.stock_target"]
    for shape in crm.SHAPES:
        first = crm.write(folder / f"{shape}.jsonl", shape, contacts)
        second = crm.write(folder / f"{shape}.2.jsonl", shape, contacts, second_day=True)
        command = _command(folder, url, shape, preset=shape)

        def fresh(command: list[str] = command, first: Path = first, shape: str = shape) -> Cost:
            (folder / f"{shape}.sqlite3").unlink(missing_ok=True)
            return cost(command, first)

        found = medians(
            {
                f"{shape}, first run": fresh,
                f"{shape}, unchanged": lambda command=command, first=first: cost(command, first),
                f"{shape}, 1 % changed": lambda command=command, second=second: cost(command, second),
                f"{shape}, stock target": lambda first=first: cost(stock, first),
            },
            runs,
        )
        lines += [
            Line(f"target: {name}, {contacts:,} contacts", f"{records / each.seconds:,.0f} records/s")
            for name, each in found.items()
        ]
        seconds = {name.removeprefix(f"{shape}, "): each.seconds for name, each in found.items()}
        times = seconds["stock target"] / seconds["first run"]
        lines.append(Line(f"target: {shape}, first run, of the stock target", f"{times:.3g}"))
        of_stock = of_stock or records / seconds["stock target"]
        lines.append(
            at_most(
                f"target: {shape}, unchanged, of the first run", seconds["unchanged"] / seconds["first run"], 1
            )
        )
    return lines, of_stock


def _whole(folder: Path, url: str, sizes: list[int], contacts: int, stock: float) -> list[Line]:
    """Measure what depends on size: memory at a tenth and at all, and how full bodies are."""
    small = cost(_command(folder, url, "small", preset="daktela"), folder / "daktela.jsonl")
    source = crm.write(folder / "large.jsonl", "daktela", contacts)
    sizes.clear()
    command = _command(folder, url, "large", preset="daktela")
    large = cost(command, source)
    filled = sum(sizes[:-1]) / (len(sizes[:-1]) * LIMIT) if len(sizes) > 1 else 1.0
    sizes.clear()
    again = cost(command, source)
    unchanged = len(sizes)
    source.unlink()
    records = contacts + contacts // crm.PER_COMPANY
    return [
        Line(f"target: first run, {contacts:,} contacts", f"{records / large.seconds:,.0f} records/s"),
        Line(f"target: unchanged, {contacts:,} contacts", f"{records / again.seconds:,.0f} records/s"),
        at_least(
            f"target: first run, {contacts:,} contacts, of the stock target", records / large.seconds / stock, 6
        ),
        at_most(f"target: memory at {contacts:,} contacts", large.megabytes, 200, " MB"),
        at_most("target: memory, of that at a tenth", large.megabytes / small.megabytes, 1.1),
        at_least("target: how full bodies are, the last aside", filled, 0.98),
        at_most("target: requests of an unchanged run", unchanged, 0),
    ]
