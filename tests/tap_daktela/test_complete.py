"""T1: every record that exists unchanged while the run lasts, and lies in its range, is emitted.

While rows move between pages, while requests fail and tokens expire, and over runs that are killed.
"""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.simulator import Drift, Fault, Simulator, generate
from tests.tap_daktela import original
from tests.tap_daktela.running import bookmark, run_tap, select, settings

if TYPE_CHECKING:
    from tests.simulator import Dataset

MOVING = (
    "tickets",
    "activities",
    "activities_call",
    "activities_email",
    "activities_chat",
    "accounts",
    "contacts",
)
BACKENDS = ("parallel", "sequential")


def stood_still(simulator: Simulator, before: Dataset, stream: str) -> set[tuple[str, ...]]:
    """Return the keys of the rows that belonged into the table when the run began and did not move since."""
    endpoint = "activities" if stream.startswith("activities") else stream
    moved = {name for table, name in simulator.touched if table == endpoint}
    cursor = original.CURSORS.get(stream)
    until = original.settled(before)
    return {
        original.key(row, stream)
        for row in original.rows(before, stream, until=until)
        if row["name"] not in moved and (cursor is None or row[cursor] < until)
    }


def drifting(seed: int) -> Drift:
    """Rows edited, inserted, closed and deleted after every second request."""
    tables = ("tickets", "activities", "accounts", "contacts")
    return Drift(every=2, edit=4, close=2, insert=1, delete=3, seed=seed, tables=tables, tick=20)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.promise("T1")
def test_nothing_that_stood_still_is_missing_under_drift(backend: str, seed: int) -> None:
    dataset = generate(activities=1500, tickets=900, accounts=400, contacts=300, seed=seed)
    before = dataset.copy()
    with Simulator(dataset, drift=drifting(seed), latency=0.002) as simulator:
        config = settings(simulator, page_size=40, backend=backend)
        run = run_tap(config, catalog=select(*MOVING))
    assert run.code == 0, run.log
    assert len([name for table, name in simulator.touched if table == "tickets"]) > 50, "rows did move"
    for stream in ("tickets", "activities", "activities_call", "activities_email", "activities_chat", "accounts"):
        expected = stood_still(simulator, before, stream)
        assert len(expected) > 50
        assert expected <= set(run.keys(stream)), stream


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.promise("T1")
def test_a_reader_that_trusts_offsets_loses_rows_in_the_same_world(seed: int) -> None:
    """The drift above bites: what everybody does, and the peers of daktela-api.md §6 do, fails in it."""
    dataset = generate(activities=1500, tickets=900, accounts=400, contacts=300, seed=seed)
    before = dataset.copy()
    until = original.settled(before)
    with Simulator(dataset, drift=drifting(seed)) as simulator:
        tickets = read_by_offset(
            simulator, "tickets", f"filter[0][field]=edited&filter[0][operator]=lt&filter[0][value]={until}"
        )
        accounts = read_by_offset(simulator, "accounts", "sort[0][field]=name&sort[0][dir]=asc")
    assert stood_still(simulator, before, "tickets") - tickets
    assert stood_still(simulator, before, "accounts") - accounts


def read_by_offset(simulator: Simulator, endpoint: str, query: str) -> set[tuple[str, ...]]:
    """Read a list as the peers do: by offsets, until the total that the first page told."""
    seen: set[tuple[str, ...]] = set()
    skip, total = 0, 1
    headers = {"X-AUTH-TOKEN": simulator.access_token}
    sort = "" if "sort" in query else "&sort[0][field]=edited&sort[0][dir]=asc"
    while skip < total:
        url = f"{simulator.url}/api/v6/{endpoint}.json?fields[0]=name&{query}{sort}&skip={skip}&take=40"
        result = requests.get(url, headers=headers, timeout=30).json()["result"]
        seen |= {(f"acme_{row['name']}",) for row in result["data"]}
        total, skip = result["total"], skip + 40
    return seen


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.promise("T1")
def test_every_row_comes_exactly_once_when_nothing_moves(backend: str) -> None:
    dataset = generate(activities=3000, tickets=500, seed=5, burst=("2026-03-02 10:00:00", 700))
    with Simulator(dataset) as simulator:
        run = run_tap(settings(simulator, page_size=50, backend=backend))
    assert run.code == 0, run.log
    for stream in original.DEFAULT:
        keys = run.keys(stream)
        assert len(keys) == len(set(keys)), stream
        assert set(keys) == original.keys(dataset, stream), stream


