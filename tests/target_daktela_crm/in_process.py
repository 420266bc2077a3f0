"""The target inside this process, which may die at any step, as a process that is killed does.

A run in a process of its own takes ten times as long. A killed process leaves the same: what it has committed.
"""

from __future__ import annotations

import io
import logging
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from tap_daktela.api.client import Client
from tap_daktela.cli.errors import InputError, RunError
from target_daktela_crm.store import store as store_module
from target_daktela_crm.store.schema import StoreError, connect
from target_daktela_crm.store.store import Store
from tests.target_daktela_crm.quick import QuickTarget
from tests.target_daktela_crm.running import Message, encoded

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path


class Killed(BaseException):
    """Stands for the death of the process."""


@dataclass
class Result:
    """What became of a run or a delivery."""

    code: int | None
    """The exit code; None if the process has died."""
    error: str = ""
    output: str = ""


@dataclass
class Death:
    """The step at which the process dies: a step is a request, a commit, or a write of the journal, or its end."""

    at: int | None = None
    """Number of the step; None to live."""
    only_requests: bool = False
    """Whether only requests, and the steps after the first one, count."""
    steps: list[str] = field(default_factory=list)
    """Names of the steps so far."""
    is_dead: bool = False
    connections: list[sqlite3.Connection] = field(default_factory=list)
    """Those to the store, which the system closes when a process dies."""

    def step(self, name: str) -> None:
        """Note a step, and die at the chosen one."""
        if self.only_requests and not self.steps and name != "request":
            return
        self.steps.append(name)
        if len(self.steps) == self.at:
            self.is_dead = True
            raise Killed


@contextmanager
def mortal(death: Death) -> Iterator[None]:
    """Let the process die at a step, and change nothing after it."""
    with ExitStack() as stack:
        for owner, name in ((Client, "post"), (Store, "commit"), (store_module, "write_journal")):
            stack.enter_context(patch.object(owner, name, _mortal(getattr(owner, name), name, death)))

        def recording(path: Path | None) -> sqlite3.Connection:
            death.connections.append(connect(path))
            return death.connections[-1]

        stack.enter_context(patch.object(store_module, "connect", recording))
        try:
            yield
        finally:
            for connection in death.connections:
                connection.close()


def _mortal(act: Any, name: str, death: Death) -> Any:
    label = "request" if name == "post" else name

    def wrapped(*arguments: Any, **options: Any) -> Any:
        if death.is_dead:
            return None
        death.step(label)
        result = act(*arguments, **options)
        death.step(f"end of {label}")
        return result

    return wrapped


def run(settings: Mapping[str, Any], messages: Iterable[Message], death: Death | None = None) -> Result:
    """Run the target with messages as its input."""
    return _result(settings, death or Death(), lambda target: target.listen(io.BytesIO(encoded(messages))))


def deliver(settings: Mapping[str, Any], death: Death | None = None) -> Result:
    """Run `--deliver --accept-unknown`."""
    return _result(settings, death or Death(), lambda target: target.deliver(accept_unknown=True))


def _result(settings: Mapping[str, Any], death: Death, act: Any) -> Result:
    output = io.StringIO()
    target = None
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with mortal(death), redirect_stdout(output):
            target = QuickTarget(config=dict(settings))
            act(target)
    except (RunError, InputError, StoreError) as error:
        return Result(1, str(error), output.getvalue())
    except Killed:
        return Result(None, "", output.getvalue())
    finally:
        logging.disable(disabled)
        if target is not None and "run" in vars(target):
            target.run.rejects.close()
    return Result(0, "", output.getvalue())
