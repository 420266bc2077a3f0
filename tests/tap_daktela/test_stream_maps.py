"""Stream maps that fail: one line for the person who wrote them, and the other streams are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulator import Simulator, generate
from tests.tap_daktela.running import run_tap, select, settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(generate(activities=100, tickets=60, seed=2)) as instance:
        yield instance


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("int(title)", "ValueError"),
        ("{'a': 1}[title]", "stream_maps"),
        ("title + 1", "TypeError"),
        ("nosuch", "nosuch"),
    ],
)
def test_t2_an_expression_that_fails_ends_its_stream_alone(
    simulator: Simulator, expression: str, reason: str
) -> None:
    maps = {"tickets": {"title": expression}}
    run = run_tap(settings(simulator, stream_maps=maps), catalog=select("queues", "tickets", "users"))

    assert run.code == 1
    assert "Traceback" not in run.log
    [failure, end] = run.errors
    assert failure.startswith("tickets (acme): stream_maps: ")
    assert reason in failure
    assert "tickets (acme)" in end
    assert run.records["queues"]
    assert run.records["users"], "a stream after the one that failed was not read"
    assert run.bookmark("tickets") is None
    titles = {row["title"] for row in simulator.dataset.tables["tickets"]}
    assert not [title for title in titles if title and len(title) > 5 and title in run.log]
