"""Random weeks of a CRM, its tap, the target and Daktela, compared with a model of what Daktela must hold.

Each day, the CRM changes and the target runs: partly, completely, or to stage a load, which may then be delivered.
Runs are killed at any step, answers are lost, streams are missing, Daktela refuses records, and the store is put
back from copies. `world.py` is the CRM, and `expected.py` the model. A failed test prints its seeds, and the
events of the week in which Daktela differs.
"""

from __future__ import annotations

import copy
import json
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from tests.processes import running
from tests.simulator import Fault, Simulator, generate
from tests.target_daktela_crm import in_process
from tests.target_daktela_crm.expected import Expected
from tests.target_daktela_crm.in_process import Death, Result
from tests.target_daktela_crm.quick import main
from tests.target_daktela_crm.running import SECONDS, Crm, encoded, run_target, wait_until
from tests.target_daktela_crm.world import STREAMS, World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.target_daktela_crm.expected import Known
    from tests.target_daktela_crm.running import Message

WEEKS = 300
BATCH = 25
DAYS = 7
LOST_ANSWERS = ("applied-reset", "applied-500", "reset", "500", "503")
WITH_CONDITIONS = {
    "companies": {"company": {"when": "!flag(hidden)", "deleted": "gone"}},
    "contacts": {"contact": {"when": "!flag(hidden)", "deleted": "gone"}},
}
FULL = {"load_mode": "full"}
STAGED = {**FULL, "delete_missing": True}


class InProcess:
    """Runs the target inside this process, which may die at any step."""

    run = staticmethod(in_process.run)
    deliver = staticmethod(in_process.deliver)


