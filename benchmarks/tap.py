"""What the tap costs: speed, latency, requests, memory, and a run with nothing new."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.prepared_server import recorded, serving
from benchmarks.running import (
    BIN,
    ROOT,
    TOKEN,
    Cost,
    Instance,
    Line,
    at_least,
    at_most,
    cost,
    instance,
    medians,
    written,
)
from tap_daktela.streams.definitions import STREAMS
from tests.loaders import postgresql

if TYPE_CHECKING:
    from pathlib import Path

CONCURRENCY = 5
LATENCY = 0.05
SHARE_OF_CALLS = 0.46
"""Of the simulator's activities."""
END = "2026-03-01T00:00:00Z"
"""Before the simulator's time, so that a run requests the same pages from the prepared server as when they were
recorded."""
HALF_A_YEAR = "2025-09-01T00:00:00Z"
SEVEN_WEEKS = "2026-01-11T00:00:00Z"
"""Where the periods of these lengths before `END` begin."""
JSONL = ROOT / ".meltano/loaders/target-jsonl/venv/bin/target-jsonl"
POSTGRES = ROOT / ".venv-loaders/target-postgres/bin/target-postgres"
"""As `make test` installs them."""
_CALLS = ("activities_call",)
_DEFAULT = tuple(stream.name for stream in STREAMS if stream.selected_by_default)