@pytest.mark.parametrize(
    "options",
    [
        {"tie_break": "random"},
        {"total_as": "string"},
        {"total_as": "none"},
        {"data_as": "dict", "bom": True},
        {"timezone_in_answer": False, "login_shape": "string", "login_status": 200},
        {"token_uses": 30},
        {"unknown_fields": "refuse"},
    ],
)
@pytest.mark.promise("T1")
def test_holds_for_every_habit_of_a_server(options: dict[str, Any]) -> None:
    dataset = generate(activities=1200, tickets=300, seed=6, burst=("2026-03-02 10:00:00", 150))
    with Simulator(dataset, **options) as simulator:
        config = {
            "url": simulator.url,
            "server": "acme",
            "username": "robot",
            "password": "secret",
            "page_size": 50,
        }
        run = run_tap(config)
    assert run.code == 0, run.log
    for stream in original.DEFAULT:
        assert set(run.keys(stream)) == original.keys(dataset, stream), stream


# Servers that send fewer rows than asked for, and count wrongly.

TOTALS = ("int", "string", "none", "page", "zero", "negative")


@pytest.mark.parametrize("total", TOTALS)
@pytest.mark.parametrize("cap", [7, 100])
@pytest.mark.promise("T1")
def test_a_server_that_caps_its_pages_is_read_completely(cap: int, total: str) -> None:
    dataset = generate(activities=50 * cap, tickets=650, accounts=250, seed=6, burst=("2026-03-02 10:00:00", 250))
    with Simulator(dataset, page_cap=cap, total_as=total) as simulator:
        catalog = select("activities", "activities_call", "tickets", "accounts")
        run = run_tap(settings(simulator), catalog=catalog)
    assert run.code == 0, run.log
    for stream in ("activities", "activities_call", "tickets", "accounts"):
        keys = run.keys(stream)
        assert set(keys) == original.keys(dataset, stream), stream
        assert len(keys) == len(set(keys)), stream


@pytest.mark.parametrize("total", ["int", "none", "page"])
@pytest.mark.parametrize("after", [0, 3, 9])
@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.promise("T1")
def test_pages_that_are_cut_during_the_run_lose_nothing(every: int, after: int, total: str) -> None:
    """From some request on, each page or each third page has at most 20 rows, and counts only those."""
    dataset = generate(activities=900, tickets=300, accounts=120, seed=6, burst=("2026-03-02 10:00:00", 90))
    fault = Fault(
        "cut",
        times=None,
        rows=20,
        matches=lambda request: request.ordinal > after and request.ordinal % every == 0,
    )
    with Simulator(dataset, faults=[fault], total_as=total) as simulator:
        catalog = select("activities", "tickets", "accounts")
        run = run_tap(settings(simulator, page_size=150), catalog=catalog)
    assert fault.fired
    assert run.code == 0, run.log
    for stream in ("activities", "tickets", "accounts"):
        assert set(run.keys(stream)) == original.keys(dataset, stream), stream


@pytest.mark.parametrize("total", ["int", "none", "page"])
@pytest.mark.promise("T1")
def test_late_closures_are_read_completely_from_a_server_that_caps_its_pages(total: str) -> None:
    dataset = generate(activities=1500, tickets=10, seed=4, open_share=0.2, days=20)
    with Simulator(dataset, page_cap=10, total_as=total) as simulator:
        config = settings(simulator, lookback_minutes=0)
        catalog = select("activities")
        first = run_tap(config, catalog=catalog)
        changed = simulator.advance(minutes=300, close_activities=100)
        simulator.advance(minutes=31)
        second = run_tap(config, catalog=catalog, state=first.state)
    closed = {(f"acme_{name}",) for table, name in changed if table == "activities"}
    assert len(closed) > 80
    assert closed & original.keys(dataset, "activities") <= set(second.keys("activities"))