class Processes:
    """Runs the target as a process, which is killed while a request waits for its answer."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def run(self, settings: dict[str, Any], messages: list[Message], death: Death | None = None) -> Result:
        """Run the target with messages as its input."""
        return self._result(settings, encoded(messages), death or Death())

    def deliver(self, settings: dict[str, Any], death: Death) -> Result:
        """Run `--deliver --accept-unknown`."""
        return self._result(settings, b"", death, "--deliver", "--accept-unknown")

    def _result(self, settings: dict[str, Any], lines: bytes, death: Death, *arguments: str) -> Result:
        if death.at is None:
            run = run_target(settings, lines, *arguments)
            return Result(run.code, " ".join(run.errors), run.output)
        kind = "applied-timeout" if death.at % 2 else "timeout"
        waiting = Fault(kind, endpoint="sync", after=0 if arguments else death.at % 3, hang=3)
        self._simulator.faults.insert(0, waiting)
        files = {"config.json": json.dumps(settings).encode()}
        options = ["--config", "{folder}/config.json", *arguments]
        with running(main, options, lines=lines, files=files) as process:
            code = None
            while code is None and not waiting.fired:
                with suppress(TimeoutError):
                    code = process.wait(0.005)
            if code is None:
                self._wait_for_the_effect(kind)
                process.send_signal(signal.SIGKILL)
                process.wait(SECONDS)
                death.steps += ["request", kind]
            self._simulator.faults.remove(waiting)
            return Result(code, process.log(), process.output.read().decode())

    def _wait_for_the_effect(self, kind: str) -> None:
        """Wait until Daktela has accepted the request, unless it is lost."""
        [*_, request] = [each for each in self._simulator.requests if each.endpoint == "sync"]
        if kind.startswith("applied"):
            wait_until(lambda: request.facts.get("applied") is not None)


class Week:
    """One week."""

    def __init__(
        self, seed: int, simulator: Simulator, folder: Path, target: InProcess | Processes | None = None
    ) -> None:
        self.chance = Random(seed)
        self.target = target or InProcess()
        self.simulator = simulator
        simulator.crm.clear()
        simulator.sync_poison = set()
        self.world = World(self.chance, is_plain=self.chance.random() < 0.2)
        self.expected = Expected()
        streams = {} if self.world.is_plain else {"streams": WITH_CONDITIONS}
        self.crm = Crm(simulator, folder, max_delete_fraction=1, **streams)
        self.events: list[str] = []
        self.copy: tuple[Path, Known] | None = None
        """A copy of the store, with what it knows."""
        self.is_newer = False
        """Whether anything was sent, or could have been, since the copy was made."""

    def live(self) -> None:
        """Live through the week; compare Daktela with the model after each step."""
        self.world.begin()
        for day in range(DAYS):
            self.events.append(f"day {day}")
            self.world.live_a_day()
            self._disturb()
            self.compare()
            self.chance.choice([self._partial, self._partial, self._partial, self._full, self._stage])()
            if self.chance.random() < 0.3:
                self._copy()

    def _disturb(self) -> None:
        """Let things happen outside of the target's runs."""
        if self.chance.random() < 0.25:
            keys = [*self.world.rows["companies"], *self.world.rows["contacts"]]
            refuses = {key for key in keys if self.chance.random() < 0.15}
            self.expected.refuses = self.simulator.sync_poison = refuses
            self.events.append(f"Daktela refuses {sorted(refuses)}")
        if self.chance.random() < 0.1 and self.simulator.crm.contacts:
            key = self.chance.choice(sorted(self.simulator.crm.contacts))
            self.simulator.crm.contacts[key]["name"] = "by hand"
            self.expected.contacts[key] = ("by hand", self.expected.contacts[key][1])
            self.events.append(f"{key} is changed in Daktela")
        if self.chance.random() < 0.12:
            self._put_back()

    # Runs.

    def _partial(self) -> None:
        streams = STREAMS if self.chance.random() < 0.8 else (self.chance.choice(STREAMS),)
        self._run("partial run", self.world.changes(streams, everything=self.chance.random() < 0.15), {})

    def _full(self) -> None:
        self._run("full run", self.world.changes(STREAMS, everything=True), FULL)

    def _run(self, name: str, messages: list[Message], mode: dict[str, Any]) -> None:
        """Run the target, again if it dies, and compare what it sends."""
        fails = self.chance.random() < 0.1
        self.events.append(f"{name}{', which fails' if fails else ''}: {shown(messages)}")
        before = len(self.simulator.crm.accepted)
        code, sent = self.expected.run(messages, is_full=bool(mode), fails=fails)
        settings = {**self.crm.settings, **mode, "max_request_bytes": 1_000_000 if fails else 700}
        if fails:
            self.simulator.faults.append(Fault("403", endpoint="sync", times=None))
        elif self.chance.random() < 0.2:
            self._lose_an_answer(self.chance.randrange(3))
        result = self._until_it_lives(settings, messages, is_mortal=not fails)
        self.simulator.faults.clear()
        assert result.code == code, result.error
        if result.output:
            self.world.go_on(result.output)
        assert bool(result.output) == (not fails or code == 0)
        bodies = self.simulator.crm.accepted[before:]
        assert all("delete" not in body for body in bodies)
        written = {each["id"] for body in bodies for company in body["data"] for each in company["contacts"]}
        assert written == sent
        self.compare()

    def _until_it_lives(self, settings: dict[str, Any], messages: list[Message], *, is_mortal: bool) -> Result:
        """Run the target until it does not die."""
        self.is_newer = True
        while is_mortal and self.chance.random() < 0.3:
            death = Death(self.chance.randrange(1, 25))
            result = self.target.run(settings, messages, death)
            if result.code is not None:
                return result
            self.events.append(f"it dies at the {death.steps[-1]}, step {death.at}")
            assert not result.output
        return self.target.run(settings, messages)

    def _lose_an_answer(self, after: int) -> None:
        kind = self.chance.choice(LOST_ANSWERS)
        self.simulator.faults.append(Fault(kind, endpoint="sync", after=after))
        self.events.append(f"{kind} after {after} requests")

    # Deletes.

    def _stage(self) -> None:
        streams = STREAMS if self.chance.random() < 0.9 else ("contacts",)
        messages = self.world.changes(streams, everything=True)
        if self.chance.random() < 0.15:
            # Whatever is wrong with the ids.
            for message in messages:
                if message["type"] == "RECORD":
                    message["record"]["id"] = f"wrong-{message['record']['id']}"
        self.events.append(f"staging run: {shown(messages)}")
        self.expected.stage(messages)
        result = self._until_it_lives({**self.crm.settings, **STAGED}, messages, is_mortal=True)
        assert (result.code, result.output) == (0, ""), result
        self.compare()
        if self.chance.random() < 0.3:
            self._copy()
        for _ in range(self.chance.choice([0, 1, 1, 2])):
            self._deliver()
            self.compare()
            if self.chance.random() < 0.2:
                self._put_back()

    def _deliver(self) -> None:
        expected, crm = self.expected, self.simulator.crm
        may_be_delivered = expected.may_be_delivered()
        before = sum("delete" in body for body in crm.accepted)
        death = Death()
        if may_be_delivered and self.chance.random() < 0.3:
            death = Death(self.chance.randrange(1, 9), only_requests=True)
        elif may_be_delivered and self.chance.random() < 0.3:
            kind = self.chance.choice(LOST_ANSWERS)
            self.simulator.faults.append(Fault(kind, endpoint="sync", times=self.chance.choice([1, None])))
            self.events.append(f"{kind} for the delivery")
        result = self.target.deliver({**self.crm.settings}, death)
        self.simulator.faults.clear()
        deletes = sum("delete" in body for body in crm.accepted) - before
        self.events.append(f"delivery: {result.code} {result.error[:90]} {death.steps}, {deletes} accepted")
        if not may_be_delivered:
            assert (result.code, deletes) == (1, 0), result
            return
        self.is_newer = True
        # The bookkeeping is durable after two commits.
        if result.code == 0 or death.steps.count("end of commit") == 2:
            assert deletes
            expected.deliver()
        else:
            assert result.code is None or "unknown" in result.error
            expected.lose_answer(is_applied=bool(deletes))

    # Copies of the store.

    def _copy(self) -> None:
        place = self.crm.store.with_name("copy.sqlite3")
        if not self.crm.store.exists():
            return
        shutil.copy(self.crm.store, place)
        for suffix in ("-wal", "-shm"):
            assert not self.crm.store.with_name(f"{self.crm.store.name}{suffix}").exists()
        self.copy, self.is_newer = (place, copy.deepcopy(self.expected.known)), False
        self.events.append("the store is copied")

    def _put_back(self) -> None:
        if self.copy is not None and self.is_newer:
            shutil.copy(self.copy[0], self.crm.store)
            self.expected.put_back(self.copy[1])
            self.events.append("the store is put back from the copy")

    def compare(self) -> None:
        """Compare Daktela with the model."""
        crm, expected = self.simulator.crm, self.expected
        contacts = {key: (each["name"], each["company"]) for key, each in crm.contacts.items()}
        assert contacts == expected.contacts
        assert {key: each["name"] for key, each in crm.companies.items()} == expected.companies


