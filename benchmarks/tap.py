"""What the tap costs: speed, latency, requests, memory, and a run with nothing new."""

from __future__ import annotations

import json
import math
import shlex
import subprocess
import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import requests

from benchmarks.limit import PAGE, parameters
from benchmarks.running import (
    BIN,
    ROOT,
    TOKEN,
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

if TYPE_CHECKING:
    from pathlib import Path

CONCURRENCY = 5
LOADER = ROOT / ".meltano/loaders/target-jsonl/venv/bin/target-jsonl"
"""As `make test` installs it."""
SHARE_OF_CALLS = 0.46
"""Of the simulator's activities."""


def measure(folder: Path, *, calls: int, rows: int, runs: int) -> list[Line]:
    """Return the lines about the tap."""
    activities = math.ceil(max(calls / SHARE_OF_CALLS, rows))
    with instance(
        "--activities", str(activities), "--tickets", "20", "--days", "720", "--open-share", "0"
    ) as server:
        return [
            *_speed(folder, server, runs),
            *_eleven(folder, server, runs),
            *_memory(folder, server, activities, runs),
            *_nothing_new(folder, server, runs),
        ]


def _command(folder: Path, server: Instance, streams: tuple[str, ...], **settings: Any) -> list[str]:
    name = f"{len(list(folder.iterdir()))}"
    config = {"url": server.url, "server": "acme", "access_token": TOKEN, "concurrency": CONCURRENCY, **settings}
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


def _speed(folder: Path, server: Instance, runs: int) -> list[Line]:
    limit = [sys.executable, "-m", "benchmarks.limit", server.url, TOKEN]
    rows = _total(server)
    config = written(folder / "stock.json", {"url": server.url, "access_token": TOKEN})
    stock = [sys.executable, "-m", "benchmarks.stock_tap", "--config", config]
    tap = _command(folder, server, ("activities_call",))
    one = _command(folder, server, ("activities_call",), backend="sequential")
    sequential = "tap, sequential"
    found = medians(
        {
            "limit a": lambda: cost([*limit, "a", str(CONCURRENCY), str(rows)]),
            "limit b": lambda: cost([*limit, "b", str(CONCURRENCY), str(rows)]),
            "tap": lambda: cost(tap),
            sequential: lambda: cost(one),
            "stock tap": lambda: cost(stock),
        },
        runs,
    )
    server.asked()
    cost(tap)
    asked = Counter(server.asked())["activities"]
    pages = math.ceil(rows / PAGE)
    late = 0.05
    server.set(latency=late)
    waiting = medians(
        {"tap, 50 ms": lambda: cost(tap), "tap, sequential, 50 ms": lambda: cost(one)}, max(1, runs // 2)
    )
    server.set(latency=0)
    per_second = {name: rows / each.seconds for name, each in {**found, **waiting}.items()}
    bound = max(pages / CONCURRENCY * late, found["tap"].seconds)
    wait = waiting["tap, 50 ms"].seconds / bound
    return [
        *(Line(f"{name}, {rows:,} calls", f"{speed:,.0f} records/s") for name, speed in per_second.items()),
        at_least("tap, of limit b", per_second["tap"] / per_second["limit b"], 0.35),
        at_least("tap, of the stock tap", per_second["tap"] / per_second["stock tap"], 7),
        Line(
            "tap, sequential, of the stock tap", f"{per_second['tap, sequential'] / per_second['stock tap']:.4g}"
        ),
        at_most("tap, 50 ms latency, of the larger of waiting and working", wait, 1.25),
        at_most(f"tap, requests for {pages} pages", asked, 1.15 * pages + 12),
    ]


def _eleven(folder: Path, server: Instance, runs: int) -> list[Line]:
    """Measure all streams that are selected by default, of the last weeks, into nothing and into a loader."""
    streams = tuple(stream.name for stream in STREAMS if stream.selected_by_default)
    recent = {"start_date": "2026-01-20"}
    many = _command(folder, server, streams, **recent)
    one = _command(folder, server, streams, backend="sequential", **recent)
    lines = []
    for latency in (0, 0.05):
        server.set(latency=latency)
        cases = {"parallel": lambda: cost(many), "sequential": lambda: cost(one)}
        if not latency and LOADER.exists():
            config = written(folder / "loader.json", {"destination_path": str(folder)})
            piped = f"{shlex.join(many)} | {LOADER} --config {config}"
            cases["parallel, into target-jsonl"] = partial(cost, ["sh", "-c", piped])
        lines += [
            Line(
                f"tap, {len(streams)} streams of seven weeks, {latency * 1000:.0f} ms, {name}",
                f"{each.seconds:.1f} s",
            )
            for name, each in medians(cases, max(1, runs // 4)).items()
        ]
    server.set(latency=0)
    return lines


def _total(server: Instance) -> int:
    query = {**parameters(0), "take": 1}
    answer = requests.get(
        f"{server.url}/api/v6/activities.json", params=query, headers={"X-AUTH-TOKEN": TOKEN}, timeout=60
    )
    return int(answer.json()["result"]["total"])


def _memory(folder: Path, server: Instance, activities: int, runs: int) -> list[Line]:
    # The simulator's activities grow evenly over its days.
    few = _command(folder, server, ("activities",), start_date="2025-12-28")
    many = _command(folder, server, ("activities",))
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
    command = _command(folder, server, streams, lookback_minutes=0, start_date="2026-03-01")
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
        at_most("tap, nothing new: requests per stream", len(asked) / len(streams), 2),
        Line("tap, nothing new: of the time of --version", f"{seconds:.2f}", "< 2, and the requests"),
    ]
