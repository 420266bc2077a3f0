"""The costs of the target: speed, runs without changes, memory, and the sizes of request bodies."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks import crm
from benchmarks.prepared_server import serving
from benchmarks.running import BIN, TOKEN, Cost, Line, at_least, at_most, cost, medians, written

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.prepared_server import PreparedServer

LIMIT = 20_000_000
STOCK = [sys.executable, "-m", "benchmarks.stock_target"]


def measure(folder: Path, *, contacts: int, runs: int) -> list[Line]:
    """Return the rows about the target."""
    with serving(folder) as server:
        return [*_speed(folder, server.url, contacts // 10, runs), *_whole(folder, server, contacts, runs)]


def _command(folder: Path, url: str, name: str, **settings: Any) -> list[str]:
    config = {
        "url": url,
        "server": "acme",
        "access_token": TOKEN,
        "store_path": str(folder / f"{name}.sqlite3"),
        **settings,
    }
    return [str(BIN / "target-daktela-crm"), "--config", written(folder / f"{name}.target.json", config)]


def _speed(folder: Path, url: str, contacts: int, runs: int) -> list[Line]:
    """Return rows about a tenth of the contacts, in each format."""
    records = contacts + contacts // crm.PER_COMPANY
    lines: list[Line] = []
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
                f"{shape}, unchanged": partial(cost, command, first),
                f"{shape}, 1 % changed": partial(cost, command, second),
                f"{shape}, stock target": partial(cost, STOCK, first),
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
        lines.append(
            at_most(
                f"target: {shape}, unchanged, of the first run", seconds["unchanged"] / seconds["first run"], 1
            )
        )
    return lines


def _whole(folder: Path, server: PreparedServer, contacts: int, runs: int) -> list[Line]:
    """Return rows about all contacts: speed relative to the stock target, memory, and sizes of bodies.

    The stock target would need two minutes for all contacts. It gets a tenth, and the time of its start is
    subtracted.
    """
    tenth = folder / "daktela.jsonl"
    source = crm.write(folder / "large.jsonl", "daktela", contacts)
    commands = {name: _command(folder, server.url, name, preset="daktela") for name in ("large", "small")}
    sent: dict[str, list[int]] = {}

    def run(name: str, source: Path, *, is_first: bool = True) -> Cost:
        if is_first:
            (folder / f"{name}.sqlite3").unlink(missing_ok=True)
        server.sizes()
        found = cost(commands[name], source)
        sent[f"{name}, first run" if is_first else f"{name}, unchanged"] = server.sizes()
        return found

    found = medians(
        {
            "first run": lambda: run("large", source),
            "unchanged": lambda: run("large", source, is_first=False),
            "first run, a tenth": lambda: run("small", tenth),
            "stock target, a tenth": lambda: cost(STOCK, tenth),
            "stock target, --version": lambda: cost([*STOCK, "--version"]),
        },
        runs,
    )
    source.unlink()
    records = contacts + contacts // crm.PER_COMPANY
    first, again, small = (found[name] for name in ("first run", "unchanged", "first run, a tenth"))
    seconds_of_stock = found["stock target, a tenth"].seconds - found["stock target, --version"].seconds
    times = 10 * seconds_of_stock / first.seconds
    full = sent["large, first run"][:-1]
    filled = sum(full) / (len(full) * LIMIT) if full else 1.0
    return [
        Line(f"target: first run, {contacts:,} contacts", f"{records / first.seconds:,.0f} records/s"),
        Line(f"target: unchanged, {contacts:,} contacts", f"{records / again.seconds:,.0f} records/s"),
        at_least(f"target: first run, {contacts:,} contacts, of the stock target", times, 6),
        at_most("target: unchanged, of the first run, all contacts", again.seconds / first.seconds, 1),
        at_most(f"target: memory at {contacts:,} contacts", first.megabytes, 200, " MB"),
        at_most("target: memory, of that at a tenth", first.megabytes / small.megabytes, 1.1),
        at_least("target: how full bodies are, the last aside", filled, 0.98),
        at_most("target: requests of an unchanged run", len(sent["large, unchanged"]), 0),
    ]