def shown(messages: list[Message]) -> str:
    """Return the records of a run in short."""
    return "; ".join(" ".join(map(str, each["record"].values())) for each in messages if each["type"] == "RECORD")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """Return an instance whose CRM is empty."""
    with Simulator(generate(activities=0, tickets=0, seed=1)) as instance:
        yield instance


MARKS = [pytest.mark.promise(name) for name in ("S5", "S6", "S7", "S9")]


def promised(test: Any) -> Any:
    """Mark a test with the promises that the model contains."""
    for mark in MARKS:
        test = mark(test)
    return test


@promised
@pytest.mark.parametrize("first", range(0, WEEKS, BATCH))
def test_daktela_holds_what_the_model_says_after_each_step(
    first: int, simulator: Simulator, tmp_path: Path
) -> None:
    # In memory if possible, since nothing here depends on a disk.
    memory = Path("/dev/shm")  # noqa: S108 - see above
    live_weeks(range(first, first + BATCH), simulator, memory if memory.is_dir() else tmp_path, InProcess())


@promised
@pytest.mark.parametrize("seed", range(WEEKS, WEEKS + 3))
def test_daktela_holds_what_the_model_says_if_processes_are_killed(
    seed: int, simulator: Simulator, tmp_path: Path
) -> None:
    live_weeks([seed], simulator, tmp_path, Processes(simulator))


def live_weeks(seeds: Sequence[int], simulator: Simulator, parent: Path, target: InProcess | Processes) -> None:
    """Live through weeks with these seeds; print the seed and the events of a week that fails."""
    print(f"weeks with the seeds {seeds[0]} to {seeds[-1]}")  # noqa: T201 - shown for a test that fails
    for seed in seeds:
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            week = Week(seed, simulator, Path(folder), target)
            try:
                week.live()
            except BaseException:
                print(f"seed {seed}", *week.events, sep="\n  ")  # noqa: T201 - as above
                raise
