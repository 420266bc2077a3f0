"""Memory does not grow with the number of records."""

from __future__ import annotations

import gc
import io
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from target_daktela_crm.target import TargetDaktelaCrm
from tests.target_daktela_crm.running import company, contact, encoded, feed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FEW, MANY = 3_000, 18_000
"""Both exceed what the target may hold at once: 2,000 rows that are not written yet, and one request."""


class Lines(io.RawIOBase):
    """An input that is generated while it is read."""

    def __init__(self, lengths: Sequence[int]) -> None:
        super().__init__()
        self._lines = self._made(lengths)

    def _made(self, lengths: Sequence[int]) -> Iterator[bytes]:
        yield encoded(feed(bookmark=None))
        for number, length in enumerate(lengths):
            if number % 10 == 0:
                yield encoded([company(number // 10)])
            yield encoded([contact(number, of=number // 10, description="x" * length)])
        yield encoded([{"type": "STATE", "value": {"bookmarks": {"contacts": {"count": len(lengths)}}}}])

    @override
    def __iter__(self) -> Any:
        for several in self._lines:
            yield from io.BytesIO(several)


def peak(folder: Path, lengths: Sequence[int], **settings: Any) -> int:
    """Return the peak of allocated bytes during a run."""
    config = {
        "server": "acme",
        "access_token": "hush",
        "dry_run": str(folder / "requests"),
        "max_request_bytes": 200_000,
        **settings,
    }
    target = TargetDaktelaCrm(config=config)
    gc.collect()
    tracemalloc.start()
    try:
        target.listen(Lines(lengths))  # type: ignore[arg-type]
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.promise("S8")
@pytest.mark.parametrize(
    "settings", [{}, {"load_mode": "full"}, {"only_changed": False, "unknown_company": "detach"}]
)
def test_memory_does_not_grow_with_the_number_of_records(tmp_path: Path, settings: dict[str, Any]) -> None:
    few, many = (peak(tmp_path, [200] * count, **settings) for count in (FEW, MANY))
    sent = sum(path.stat().st_size for path in (tmp_path / "requests").iterdir())

    assert sent > 6_000_000
    assert many < few * 1.1
    assert many < 6_000_000


@pytest.mark.promise("S8")
def test_buffers_are_limited_by_the_size_of_records(tmp_path: Path) -> None:
    # 60 MB in total. In memory are at most 4 MB to write to the store, 4 MB to send, and one request. The large
    # records are last, and so are the ids of their companies.
    most = peak(tmp_path, [200] * 9_000 + [100_000] * 600)
    sent = sum(path.stat().st_size for path in (tmp_path / "requests").iterdir())

    assert sent > 60_000_000
    assert most < 20_000_000
