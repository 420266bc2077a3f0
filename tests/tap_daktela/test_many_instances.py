"""Many instances need few open files: threads and connections are released between the streams of an instance."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tap_daktela.api.query import Query
from tap_daktela.inputs.settings import read
from tap_daktela.reading.instance import MAX_IDLE_CONNECTIONS, Instance
from tests.clocks import ANY_CLOCK
from tests.retries import QUICK
from tests.simulator import Simulator, generate
from tests.tap_daktela.running import ROOT, instance_of, select

if TYPE_CHECKING:
    from collections.abc import Callable


def _config(simulator: Simulator, count: int) -> dict[str, Any]:
    entry = {"url": simulator.url, "username": simulator.username, "password": simulator.password}
    # With small pages, an instance uses all its connections.
    return {"instances": [{**entry, "server": f"i{number}"} for number in range(count)], "page_size": 10}


def _run(folder: Path, open_files: int, *arguments: str, **files: Any) -> subprocess.CompletedProcess[str]:
    """Run the tap with a limit on the number of open files."""
    given: list[str] = []
    for name, content in files.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        given += [f"--{name}", str(path)]
    command = [sys.executable, "-m", "tests.tap_daktela.quick", *given, *arguments]
    limited = ["sh", "-c", f'ulimit -n {open_files}; exec "$@"', "sh", *command]
    return subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.parametrize(
    ("count", "open_files", "arguments"),
    [
        (200, 256, []),
        # It reads all streams, one after the other.
        (60, 50, ["--test"]),
    ],
)
def test_200_instances_work_with_256_open_files(
    tmp_path: Path, count: int, open_files: int, arguments: list[str]
) -> None:
    with Simulator(generate(activities=60, tickets=3, seed=1), latency=0.002) as simulator:
        files = {"config": _config(simulator, count), "catalog": select("groups", "pauses", "activities")}
        run = _run(tmp_path, open_files, *arguments, **files)
        logins = sum(request.endpoint == "login" for request in simulator.requests)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "WARNING" not in run.stderr
    assert logins == count, "an instance stays signed in"
    if arguments:
        assert run.stdout.count("groups               ok") == count
    else:
        groups = [line for line in run.stdout.splitlines() if '"stream":"groups"' in line and '"RECORD"' in line]
        assert len(groups) == count * len(simulator.dataset.tables["groups"])


def _threads() -> int:
    return sum(thread.name.startswith("fetch-") for thread in threading.enumerate())


def _sockets() -> set[str]:
    """Return the sockets of this process."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def _use(instance: Instance) -> None:
    """Send as many concurrent requests as are allowed."""
    query = Query(endpoint="activities", fields=("name",), sort=("name",), take=2)
    futures = [instance.fetcher.submit(query.page(skip)) for skip in range(0, 20, 2)]
    for future in futures:
        instance.fetcher.take(future)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to count open sockets")
def test_what_an_instance_opens_it_closes_and_opens_again_when_needed() -> None:
    with Simulator(generate(activities=40, tickets=3, seed=1), latency=0.01) as simulator:
        instance = instance_of(simulator, username="robot", password="secret", access_token=None)
        before, listening = _threads(), len(_sockets())
        for _ in range(3):
            _use(instance)
            assert before < _threads() <= before + 5
            instance.release()
            _until(lambda: _threads() == before)
            # Both ends of each connection are in this process; the simulator closes its own a moment later.
            _until(lambda: len(_sockets()) == listening)
        assert [request.endpoint for request in simulator.requests].count("login") == 1


def test_threads_start_when_there_is_something_to_do() -> None:
    with Simulator(generate(activities=40, tickets=3, seed=1)) as simulator:
        before = _threads()
        instance = instance_of(simulator, concurrency=50)
        assert instance.fetcher.concurrency == 50
        assert _threads() == before
        instance.clock("groups")
        assert _threads() == before + 1
        instance.release()


@pytest.mark.parametrize(
    ("count", "concurrency", "released"), [(1, 50, False), (20, 5, False), (21, 5, True), (3, 50, True)]
)
def test_connections_stay_open_between_streams_unless_there_are_many(
    count: int,
    concurrency: int,
    released: bool,  # noqa: FBT001
) -> None:
    assert MAX_IDLE_CONNECTIONS == 100
    with Simulator(generate(activities=40, tickets=3, seed=1)) as simulator:
        run = read({**_config(simulator, count), "concurrency": concurrency}, "tests", QUICK, ANY_CLOCK)
        instance = Instance(run.instances[0], run, lambda: None)
        before = _threads()
        instance.clock("groups")
        instance.end_stream()
        if released:
            _until(lambda: _threads() == before)
        else:
            assert _threads() == before + 1
        instance.release()


def test_an_instance_that_was_not_used_is_released_without_effect() -> None:
    with Simulator(generate(activities=40, tickets=3, seed=1)) as simulator:
        instance = instance_of(simulator)
        instance.release()
        instance.end_stream()
        assert "client" not in vars(instance)
