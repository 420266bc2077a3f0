"""`meltano run` as a process of its own, for the demo and the pipeline tests.

In: a folder, a simulator's URL and a loader. Out: what the tap emitted, and the bookmarks that Meltano keeps.

The folder becomes a Meltano project with the definition and the installed plugins of this checkout, but with
state, logs and output of its own. The checkout's `.env` has no part in it, nor have the settings in the
caller's environment: neither may lead a test to somebody's real instance.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MELTANO = ROOT / ".venv-meltano" / "bin" / "meltano"
LOADERS = ROOT / ".meltano" / "loaders"

_LINKS = {".venv": ROOT / ".venv", ".meltano/loaders": LOADERS}
_SETTINGS = ("MELTANO_", "TAP_", "TARGET_")
_PATIENCE = 10
_BAD_NEWS = frozenset({"warning", "error", "critical"})
_LAST_WORDS = 12
_SHOWN = 300


class PipelineError(Exception):
    """A run failed; the message says how it ended and where its log is."""


@dataclass(frozen=True)
class Run:
    """What one run did."""

    log: Path
    records: dict[str, int] = field(default_factory=dict)
    """How many records of each stream the tap emitted."""


@dataclass(frozen=True)
class Project:
    """A Meltano project in a folder of its own."""

    folder: Path
    url: str
    """Where the simulator listens."""

    def __post_init__(self) -> None:
        shutil.copy(ROOT / "meltano.yml", self.folder)
        for name, target in _LINKS.items():
            link = self.folder / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)

    def run(self, loader: str, name: str) -> Run:
        """Run the tap into a loader; the log is called after `name`.

        Raises:
            PipelineError: the run did not end well.
        """
        log = self.folder / f"{name}.log"
        arguments = [str(MELTANO), "--log-format", "json", "run", "tap-daktela", loader]
        with (
            log.open("wb") as output,
            subprocess.Popen(
                arguments,
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A group of its own, so that what Meltano has started ends together with it.
                start_new_session=True,
            ) as process,
        ):
            try:
                status = process.wait()
            except BaseException:
                _end(process)
                raise
        entries = _entries(log)
        if status:
            raise PipelineError(_explain(status, entries, log))
        return Run(log, _records(entries))

    def bookmarks(self, loader: str) -> dict[str, datetime]:
        """Return how far each incremental stream has been read."""
        path = self.folder / "state" / f"demo:tap-daktela-to-{loader}" / "state.json"
        state = json.loads(path.read_bytes())["completed"]["singer_state"]["bookmarks"]
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
            "MELTANO_STATE_BACKEND_URI": (self.folder / "state").as_uri(),
        }


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process together with those that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
            return


def _entries(log: Path) -> list[dict[str, Any]]:
    """Return the log's entries; a line that is none, such as a traceback's, becomes one."""
    entries: list[dict[str, Any]] = []
    for line in log.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            entry = line
        entries.append(entry if isinstance(entry, dict) else {"event": line})
    return entries


def _records(entries: list[dict[str, Any]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in entries:
        metric = entry.get("metric_info") or {}
        if metric.get("metric") == "record_count":
            stream = metric["tags"]["stream"]
            counts[stream] = counts.get(stream, 0) + metric["value"]
    return counts


def _explain(status: int, entries: list[dict[str, Any]], log: Path) -> str:
    said = [entry for entry in entries if entry.get("level", "error") in _BAD_NEWS] or entries
    lines = [f"  {entry.get('name') or 'meltano'}: {entry['event']}"[:_SHOWN] for entry in said[-_LAST_WORDS:]]
    return "\n".join([f"meltano ended with exit code {status}. The last of {log}:", *lines])
