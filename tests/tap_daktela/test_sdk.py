"""The SDK's test suite for taps against the simulator, with all streams and all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from tap_daktela.streams.definitions import STREAMS
from tap_daktela.tap import TapDaktela
from tests.simulator import Simulator, generate
from tests.tap_daktela.running import select, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# The class is created before the simulator starts. Its address is set then.
CONFIG: dict[str, Any] = {"server": "acme", "access_token": "x", "url": "http://127.0.0.1:9"}


@pytest.fixture(scope="module", autouse=True)
def _simulator() -> Iterator[None]:
    # An old build has all columns, including those that current builds do not have.
    with Simulator(generate(activities=2500, tickets=120, seed=1, build="2021")) as simulator:
        CONFIG.update(settings(simulator))
        yield


TestTapDaktela = get_tap_test_class(
    TapDaktela,
    config=CONFIG,
    suite_config=SuiteConfig(max_records_limit=None),
    catalog=select(*(stream.name for stream in STREAMS)),
)
