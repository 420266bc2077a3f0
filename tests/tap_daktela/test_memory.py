"""T5: the number of pages in memory is limited, whatever their rows are."""

from __future__ import annotations

import gc
import sys
import time
from concurrent.futures import wait
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tap_daktela.api import client
from tap_daktela.api.rows import PageReader
from tap_daktela.paging.fetcher import Fetcher
from tap_daktela.reading.stream_reader import Checkpoint, StreamReader
from tap_daktela.streams.definitions import STREAMS
from tap_daktela.tap import TapDaktela
from tests.simulator import Simulator, generate
from tests.tap_daktela.running import instance_of, select, settings

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tap_daktela.api.envelope import Page
    from tap_daktela.api.query import Query
    from tap_daktela.paging.plan import Row

(ACTIVITIES,) = [stream for stream in STREAMS if stream.name == "activities"]
(ACCOUNTS,) = [stream for stream in STREAMS if stream.name == "accounts"]


@pytest.fixture
def outstanding(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of outstanding pages at each request for a page."""
    numbers: list[int] = []
    submit = Fetcher.submit

    def counted(fetcher: Fetcher, query: Query) -> Future[Page]:
        future = submit(fetcher, query)
        numbers.append(fetcher.outstanding)
        return future

    monkeypatch.setattr(Fetcher, "submit", counted)
    return numbers


@pytest.mark.parametrize("concurrency", [1, 5])
@pytest.mark.promise("T5")
def test_pages_held_are_bounded_with_one_dense_window_among_sparse_ones(
    concurrency: int, outstanding: list[int]
) -> None:
    # Thousands of rows in one second and a few in each of sixty days: most windows are nearly empty, one is not.
    dataset = generate(activities=1500, tickets=10, seed=1, days=60, burst=("2026-02-20 10:00:00", 2500))
    with Simulator(dataset) as simulator:
        instance = instance_of(simulator, page_size=20, concurrency=concurrency)
        sync = StreamReader(ACTIVITIES, ACTIVITIES.fields, instance, None)
        records = checkpoints = 0
        for step in sync.read():
            if isinstance(step, Checkpoint):
                checkpoints += 1
            else:
                records += len(step)
                # A slow loader: without a limit, pages would accumulate now.
                if records % 400 < len(step):
                    time.sleep(0.05)
    assert records > 3900
    assert checkpoints > 5
    assert len(outstanding) > 100
    assert max(outstanding) <= 2 * concurrency + 1
    assert simulator.max_in_flight <= concurrency
    assert instance.fetcher.outstanding == 0


@pytest.mark.promise("T5")
def test_pages_of_a_full_table_are_bounded_too(outstanding: list[int]) -> None:
    dataset = generate(activities=10, tickets=10, accounts=3000, seed=1)
    with Simulator(dataset) as simulator:
        instance = instance_of(simulator, page_size=20)
        steps = StreamReader(ACCOUNTS, ACCOUNTS.fields, instance, None).read()
        records = 0
        for step in steps:
            assert not isinstance(step, Checkpoint)
            records += len(step)
    assert records == 3000
    assert len(outstanding) > 150
    assert max(outstanding) <= 11
    assert simulator.max_in_flight <= 5


_OWN_REFERENCES = 3
"""References to a row by the test: those of its list, of the loop, and of the call of `getrefcount`."""


@pytest.mark.parametrize("stream", ["activities", "accounts"])
@pytest.mark.promise("T5")
def test_rows_are_held_no_longer_than_they_are_needed(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Row] = []
    held: list[int] = []
    take = Fetcher.take

    class Recording(PageReader):
        @override
        def __call__(self, body: bytes) -> Page:
            page = super().__call__(body)
            rows.extend(page.rows)
            return page

    def counting_take(fetcher: Fetcher, future: Future[Page]) -> Page:
        requested = list(fetcher._cancellations)
        wait(requested)
        # Besides the pages that have been requested ahead, nothing is left of those before.
        ahead = sum(len(each.result().rows) for each in requested)
        held.append(sum(sys.getrefcount(row) > _OWN_REFERENCES for row in rows) - ahead)
        return take(fetcher, future)

    monkeypatch.setattr(client, "PageReader", Recording)
    monkeypatch.setattr(Fetcher, "take", counting_take)
    dataset = generate(activities=4_000, tickets=10, accounts=4_000, seed=1, days=60)
    with Simulator(dataset) as simulator:
        # Objects that only the collector of cycles frees are held for long.
        gc.disable()
        try:
            TapDaktela(config=settings(simulator, concurrency=1), catalog=select(stream)).sync_all()
        finally:
            gc.enable()
    assert len(rows) > 4_000
    assert len(held) > 3
    assert max(held) == 0


@pytest.mark.promise("T5")
def test_a_reader_that_stops_stops_the_requests() -> None:
    dataset = generate(activities=3000, tickets=10, seed=1)
    with Simulator(dataset, latency=0.01) as simulator:
        instance = instance_of(simulator, page_size=10)
        steps = StreamReader(ACTIVITIES, ACTIVITIES.fields, instance, None).read()
        next(steps)
        instance.fetcher.cancel_all()
        time.sleep(0.3)
        count = len(simulator.requests)
        time.sleep(0.3)
        assert len(simulator.requests) == count
    assert count < 30


def test_sequential_has_one_request_in_flight_and_parallel_several() -> None:
    dataset = generate(activities=2000, tickets=10, seed=1)
    found = {}
    for backend in ("sequential", "parallel"):
        with Simulator(dataset, latency=0.03) as simulator:
            instance = instance_of(simulator, page_size=50, backend=backend)
            for _ in StreamReader(ACTIVITIES, ACTIVITIES.fields, instance, None).read():
                pass
            found[backend] = simulator.max_in_flight
    assert found["sequential"] == 1
    assert 3 <= found["parallel"] <= 5
