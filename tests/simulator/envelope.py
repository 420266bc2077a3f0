"""What Daktela wraps around every result, in the spellings of different builds.

In: a result, or a page of encoded rows and its total. Out: the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tests.simulator.exchange import Answer

if TYPE_CHECKING:
    from tests.simulator.simulator import Simulator

_BOM = b"\xef\xbb\xbf"


def enclose(simulator: Simulator, result: Any, status: int = 200, error: Any = ()) -> Answer:
    """A single result, or an error with or without one."""
    return enclose_content(simulator, {"error": error, "result": result}, status)


def enclose_content(simulator: Simulator, content: dict[str, Any], status: int) -> Answer:
    """Any content, with the times that every answer carries."""
    return Answer(status, _marked(simulator, msgspec.json.encode(content | _times(simulator))))


def enclose_rows(simulator: Simulator, names: list[Any], rows: list[bytes], total: int | None) -> Answer:
    """A page of rows that are encoded already."""
    if simulator.data_as == "dict":
        pairs = zip(names, rows, strict=True)
        data = b"{%b}" % b",".join(b"%b:%b" % (msgspec.json.encode(str(name)), row) for name, row in pairs)
    else:
        data = b"[%b]" % b",".join(rows)
    count = {"int": total, "string": str(total), "none": None}[simulator.total_as]
    tail = b"" if total is None else b',"total":%b' % msgspec.json.encode(count)
    times = msgspec.json.encode(_times(simulator))[1:]
    return Answer(200, _marked(simulator, b'{"error":[],"result":{"data":%b%b},%b' % (data, tail, times)))


def _times(simulator: Simulator) -> dict[str, str]:
    now = simulator.clock.now
    if not simulator.timezone_in_answer:
        return {"_time": now}
    return {"_serverTime": now, "_time": now, "_timezone": simulator.dataset.timezone}


def _marked(simulator: Simulator, body: bytes) -> bytes:
    return _BOM + body if simulator.bom else body
