"""The stream of each table of the original extractor has the same rows and cells."""

from __future__ import annotations

import pytest

from tests.simulator import Simulator, generate
from tests.tap_daktela import original
from tests.tap_daktela.running import Run, run_tap, select, settings


@pytest.fixture(scope="module", params=["2026", "2021"])
def pair(request: pytest.FixtureRequest) -> tuple[Simulator, Run]:
    """Return a simulator of a current build or of an old one, which has additional fields, and a run."""
    dataset = generate(activities=1500, tickets=300, seed=3, build=request.param)
    with Simulator(dataset) as simulator:
        run = run_tap(settings(simulator), catalog=select(*original.COLUMNS))
    assert run.code == 0, run.log
    return simulator, run


@pytest.mark.parametrize("stream", original.COLUMNS)
def test_rows_and_cells_are_the_original_s(pair: tuple[Simulator, Run], stream: str) -> None:
    simulator, run = pair
    expected = {original.key(row, stream): None for row in original.rows(simulator.dataset, stream)}
    assert expected, "the simulator has rows for every table"
    assert sorted(run.keys(stream)) == sorted(expected)

    table = original.table(simulator.dataset, stream)
    names = run.schemas[stream]["key_properties"]
    theirs = {tuple(row[name] for name in names): row for row in table}
    for key, record in zip(run.keys(stream), run.records[stream], strict=True):
        for column, value in theirs[key].items():
            assert original.same(record[column], value), (key, column, record[column], value)


@pytest.mark.parametrize("stream", original.COLUMNS)
def test_columns_are_the_original_s_and_in_its_order(pair: tuple[Simulator, Run], stream: str) -> None:
    simulator, run = pair
    theirs = list(original.table(simulator.dataset, stream)[0])
    columns = list(run.schemas[stream]["schema"]["properties"])
    before = [column for column in theirs if column not in {"server", "unique_id"}]
    assert columns[: len(before)] == before
    assert set(theirs) <= set(columns)


def test_unique_id_is_the_worked_example() -> None:
    """daktela-api.md §5.3."""
    dataset = generate(activities=200, tickets=10, seed=1)
    row = next(row for row in dataset.tables["activities"] if row["type"] == "CALL" and row["item"])
    call = row["item"]
    row["name"], call["id_call"] = "activities_5f3a1b2c3d4e5", "2f8c1d7e-1612345678.1234"
    with Simulator(dataset) as simulator:
        run = run_tap(settings(simulator), catalog=select("activities_call"))
    ids = {record["activities_name"]: record["unique_id"] for record in run.records["activities_call"]}
    assert ids["acme_activities_5f3a1b2c3d4e5"] == "c2f54e9b3e27826a48e8f5a02f9be569"


def test_one_call_has_a_row_for_each_of_its_activities(pair: tuple[Simulator, Run]) -> None:
    _, run = pair
    calls = [record["item_id_call"] for record in run.records["activities_call"]]
    assert len(set(calls)) < len(calls)
