"""One request and one answer, as plain data.

In: what the HTTP server read. Out: the records that handlers take and give, and that tests look at
afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

JSON = "application/json; charset=utf-8"


@dataclass
class Request:
    """A request as it was logged; `query` has fields, filters, sort, skip and take once it was understood."""

    ordinal: int
    method: str
    target: str
    path: str
    query_string: str
    headers: dict[str, str]
    body: bytes = field(default=b"", repr=False)
    endpoint: str = ""
    query: dict[str, Any] = field(default_factory=dict)
    body_keys: list[str] = field(default_factory=list)
    status: int = 0
    time: float = 0.0
    seconds: float = 0.0
    in_flight: int = 0
    fault: str = ""


@dataclass
class Answer:
    """What to send, and what is to go wrong while it is sent."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON
    cut: int | None = None
    drop: str = ""
    wait: float = 0.0


def empty(status: int) -> Answer:
    """An answer without a body, as 401, 403 and 404 are."""
    return Answer(status)


def as_json(content: Any, status: int = 200) -> Answer:
    """Any value as JSON."""
    return Answer(status, msgspec.json.encode(content))
