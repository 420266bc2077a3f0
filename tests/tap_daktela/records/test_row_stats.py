from __future__ import annotations

from tap_daktela.records.row_stats import RowStats


def test_a_type_is_itemless_if_all_of_its_rows_are_orphans() -> None:
    stats = RowStats()
    stats.orphans.update({"CALL": 2, "EMAIL": 1})
    stats.items.update({"EMAIL": 1, "CHAT": 1})
    assert stats.itemless == ["CALL"]
