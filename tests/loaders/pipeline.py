"""The tap and a loader as processes: the messages of the one are the input of the other, as in a pipe.

In: settings of both, and the state of the run before. Out: the state that the loader has written, which an
orchestrator keeps for the next run.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.processes import running
from tests.tap_daktela.quick import main

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).parents[2]
SECONDS = 120


class FailedError(Exception):
    """A process ended with another exit code than 0; the message has its log."""


@dataclass(frozen=True)
class Loader:
    """A loader, installed by `make` into an environment of its own."""

    command: Path

    def load(
        self,
        lines: bytes,
        config: Mapping[str, Any],
        folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
        kill: Callable[[str], bool] | None = None,
    ) -> dict[str, Any] | None:
        """Load messages and return the last state that the loader wrote, None for none.

        `folder` is where the loader runs. It is killed at the first line of its log for which `kill` is true.

        Raises:
            FailedError: the loader failed.
        """
        path = folder / "loader.json"
        path.write_text(json.dumps(config), "utf-8")
        given = folder / "messages.jsonl"
        given.write_bytes(lines)
        with (
            given.open("rb") as messages,
            (folder / "state.jsonl").open("w+b") as states,
            subprocess.Popen(
                [self.command, "--config", path],
                cwd=folder,
                env={"PATH": "/usr/bin:/bin", **(environment or {})},
                stdin=messages,
                stdout=states,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
            ) as process,
        ):
            log = []
            for line in process.stderr or ():
                log.append(line)
                if kill is not None and kill(line):
                    process.kill()
            code = process.wait(SECONDS)
            states.seek(0)
            *_, last = [b"null", *states.read().splitlines()]
        if code and kill is None:
            raise FailedError(f"{self.command.name} ended with {code}:\n{''.join(log[-30:])}")
        return dict(json.loads(last)) if last != b"null" else None


def extract(
    config: Mapping[str, Any],
    *,
    state: Mapping[str, Any] | None = None,
    catalog: Mapping[str, Any] | None = None,
    fails: bool = False,
) -> bytes:
    """Return the output of the tap.

    Raises:
        FailedError: the tap failed, or did not fail as expected.
    """
    files = {
        f"{name}.json": json.dumps(content).encode()
        for name, content in (("config", config), ("state", state), ("catalog", catalog))
        if content is not None
    }
    arguments = [part for name in files for part in (f"--{Path(name).stem}", f"{{folder}}/{name}")]
    with running(main, arguments, files=files) as process:
        lines = process.output.read()
        if (process.wait(SECONDS) != 0) is not fails:
            raise FailedError(process.log())
        return lines


def messages(lines: bytes, kind: str) -> list[dict[str, Any]]:
    """Return the messages of a type."""
    found = [json.loads(line) for line in lines.split(b"\n") if line]
    return [message for message in found if message["type"] == kind]
