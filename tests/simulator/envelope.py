"""The envelope of every response, in the variants of different builds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tests.simulator.exchange import Answer

if TYPE_CHECKING:
    from tests.simulator.simulator import Simulator

_BOM = b"\xef\xbb\xbf"


def enclose(simulator: Simulator, result: Any, status: int = 200, error: Any = (), timezone: str = "") -> Answer:
    """Return an envelope with a single result, an error, or both."""
    return enclose_content(simulator, {"error": error, "result": result}, status, timezone)


def enclose_content(simulator: Simulator, content: dict[str, Any], status: int, timezone: str = "") -> Answer:
    """Return an envelope with any content and the instance's time, in `timezone` or in the instance's zone."""
    return Answer(status, _marked(simulator, msgspec.json.encode(content | _times(simulator, timezone))))


def enclose_rows(simulator: Simulator, names: list[Any], rows: list[bytes], total: int | None) -> Answer:
    """Return an envelope with a page of encoded rows."""
    if simulator.data_as == "dict":
        pairs = zip(names, rows, strict=True)
        data = b"{%b}" % b",".join(b"%b:%b" % (msgspec.json.encode(str(name)), row) for name, row in pairs)
    else:
        data = b"[%b]" % b",".join(rows)
    if total is not None and simulator.total_limit is not None:
        total = min(total, simulator.total_limit)
    count = {"string": str(total), "none": None, "page": len(rows), "zero": 0, "negative": -1}.get(
        simulator.total_as, total
    )
    tail = b"" if total is None else b',"total":%b' % msgspec.json.encode(count)
    times = msgspec.json.encode(_times(simulator))[1:]
    return Answer(200, _marked(simulator, b'{"error":[],"result":{"data":%b%b},%b' % (data, tail, times)))


def _times(simulator: Simulator, timezone: str = "") -> dict[str, str]:
    now = simulator.clock.now_in(timezone) if timezone else simulator.clock.now
    if not simulator.timezone_in_answer:
        return {"_time": now}
    return {"_serverTime": now, "_time": now, "_timezone": timezone or simulator.dataset.timezone}


def _marked(simulator: Simulator, body: bytes) -> bytes:
    return _BOM + body if simulator.bom else body
