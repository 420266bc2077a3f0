"""Run Meltano as a process, for the demo and the tests.

A `Project` is a Meltano project in its own folder, with the `meltano.yml` and the installed plugins of this
checkout. State, logs and output stay in that folder. The project ignores the `.env` of the checkout and the
settings in the environment, so that no test reaches a real instance.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Entry: TypeAlias = dict[str, Any]

ROOT = Path(__file__).parents[1]
MELTANO = ROOT / ".venv-meltano" / "bin" / "meltano"
PLUGINS_INSTALLED = ROOT / ".meltano" / "test.installed"
"""`make test` writes this file when Meltano has installed all plugins of `meltano.yml`."""
PLUGIN_FOLDERS = (".meltano/extractors", ".meltano/loaders", ".meltano/utilities")
"""Where Meltano installs plugins."""
LOADERS = ROOT / ".meltano" / "loaders"

_SETTINGS = ("MELTANO_", "TAP_", "TARGET_", "DAKTELA_")
_PATIENCE = 10
_BAD_NEWS = frozenset({"warning", "error", "critical"})
_LOG_LINE = re.compile(r"[\d-]+ [\d:,]+ \| ([A-Z]+) +\| ")
"""A log line of a utility, which Meltano passes on as text."""
_LAST_WORDS = 12
_SHOWN = 300


class PipelineError(Exception):
    """A run failed. The message contains its exit code and the path of its log."""


@dataclass(frozen=True)
class Run:
    """The result of a run."""

    log: Path
    entries: list[Entry]
    """The log entries of Meltano and the plugins."""

    @property
    def records(self) -> dict[str, int]:
        """Number of records that the tap emitted, by stream."""
        counts: dict[str, int] = {}
        for entry in self.entries:
            metric = entry.get("metric_info") or {}
            if entry.get("producer") and metric.get("metric") == "record_count":
                stream = metric["tags"]["stream"]
                counts[stream] = counts.get(stream, 0) + metric["value"]
        return counts

    @property
    def summary(self) -> Entry:
        """The summary of the target."""
        [summary] = [entry["summary"] for entry in self.entries if "summary" in entry]
        return dict(summary)

    def lines(self, plugin: str) -> list[str]:
        """Return the lines of a plugin for users: its summary, and lines outside its log."""
        written = [
            entry["event"]
            for entry in self.entries
            if entry.get("name") == plugin and ("plugin_logger" not in entry or "summary" in entry)
        ]
        return [line for event in written if not _LOG_LINE.match(event) for line in event.splitlines()]


@dataclass(frozen=True)
class Project:
    """A Meltano project in its own folder."""

    folder: Path
    url: str
    """The address of the simulator."""

    def __post_init__(self) -> None:
        shutil.copy(ROOT / "meltano.yml", self.folder)
        for name in (*PLUGIN_FOLDERS, "tests"):
            link = self.folder / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(ROOT / name)

    def run(self, *blocks: str, log: str, settings: Mapping[str, str] | None = None) -> Run:
        """Run a pipeline; see `call`."""
        return self.call("run", *blocks, log=log, settings=settings)

    def call(self, *words: str, log: str, settings: Mapping[str, str] | None = None) -> Run:
        """Run a Meltano command with settings in its environment, and write its output to `{log}.log`.

        Raises:
            PipelineError: the command failed.
        """
        path = self.folder / f"{log}.log"
        arguments = [str(MELTANO), "--log-format", "json", *words]
        with (
            path.open("wb") as output,
            subprocess.Popen(
                arguments,
                cwd=self.folder,
                env=self._environment() | {**(settings or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # In a separate process group, so that all processes of Meltano end together.
                start_new_session=True,
            ) as process,
        ):
            try:
                status = process.wait()
            except BaseException:
                _end(process)
                raise
        entries = _entries(path)
        if status:
            raise PipelineError(_explain(status, entries, path))
        return Run(path, entries)

    def state(self, extractor: str, loader: str) -> Entry:
        """Return the bookmarks that Meltano stores."""
        path = self.folder / "state" / f"demo:{extractor}-to-{loader}" / "state.json"
        return dict(json.loads(path.read_bytes())["completed"]["singer_state"]["bookmarks"])

    def bookmarks(self, loader: str) -> dict[str, datetime]:
        """Return the bookmarks of the incremental streams of the tap."""
        state = self.state("tap-daktela", loader)
        partitions = {stream: bookmark["partitions"][0] for stream, bookmark in state.items()}
        return {
            stream: datetime.fromisoformat(partition["replication_key_value"])
            for stream, partition in partitions.items()
            if "replication_key_value" in partition
        }

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
        return kept | {
            "DAKTELA_SIMULATOR_URL": self.url,
            # `tests/crm/replay.py` runs with the first Python of the path.
            "PATH": os.pathsep.join([str(ROOT / ".venv" / "bin"), os.environ["PATH"]]),
            "MELTANO_STATE_BACKEND_URI": (self.folder / "state").as_uri(),
        }


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all processes that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
            return


def _entries(log: Path) -> list[Entry]:
    """Return the entries of a log. Each line that is not JSON, such as a line of a traceback, becomes an entry."""
    entries: list[Entry] = []
    for line in log.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            entry = line
        entries.append(entry if isinstance(entry, dict) else {"event": line})
    return entries


def _explain(status: int, entries: list[Entry], log: Path) -> str:
    said = [entry for entry in entries if _is_bad(entry)] or entries
    lines = [f"  {entry.get('name') or 'meltano'}: {entry['event']}"[:_SHOWN] for entry in said[-_LAST_WORDS:]]
    return "\n".join([f"meltano ended with exit code {status}. The last of {log}:", *lines])


def _is_bad(entry: Entry) -> bool:
    line = _LOG_LINE.match(str(entry["event"]))
    return (line[1].lower() if line else entry.get("level", "error")) in _BAD_NEWS
