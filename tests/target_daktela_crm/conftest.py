"""A simulator with an empty CRM, and a target for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulator import Simulator, generate
from tests.target_daktela_crm.running import Crm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def instance() -> Iterator[Simulator]:
    """Return an instance with an empty CRM."""
    with Simulator(generate(activities=0, tickets=0, seed=1)) as simulator:
        yield simulator


@pytest.fixture
def crm(instance: Simulator, tmp_path: Path) -> Crm:
    """Return a target for the instance, with its store in a temporary folder."""
    return Crm(instance, tmp_path)
