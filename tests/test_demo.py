"""The demo prints its complete page, here with a smaller contact centre than `make demo`.

The queries of `examples/warehouse` also run on its warehouse, whose tables a real loader has created.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, time
from statistics import median
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from examples.warehouse.page import ask
from tests import demo, page
from tests.meltano import PLUGINS_INSTALLED
from tests.test_warehouse import assert_page

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(not PLUGINS_INSTALLED.exists(), reason="needs Meltano and its plugins: run make test")
def test_the_page_is_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo.demo(tmp_path / "demo", {"activities": 600, "tickets": 120, "days": 30})

    printed = capsys.readouterr().out
    assert "600 activities" in printed
    assert "When does the telephone ring?" in printed
    assert "delivered     119 contacts, 29 companies" in printed
    assert "31 companies and 122 of their contacts" in printed
    assert "daktela.duckdb" in printed
    assert "\033" not in printed

    warehouse, charts = tmp_path / "demo" / "daktela.duckdb", tmp_path / "demo" / "contact-centre.html"
    assert "contact-centre.html in a browser" in printed
    assert_page(charts, warehouse)
    with duckdb.connect(warehouse, read_only=True) as connection:
        assert_calls(connection)
        assert_tickets(connection)


def assert_calls(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Compare both queries of calls with an independent count."""
    calls = {row["item_id_call"]: row for row in rows_of(warehouse, "activities_call", "item_direction = 'in'")}
    assert len(calls) > 100
    counted: Counter[tuple[str | None, time]] = Counter()
    in_time: Counter[tuple[str | None, time]] = Counter()
    for each in calls.values():
        local = each["item_call_time"].replace(tzinfo=UTC).astimezone(demo.ZONE)
        cell = each["item_id_queue_name"], time(local.hour, local.minute // 30 * 30)
        counted[cell] += 1
        in_time[cell] += each["item_answered"] and each["item_waiting_time"] <= 20
    cells = [row for row in ask(warehouse, "service_level").rows if row["half_hour"]]
    assert {(row["queue_name"], row["half_hour"]): row["offered"] for row in cells} == counted
    assert {(row["queue_name"], row["half_hour"]): row["answered_in_time"] for row in cells} == in_time

    whole, *half_hours = ask(warehouse, "abandoned_calls").rows
    assert sum(row["offered"] for row in half_hours) == whole["offered"] == len(calls)
    gave_up = sum(each["item_disconnection_cause"] == "abandon" for each in calls.values())
    assert whole["abandoned"] + whole["short_abandons"] == gave_up > 0


def assert_tickets(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Compare the query of first answers with an independent count."""
    tickets = rows_of(warehouse, "tickets", "first_answer IS NOT NULL AND id_merge_name IS NULL")
    seconds = [(each["first_answer"] - each["created"]).total_seconds() for each in tickets]
    whole, *_ = ask(warehouse, "first_answer_time").rows
    assert (whole["answered"], whole["median_seconds"]) == (len(seconds), median(seconds))


def rows_of(warehouse: duckdb.DuckDBPyConnection, table: str, condition: str) -> list[dict[str, Any]]:
    result = warehouse.execute(f"FROM {table} WHERE {condition}")
    columns = [column for column, *_ in result.description]
    return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]


@pytest.mark.parametrize(
    ("share", "expected"), [(0, ""), (1, "██████████"), (0.5, "█████"), (0.5125, "█████▏"), (0.04, "▍")]
)
def test_a_bar_fills_its_share(share: float, expected: str) -> None:
    assert page.bar(share, 10) == expected
