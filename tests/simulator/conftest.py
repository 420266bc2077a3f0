"""Fixtures with a small instance on loopback: one for each test, and a shared one for tests that only read."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.simulator.generate import generate
from tests.simulator.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.dataset import Dataset


@cache
def _dataset() -> Dataset:
    return generate(activities=400, tickets=80, accounts=40, contacts=60)


def small() -> Simulator:
    return Simulator(_dataset().copy())


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with small() as running:
        yield running


@pytest.fixture(scope="session")
def reading() -> Iterator[Simulator]:
    """Return a shared instance for tests that change nothing."""
    with small() as running:
        yield running