@pytest.mark.parametrize("limit", [100, 650, 1000])
@pytest.mark.promise("T1")
def test_a_total_that_is_limited_hides_no_rows(limit: int) -> None:
    dataset = generate(activities=1500, tickets=650, accounts=250, seed=6)
    with Simulator(dataset, total_limit=limit) as simulator:
        catalog = select("activities", "tickets", "accounts")
        run = run_tap(settings(simulator, page_size=100), catalog=catalog)
    assert run.code == 0, run.log
    for stream in ("activities", "tickets", "accounts"):
        assert set(run.keys(stream)) == original.keys(dataset, stream), stream


@pytest.mark.parametrize("ignored", ["skip", "take", "sort", "gte", "lt"])
@pytest.mark.parametrize("stream", ["activities", "tickets", "accounts"])
@pytest.mark.promise("T1")
def test_a_server_that_ignores_a_part_of_the_query_is_read_completely_or_fails(stream: str, ignored: str) -> None:
    dataset = generate(activities=900, tickets=300, accounts=120, seed=6, burst=("2026-03-02 10:00:00", 90))
    with Simulator(dataset, ignored={ignored}) as simulator:
        run = run_tap(settings(simulator, page_size=50, start_date="2026-01-15"), catalog=select(stream))
    keys = {original.key(row, stream) for row in original.rows(dataset, stream, since="2026-01-15 00:00:00")}
    if run.code == 0:
        assert keys <= set(run.keys(stream))
    else:
        assert len(run.errors) == 2, run.errors
        assert run.errors[0].startswith(f"{stream} (acme): the server ")
        assert run.bookmark(stream) is None or stream == "activities"
    # No second has two tickets, so no offset is needed for them; accounts are read without a filter.
    is_readable = {"activities": {"take"}, "tickets": {"take", "skip"}, "accounts": {"take", "gte", "lt"}}
    assert (run.code == 0) is (ignored in is_readable[stream])


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.promise("T1")
def test_any_page_size_reads_everything(size: int) -> None:
    dataset = generate(activities=60, tickets=40, accounts=7, seed=7, burst=("2026-03-02 10:00:00", 9))
    with Simulator(dataset) as simulator:
        run = run_tap(settings(simulator, page_size=size), catalog=select("activities", "tickets", "accounts"))
    assert run.code == 0, run.log
    for stream in ("activities", "tickets", "accounts"):
        assert sorted(run.keys(stream)) == sorted(original.keys(dataset, stream)), stream


# Kills.


def killed_runs(config: dict[str, Any], seed: int) -> dict[str, set[Any]]:
    """Kill run after run after some line of output, start the next from the last state; return all keys put out.

    Every fifth run may go on to its end, so that the story has one.
    """
    lots = random.Random(seed)
    state: dict[str, Any] | None = None
    emitted: dict[str, set[Any]] = {}
    for attempt in range(1, 40):
        stop = None if attempt % 5 == 0 else int(lots.expovariate(1 / 900)) + 1
        run = run_tap(config, state=state, stop_after=stop)
        for stream in run.schemas:
            emitted.setdefault(stream, set()).update(run.keys(stream))
        state = run.state or state
        if run.code == 0:
            return emitted
        assert run.code == -signal.SIGKILL, run.log
    raise AssertionError("no run reached its end")


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.promise("T1")
def test_killed_after_any_line_the_union_is_complete(seed: int) -> None:
    dataset = generate(activities=900, tickets=300, seed=seed)
    with Simulator(dataset) as simulator:
        # Without a look-back, nothing but the bookmark itself makes the next run begin where it must.
        config = settings(simulator, page_size=5, lookback_minutes=0)
        emitted = killed_runs(config, seed)
    for stream in original.DEFAULT:
        assert emitted[stream] == original.keys(dataset, stream), stream


@pytest.mark.promise("T1")
def test_a_killed_backfill_goes_on_instead_of_beginning_anew() -> None:
    dataset = generate(activities=2000, tickets=10, seed=2)
    with Simulator(dataset) as simulator:
        config = settings(simulator, page_size=10, lookback_minutes=0)
        catalog = select("activities")
        first = run_tap(config, catalog=catalog, stop_after=1200)
        second = run_tap(config, catalog=catalog, state=first.state)
    assert first.bookmark("activities")
    assert len(second.records["activities"]) < 1300
    assert set(first.keys("activities")) | set(second.keys("activities")) == original.keys(dataset, "activities")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.promise("T1")
