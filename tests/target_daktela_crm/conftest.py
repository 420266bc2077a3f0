"""A simulator with an empty CRM, and the target beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulator import Simulator, generate
from tests.target_daktela_crm.running import Crm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def instance() -> Iterator[Simulator]:
    """Return an instance whose CRM is empty."""
    with Simulator(generate(activities=0, tickets=0, seed=1)) as simulator:
        yield simulator


@pytest.fixture
def crm(instance: Simulator, tmp_path: Path) -> Crm:
    """Return the target beside an instance, with its store in a folder of the test's own."""
    return Crm(instance, tmp_path)


@pytest.fixture
def beside(instance: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Crm]:
    """Return further targets beside the same instance, each with a store of its own."""
    return lambda **settings: Crm(instance, tmp_path_factory.mktemp("beside"), **settings)
