"""Helpers that run the target as a process, and return its exit code, its states and its log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.logs import WITH_SUMMARY, summaries
from tests.processes import running
from tests.target_daktela_crm.quick import main

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable, Mapping

    from tests.simulator import Simulator

ROOT = Path(__file__).parents[2]
SECONDS = 60
"""Timeout of a run."""
COMMAND = (sys.executable, "-m", "tests.target_daktela_crm.quick")
"""The target with short waits between attempts."""

Message = dict[str, Any]


@dataclass
class Run:
    """The result of a run."""

    code: int
    output: str
    log: str
    states: list[dict[str, Any]] = field(default_factory=list)

    @property
    def errors(self) -> list[str]:
        """The errors in the log."""
        return self._texts("ERROR")

    @property
    def warnings(self) -> list[str]:
        """The warnings in the log."""
        return self._texts("WARNING")

    @property
    def summary(self) -> dict[str, Any]:
        """The summary as an object."""
        content: dict[str, Any]
        [content] = summaries(self.log)
        return content

    def _texts(self, level: str) -> list[str]:
        return [line.split(" | ", 3)[3] for line in self.log.splitlines() if f"| {level} " in line]


class Crm:
    """The settings of a target, the folder of its store, and the simulator to which it sends contacts."""

    def __init__(self, simulator: Simulator, folder: Path, **more: Any) -> None:
        self.simulator = simulator
        self.folder = folder
        self.settings: dict[str, Any] = {
            "url": simulator.url,
            "server": "acme",
            "access_token": simulator.access_token,
            "store_path": str(folder / "acme.sqlite3"),
            "request_timeout": 5,
            **more,
        }

    @property
    def store(self) -> Path:
        """The file of the store."""
        return Path(self.settings["store_path"])

    def rejects(self) -> list[dict[str, Any]]:
        """Return the lines of the rejects file."""
        path = self.folder / "acme.rejects.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]

    def run(self, messages: Iterable[Message] | bytes, *arguments: str, **settings: Any) -> Run:
        """Run the target with messages as its input."""
        return run_target({**self.settings, **settings}, encoded(messages), *arguments)

    def deliver(self, *arguments: str, **settings: Any) -> Run:
        """Run `--deliver`, with only the settings that an orchestrator passes."""
        names = ("url", "server", "access_token", "username", "password", "store_path")
        known = {name: value for name, value in self.settings.items() if name in names}
        return run_target({**known, **settings}, b"", "--deliver", *arguments)

    def bodies(self) -> list[dict[str, Any]]:
        """Return the bodies of all sync requests in order, including refused requests."""
        requests = [request for request in self.simulator.requests if request.endpoint == "sync"]
        return [json.loads(request.body) for request in requests]

    def requests(self) -> int:
        """Return the number of sync requests."""
        return sum(request.endpoint == "sync" for request in self.simulator.requests)

    def companies(self) -> dict[str, Any]:
        """Return the companies in Daktela by id."""
        return {key: _content(entry) for key, entry in self.simulator.crm.companies.items()}

    def contacts(self) -> dict[str, Any]:
        """Return the contacts in Daktela by id, each with the id of its company."""
        return {key: _content(entry) for key, entry in self.simulator.crm.contacts.items()}

    def company_of_contacts(self) -> dict[str, str | None]:
        """Return the id of each contact's company in Daktela."""
        return {key: entry["company"] for key, entry in self.contacts().items()}


def _content(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in {"id", "contacts", "origin"}}


def run_target(
    settings: Mapping[str, Any] | None,
    lines: bytes,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Run the target with lines of input. If `settings` is None, it runs without `--config`."""
    config = [] if settings is None else ["--config", "{folder}/config.json"]
    with running(
        main,
        [*config, *arguments],
        lines=lines,
        files={"config.json": json.dumps(settings).encode()},
        environment={**WITH_SUMMARY, **(environment or {})},
    ) as process:
        output = process.output.read()
        code = process.wait(SECONDS)
        return finished(code, output, process.log().encode())


def start_target(
    settings: Mapping[str, Any], *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start the target, and return its process, so that a test can write its input and kill it."""
    path = Path(str(settings.get("store_path", "/tmp/x"))).parent / "config.json"  # noqa: S108 - always set
    path.write_text(json.dumps(settings), encoding="utf-8")
    return subprocess.Popen(
        [*COMMAND, "--config", str(path), *arguments],
        cwd=ROOT,
        env={**os.environ, **WITH_SUMMARY, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def stopped_target(
    settings: Mapping[str, Any], lines: bytes, when: Callable[[], bool], signal_number: signal.Signals
) -> Run:
    """Run the target, and send it a signal as soon as `when` returns true."""
    process = start_target(settings)
    assert process.stdin is not None
    process.stdin.write(lines)
    process.stdin.flush()
    process.stdin.close()
    wait_until(when)
    process.send_signal(signal_number)
    # `communicate` would flush the closed file.
    process.stdin = None
    output, log = process.communicate(timeout=SECONDS)
    return finished(process.returncode, output, log)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "the condition did not become true in time"
        time.sleep(0.005)


def finished(code: int, output: bytes, log: bytes) -> Run:
    """Return the result of a process that has ended."""
    text = output.decode()
    states = [json.loads(line) for line in text.splitlines() if line.startswith('{"')]
    return Run(code, text, log.decode(), states)


# Messages.


def encoded(messages: Iterable[Message] | bytes) -> bytes:
    """Return messages as lines of input."""
    if isinstance(messages, bytes):
        return messages
    return b"".join(json.dumps(message, ensure_ascii=False).encode() + b"\n" for message in messages)


def schema(stream: str, *keys: str) -> Message:
    """Return a SCHEMA message that defines only the keys, and allows any other property."""
    properties = {key: {"type": ["string", "integer", "null"]} for key in keys or ("id",)}
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": properties},
        "key_properties": list(keys or ("id",)),
    }


def record(stream: str, **content: Any) -> Message:
    """Return a RECORD message."""
    return {"type": "RECORD", "stream": stream, "record": content}


def state(value: Any) -> Message:
    """Return a STATE message with a bookmark."""
    return {"type": "STATE", "value": {"bookmarks": {"contacts": {"replication_key_value": value}}}}


def bookmark(run: Run) -> Any:
    """Return the bookmark of the last state, or None."""
    return run.states[-1]["bookmarks"]["contacts"]["replication_key_value"] if run.states else None


def company(number: int | str, name: str | None = None, **more: Any) -> Message:
    """Return a RECORD message of a company in the format of the sync request."""
    content = {
        "name": name or f"Company {number}",
        "description": f"about {number}",
        "fields": {"number": ["+420601000000"]},
    }
    return record("companies", id=number, **{**content, **more})


def contact(number: int | str, of: Any = None, name: str | None = None, **more: Any) -> Message:
    """Return a RECORD message of a contact in the format of the sync request."""
    content = {
        "company_id": of,
        "name": name or f"Contact {number}",
        "firstname": "Contact",
        "lastname": str(number),
        "description": None,
        "fields": {"number": [f"+4206020{number}"], "email": [f"contact{number}@example.com"]},
    }
    return record("contacts", id=number, **{**content, **more})


SCHEMAS = (schema("contacts"), schema("companies"))


def feed(*messages: Message, bookmark: Any = 1) -> list[Message]:
    """Return a complete input: the schemas, the messages, and a state unless `bookmark` is None."""
    return [*SCHEMAS, *messages, *([] if bookmark is None else [state(bookmark)])]