def test_killed_under_drift_and_faults_what_stood_still_is_complete(seed: int) -> None:
    dataset = generate(activities=700, tickets=400, accounts=120, seed=seed)
    before = dataset.copy()
    faults = [
        Fault(kind, times=None, after=30, matches=lambda request: request.ordinal % 23 == 0)
        for kind in ("500", "truncated")
    ]
    drift = Drift(
        every=9, edit=2, close=1, insert=1, seed=seed, tables=("tickets", "activities", "accounts"), tick=5
    )
    with Simulator(dataset, drift=drift, faults=faults) as simulator:
        emitted = killed_runs(settings(simulator, page_size=20, lookback_minutes=0), seed)
    for stream in ("tickets", "activities", "activities_call", "accounts"):
        expected = stood_still(simulator, before, stream)
        assert expected <= emitted[stream], stream


# From run to run.


@pytest.mark.parametrize("lookback", [0, 1440])
@pytest.mark.promise("T1")
def test_the_next_run_brings_what_is_new_and_what_was_closed_late(lookback: int) -> None:
    dataset = generate(activities=1500, tickets=300, seed=4, open_share=0.2, days=20)
    with Simulator(dataset) as simulator:
        config = settings(simulator, page_size=100, lookback_minutes=lookback)
        first = run_tap(config)
        before = {row["name"]: dict(row) for row in dataset.tables["activities"]}
        changed = simulator.advance(minutes=180, new_activities=120, edit_tickets=25, close_activities=40)
        simulator.advance(minutes=31)
        simulator.clear()
        second = run_tap(config, state=first.state)
    assert (first.code, second.code) == (0, 0), second.log

    for stream in original.DEFAULT:
        union = set(first.keys(stream)) | set(second.keys(stream))
        assert union == original.keys(dataset, stream), stream
    # What was closed days after it began must not stay open in the warehouse.
    latest = {record["name"]: record for record in [*first.records["activities"], *second.records["activities"]]}
    closed = [
        name
        for table, name in changed
        if table == "activities"
        and before.get(name, {}).get("time_close", "") is None
        and (f"acme_{name}",) in original.keys(dataset, "activities")
    ]
    assert len(closed) > 10
    for name in closed:
        assert latest[f"acme_{name}"]["action"] == "CLOSE", name
        assert latest[f"acme_{name}"]["time_close"] is not None
    edited = [name for table, name in changed if table == "tickets"]
    stages = {row["name"]: row["stage"] for row in dataset.tables["tickets"]}
    tickets = {record["name"]: record for record in second.records["tickets"]}
    assert all(tickets[f"acme_{name}"]["stage"] == stages[name] for name in edited)
    assert len(edited) > 10


@pytest.mark.promise("T1")
def test_late_closures_are_read_before_the_windows_and_move_no_bookmark() -> None:
    dataset = generate(activities=1500, tickets=10, seed=4, open_share=0.2, days=20)
    with Simulator(dataset) as simulator:
        config = settings(simulator, page_size=20, lookback_minutes=0)
        catalog = select("activities")
        first = run_tap(config, catalog=catalog)
        simulator.advance(minutes=300, close_activities=100)
        simulator.advance(minutes=31)
        second = run_tap(config, catalog=catalog, state=first.state)
    late = [record for record in second.records["activities"] if record["time"] < "2026-03-10T11:30:00"]
    assert len(late) > 40
    assert second.records["activities"][: len(late)] == late
    place = next(index for index, message in enumerate(second.messages) if message.get("record") == late[-1])
    before = [message["value"] for message in second.messages[:place] if message["type"] == "STATE"]
    assert {bookmark(state, "activities") for state in before} == {first.bookmark("activities")}


@pytest.mark.promise("T1")
def test_an_unchanged_world_costs_two_requests_per_stream_without_look_back() -> None:
    dataset = generate(activities=500, tickets=100, seed=4)
    with Simulator(dataset) as simulator:
        config = settings(simulator, lookback_minutes=0)
        first = run_tap(config)
        simulator.advance(minutes=60)
        simulator.clear()
        second = run_tap(config, state=first.state)
    assert second.code == 0, second.log
    # The first list of an endpoint that has rows takes one further request, which shows that nothing follows them.
    for endpoint, most in (("tickets", 2), ("activities", 9), ("accounts", 2), ("whoim", 1)):
        asked = [request for request in simulator.requests if request.endpoint == endpoint]
        assert len(asked) <= most, endpoint
