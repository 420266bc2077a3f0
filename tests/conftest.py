"""Hooks and fixtures of all tests: repeatable random tests, short waits between retries, and a small instance."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import hypothesis
import jsonschema
import pytest

from tap_daktela.api import redaction
from tap_daktela.inputs import settings
from tap_daktela.reading.instance import Instance
from tap_daktela.streams.definitions import STREAMS
from tests.clocks import ANY_CLOCK
from tests.retries import QUICK
from tests.simulator import Simulator, generate
from tests.simulator.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_daktela.streams.fields import Stream

hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=60, database=None)
hypothesis.settings.load_profile("repeatable")


def pytest_configure() -> None:
    """Stop with one line if the simulator lacks a table, instead of failures of all tests that read streams."""
    if missing := missing_tables(STREAMS):
        raise pytest.UsageError("; ".join(missing))


def missing_tables(streams: Iterable[Stream]) -> list[str]:
    """Return a line for each stream whose endpoint is not a table of the simulator."""
    return [
        f"the simulator has no table {stream.endpoint}, which the stream {stream.name} reads: add it to TABLES in "
        "tests/simulator/schema.py, and its rows to tests/simulator/reference.py"
        for stream in streams
        if stream.endpoint not in TABLES
    ]


SLOW_FILES = ("test_console_blocks.py",)
"""Files whose tests take minutes. They start first, so that all workers end at about the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of slow files first."""
    items.sort(key=lambda item: item.path.name not in SLOW_FILES)


_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_FORMATS = jsonschema.FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    """Return whether a text is a datetime of RFC 3339. jsonschema checks this only with another package."""
    return not isinstance(value, str) or bool(
        _DATE_TIME.fullmatch(value) and datetime.fromisoformat(value).tzinfo is not None
    )


@pytest.fixture(scope="session")
def violations() -> Callable[[dict[str, Any], Any], list[str]]:
    """Return a function that lists the violations of a JSON Schema, including the format `date-time`."""

    def check(schema: dict[str, Any], value: object) -> list[str]:
        validator = jsonschema.Draft7Validator(schema, format_checker=_FORMATS)
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]

    return check


@pytest.fixture(autouse=True)
def no_known_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the secrets of other tests, since a process has one set of secrets."""
    monkeypatch.setattr(redaction, "redactor", redaction.Redactor())


@pytest.fixture
def daktela() -> Iterator[Simulator]:
    """Return a small instance that answers immediately."""
    with Simulator(generate(activities=300, tickets=60, seed=7)) as simulator:
        yield simulator


@pytest.fixture
def connect() -> Callable[..., Instance]:
    """Return a function that connects to a simulator as the instance `acme`, with additional settings."""

    def make(simulator: Simulator, **config: Any) -> Instance:
        token = {} if "password" in config else {"access_token": simulator.access_token}
        values = {"url": simulator.url, "server": "acme", **token, **config}
        run = settings.read(values, "tap-daktela/1", QUICK, ANY_CLOCK)
        return Instance(run.instances[0], run, lambda: None)

    return make
