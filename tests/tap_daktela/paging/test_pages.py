"""The loop that requests pages and yields batches: rows are complete and in order, and errors stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_daktela.api.outcome import RequestError
from tap_daktela.api.query import Query
from tap_daktela.paging.pages import PageSource, read_by_name, read_windows
from tap_daktela.paging.plan import PageLimit
from tap_daktela.paging.windows import Window
from tests.simulator import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_daktela.api.envelope import Page
    from tap_daktela.reading.instance import Instance
    from tests.simulator import Simulator

    Connect = Callable[..., Instance]

TICKETS = Query(endpoint="tickets", fields=("name", "edited"), sort=("name",), take=10)
ALL_TIME = Window(None, "2999-01-01 00:00:00")


def test_a_list_is_read_completely_by_name(daktela: Simulator, connect: Connect) -> None:
    seen: list[Page] = []
    source = PageSource(connect(daktela).fetcher, PageLimit(), seen.append)
    names = [row.get("name") for batch in read_by_name(source, TICKETS) for row in batch.rows]
    assert names == sorted(row["name"] for row in daktela.dataset.tables["tickets"])
    assert len(seen) > len(names) / TICKETS.take


def test_a_range_is_read_completely_and_ends_with_its_end(daktela: Simulator, connect: Connect) -> None:
    source = PageSource(connect(daktela).fetcher, PageLimit(), lambda _: None)
    batches = list(read_windows(source, TICKETS, "edited", ALL_TIME))
    names = {row.get("name") for batch in batches for row in batch.rows}
    assert names == {row["name"] for row in daktela.dataset.tables["tickets"]}
    assert batches[-1].end == ALL_TIME.end


def test_batches_before_a_failed_page_are_yielded(daktela: Simulator, connect: Connect) -> None:
    daktela.faults = [Fault("400", "tickets", times=None, after=2)]
    source = PageSource(connect(daktela, concurrency=1).fetcher, PageLimit(), lambda _: None)
    rows = []

    def read() -> None:
        for batch in read_by_name(source, TICKETS):
            rows.extend(batch.rows)

    with pytest.raises(RequestError):
        read()
    assert rows


def test_the_observer_can_stop_the_reading(daktela: Simulator, connect: Connect) -> None:
    def stop(page: Page) -> None:
        raise LookupError(len(page.rows))

    source = PageSource(connect(daktela).fetcher, PageLimit(), stop)
    with pytest.raises(LookupError, match="10"):
        next(read_by_name(source, TICKETS))
