"""Run the tap as a process, and read its messages, its log and its exit code."""

from __future__ import annotations

import copy
import json
import signal
import subprocess
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tap_daktela.inputs.settings import read
from tap_daktela.reading.instance import Instance
from tap_daktela.tap import TapDaktela
from tests.clocks import ANY_CLOCK
from tests.processes import running
from tests.retries import QUICK
from tests.tap_daktela.quick import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.processes import Process
    from tests.simulator import Simulator

ROOT = Path(__file__).parents[2]
SECONDS = 120


@dataclass
class Run:
    """The result of a run of the tap."""

    code: int
    log: str
    messages: list[dict[str, Any]]
    records: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    schemas: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for message in self.messages:
            if message["type"] == "RECORD":
                self.records[message["stream"]].append(message["record"])
            elif message["type"] == "SCHEMA":
                self.schemas[message["stream"]] = message
            elif message["type"] == "STATE":
                self.states.append(message["value"])

    @property
    def state(self) -> dict[str, Any]:
        """The last state."""
        return self.states[-1] if self.states else {}

    @property
    def errors(self) -> list[str]:
        """The texts of the errors in the log."""
        return [line.split(" | ", 3)[3] for line in self.log.splitlines() if "| ERROR " in line]

    @property
    def warnings(self) -> list[str]:
        """The texts of the warnings in the log."""
        return [line.split(" | ", 3)[3] for line in self.log.splitlines() if "| WARNING " in line]

    def keys(self, stream: str) -> list[tuple[Any, ...]]:
        """The primary keys of the records of a stream, in their order."""
        names = self.schemas[stream]["key_properties"]
        return [tuple(record[name] for name in names) for record in self.records[stream]]

    def bookmark(self, stream: str, server: str = "acme") -> str | None:
        """The bookmark of a stream in the last state."""
        return bookmark(self.state, stream, server)


def bookmark(state: Mapping[str, Any], stream: str, server: str = "acme") -> str | None:
    """Return the bookmark of a stream of an instance in `state`."""
    partitions = state.get("bookmarks", {}).get(stream, {}).get("partitions", [])
    values = [part.get("replication_key_value") for part in partitions if part["context"] == {"server": server}]
    return values[0] if values else None


def settings(simulator: Simulator, **more: Any) -> dict[str, Any]:
    """Return settings that read `simulator` as the instance `acme`."""
    return {"url": simulator.url, "server": "acme", "access_token": simulator.access_token, **more}


def instance_of(simulator: Simulator, **more: Any) -> Instance:
    """Return `simulator` as an `Instance`, for tests without a process."""
    run = read(settings(simulator, **more), "tests", QUICK, ANY_CLOCK)
    return Instance(run.instances[0], run, lambda: None)


def select(*streams: str, columns: Callable[[str, str], bool] = lambda _stream, _column: True) -> dict[str, Any]:
    """Return the catalog of the tap with only `streams` selected, and with only the selected `columns`."""
    catalog: dict[str, Any] = copy.deepcopy(_catalog())
    for entry in catalog["streams"]:
        name = entry["tap_stream_id"]
        for item in entry["metadata"]:
            path = item["breadcrumb"]
            item["metadata"]["selected"] = columns(name, path[1]) if path else name in streams
    return catalog


@cache
def _catalog() -> dict[str, Any]:
    return TapDaktela(config={}, validate_config=False, setup_mapper=False).catalog_dict


def run_command(
    arguments: Iterable[str], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command with any arguments."""
    with running(main, arguments, environment=environment) as process:
        output = process.output.read().decode()
        code = process.wait(SECONDS)
        return subprocess.CompletedProcess([], code, output, process.log())


def run_tap(
    config: Mapping[str, Any],
    *,
    state: Mapping[str, Any] | None = None,
    catalog: Mapping[str, Any] | None = None,
    stop_after: int | None = None,
    stop_with: signal.Signals = signal.SIGKILL,
    environment: Mapping[str, str] | None = None,
    command: Callable[[], None] = main,
) -> Run:
    """Run the tap. After `stop_after` lines of output, it gets the signal `stop_with`.

    For SIGKILL, the result contains only the lines that were read before the signal.
    """
    files = {
        name: content
        for name, content in (("config", config), ("state", state), ("catalog", catalog))
        if content is not None
    }
    arguments = [part for name in files for part in (f"--{name}", f"{{folder}}/{name}.json")]
    encoded = {f"{name}.json": json.dumps(content).encode() for name, content in files.items()}
    with running(command, arguments, files=encoded, environment=environment) as process:
        lines = _read(process, stop_after, stop_with)
        code = process.wait(SECONDS)
        return Run(code, process.log(), [json.loads(line) for line in lines])


def _read(process: Process, stop_after: int | None, stop_with: signal.Signals) -> list[bytes]:
    lines: list[bytes] = []
    if stop_after == 0:
        process.send_signal(stop_with)
    for line in process.output:
        lines.append(line)
        if len(lines) == stop_after:
            process.send_signal(stop_with)
            if stop_with is signal.SIGKILL:
                break
    return lines