def measure(folder: Path, *, calls: int, rows: int, runs: int) -> list[Line]:
    """Return the lines about the tap."""
    activities = int(max(calls / SHARE_OF_CALLS, rows))
    with instance(
        "--activities", str(activities), "--tickets", "20", "--days", "720", "--open-share", "0"
    ) as simulator:
        bodies = {
            "calls": recorded(simulator.url, TOKEN, lambda url: cost(_command(folder, url, _CALLS, end_date=END))),
            "eleven": recorded(simulator.url, TOKEN, lambda url: cost(_eleven(folder, url, HALF_A_YEAR))),
            "weeks": recorded(simulator.url, TOKEN, lambda url: cost(_eleven(folder, url, SEVEN_WEEKS))),
            "stock": recorded(simulator.url, TOKEN, lambda url: cost(_stock(folder, url))),
        }
        lines = [*_memory(folder, simulator, activities, runs), *_nothing_new(folder, simulator, runs)]
    return [*_speed(folder, bodies, runs), *_pipelines(folder, bodies["weeks"], max(1, runs // 2)), *lines]


def _command(folder: Path, url: str, streams: tuple[str, ...], **settings: Any) -> list[str]:
    name = f"{len(list(folder.iterdir()))}"
    config = {"url": url, "server": "acme", "access_token": TOKEN, "concurrency": CONCURRENCY, **settings}
    catalog = json.loads(subprocess.check_output([BIN / "tap-daktela", "--discover"], stderr=subprocess.DEVNULL))
    assert {entry["tap_stream_id"] for entry in catalog["streams"]}.issuperset(streams)
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = entry["tap_stream_id"] in streams
    return [
        str(BIN / "tap-daktela"),
        *("--config", written(folder / f"{name}.config.json", config)),
        *("--catalog", written(folder / f"{name}.catalog.json", catalog)),
    ]


def _eleven(folder: Path, url: str, start: str) -> list[str]:
    """Return the command that reads all streams that are selected by default."""
    return _command(folder, url, _DEFAULT, start_date=start, end_date=END)


def _stock(folder: Path, url: str) -> list[str]:
    config = written(folder / "stock.json", {"url": url, "access_token": TOKEN})
    return [sys.executable, "-m", "benchmarks.stock_tap", "--config", config]


def _limit(folder: Path, url: str, name: str, bodies: dict[str, bytes], mode: str) -> list[str]:
    """Return the command of the bare client that requests the same pages with rows."""
    paths = folder / f"{name}.paths"
    paths.write_text("\n".join(path for path, body in bodies.items() if _rows(body)), encoding="utf-8")
    return [sys.executable, "-m", "benchmarks.limit", url, str(paths), mode, str(CONCURRENCY)]


def _rows(body: bytes) -> int:
    """Return the number of rows in the body of a list."""
    result = json.loads(body)["result"]
    rows = result.get("data") if isinstance(result, dict) else None
    return len(rows) if isinstance(rows, list) else 0


def _speed(folder: Path, bodies: dict[str, dict[str, bytes]], runs: int) -> list[Line]:
    """Measure the tap against a server that is never the bottleneck."""
    every = {path: body for of_command in bodies.values() for path, body in of_command.items()}
    rows = {name: sum(map(_rows, of_command.values())) for name, of_command in bodies.items()}
    with serving(folder, every) as server:
        limit = partial(_limit, folder, server.url)
        tap = _command(folder, server.url, _CALLS, end_date=END)
        one = _command(folder, server.url, _CALLS, end_date=END, backend="sequential")
        commands = {
            "server": limit("calls", bodies["calls"], "fetch"),
            "limit": limit("calls", bodies["calls"], "convert"),
            "tap": tap,
            "tap, sequential": one,
            "stock tap": _stock(folder, server.url),
            "eleven: limit": limit("eleven", bodies["eleven"], "convert"),
            "eleven: tap": _eleven(folder, server.url, HALF_A_YEAR),
        }
        found = medians({name: partial(cost, command) for name, command in commands.items()}, runs)
    with serving(folder, every, LATENCY) as server:
        slow = _command(folder, server.url, _CALLS, end_date=END)
        waiting = cost(slow), cost(slow)
    pages = len(bodies["calls"])
    bound = max(pages / CONCURRENCY * LATENCY, found["tap"].seconds)
    wait = min(each.seconds for each in waiting) / bound
    speed = {name: rows[_kind(name)] / each.seconds for name, each in found.items()}
    return [
        *(Line(f"{name}, {rows[_kind(name)]:,} rows", f"{each:,.0f} records/s") for name, each in speed.items()),
        at_least("tap, calls, of the limit", speed["tap"] / speed["limit"], 0.45),
        at_least("tap, calls, of the stock tap", speed["tap"] / speed["stock tap"], 7),
        at_least("tap, eleven streams, of the limit", speed["eleven: tap"] / speed["eleven: limit"], 0.4),
        at_most("tap, 50 ms latency, of the larger of waiting and working", wait, 1.15),
        at_most(f"tap, requests for {rows['calls']:,} calls", pages, 1.15 * rows["calls"] / 1000 + 12),
        at_most("tap, memory, calls", found["tap"].megabytes, 100, " MB"),
        at_most("tap, memory, eleven streams", found["eleven: tap"].megabytes, 100, " MB"),
    ]


def _kind(name: str) -> str:
    return "eleven" if name.startswith("eleven") else "stock" if name.startswith("stock") else "calls"


def _pipelines(folder: Path, bodies: dict[str, bytes], runs: int) -> list[Line]:
    """Measure all streams into nothing and into loaders: the loader limits a pipeline."""
    rows = sum(map(_rows, bodies.values()))
    with serving(folder, bodies) as server:
        command = _eleven(folder, server.url, SEVEN_WEEKS)
        cases = {"nothing": partial(cost, command)}
        if JSONL.exists():
            config = written(folder / "jsonl.json", {"destination_path": str(folder)})
            cases["target-jsonl"] = partial(_piped, command, [str(JSONL), "--config", config])
        if POSTGRES.exists():
            with postgresql.serve() as database_server:
                database = database_server.create_database("benchmark")
                config = written(folder / "postgres.json", {"sqlalchemy_url": database.url, "use_copy": True})
                cases["target-postgres, COPY"] = partial(_piped, command, [str(POSTGRES), "--config", config])
                found = medians(cases, runs)
        else:
            found = medians(cases, runs)
    return [
        Line(f"tap, eleven streams of seven weeks, {rows:,} rows, into {name}", f"{each.seconds:.1f} s")
        for name, each in found.items()
    ]


def _piped(command: list[str], loader: list[str]) -> Cost:
    return cost(["sh", "-c", f"{shlex.join(command)} | {shlex.join(loader)}"])


def _memory(folder: Path, server: Instance, activities: int, runs: int) -> list[Line]:
    # The simulator's activities grow evenly over its days.
    few = _command(folder, server.url, ("activities",), start_date="2025-12-28")
    many = _command(folder, server.url, ("activities",))
    found = medians(
        {"activities, a tenth": lambda: cost(few), "activities": lambda: cost(many)},
        runs,
    )
    small, large = found["activities, a tenth"], found["activities"]
    return [
        Line(f"tap, {activities:,} activities of all kinds", f"{activities / large.seconds:,.0f} records/s"),
        at_most(f"tap, memory at {activities:,} activities", large.megabytes, 150, " MB"),
        at_most("tap, memory, of that at a tenth", large.megabytes / small.megabytes, 1.1),
    ]


def _nothing_new(folder: Path, server: Instance, runs: int) -> list[Line]:
    streams = ("activities", "activities_call", "activities_email", "activities_chat", "tickets")
    command = _command(folder, server.url, streams, lookback_minutes=0, start_date="2026-03-01")
    messages = folder / "first.jsonl"
    cost(command, sink=messages)
    # Line by line: what this process holds is counted as held by those that it starts, before they begin.
    with messages.open(encoding="utf-8") as file:
        last = [line for line in file if line.startswith('{"type":"STATE"')][-1]
    state = written(folder / "state.json", json.loads(last)["value"])
    server.advance(minutes=60)
    server.asked()
    again = [*command, "--state", state]
    cost(again)
    asked = [endpoint for endpoint in server.asked() if endpoint in {"activities", "tickets"}]
    found = medians(
        {"nothing new": lambda: cost(again), "--version": lambda: cost([str(BIN / "tap-daktela"), "--version"])},
        runs,
    )
    seconds = found["nothing new"].seconds / found["--version"].seconds
    return [
        at_most("tap, nothing new: requests per stream", len(asked) / len(streams), 2.5),
        Line("tap, nothing new: of the time of --version", f"{seconds:.2f}", "< 2, and the requests"),
    ]
