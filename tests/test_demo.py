"""The demo: that its page comes to its end, with a smaller contact centre than `make demo` has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import demo, page
from tests.meltano import LOADERS, MELTANO

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(
    not (MELTANO.exists() and LOADERS.exists()), reason="needs Meltano and its loaders: run make test"
)
def test_the_page_comes_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo.demo(tmp_path / "demo", {"activities": 600, "tickets": 120, "days": 30})

    printed = capsys.readouterr().out
    assert "600 activities" in printed
    assert "When does the telephone ring?" in printed
    assert "delivered     119 contacts, 29 companies" in printed
    assert "31 companies and 122 of their contacts" in printed
    assert "daktela.duckdb" in printed
    assert "\033" not in printed


@pytest.mark.parametrize(
    ("share", "expected"), [(0, ""), (1, "██████████"), (0.5, "█████"), (0.5125, "█████▏"), (0.04, "▍")]
)
def test_a_bar_fills_its_share(share: float, expected: str) -> None:
    assert page.bar(share, 10) == expected
