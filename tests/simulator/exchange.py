"""One request and one answer, as plain data.

In: what the HTTP server read. Out: the records that handlers take and give, and that tests look at
afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

JSON = "application/json; charset=utf-8"

_PAGE = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


@dataclass
class Request:
    """A request as it was logged.

    `query` has fields, filters, sort, skip and take once it was understood. `facts` are a handler's own: `sync`
    says whether the load was `applied`, how many `companies` and `contacts` it had, what its `delete` said, and
    why it was refused (`refusal`).
    """

    ordinal: int
    method: str
    target: str
    path: str
    query_string: str
    headers: dict[str, str]
    body: bytes = field(default=b"", repr=False)
    body_bytes: int = 0
    endpoint: str = ""
    query: dict[str, Any] = field(default_factory=dict)
    body_keys: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
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


def html(status: int, title: str) -> Answer:
    """A page of the web server in front, which knows nothing of envelopes."""
    return Answer(status, _PAGE.format(title).encode(), content_type="text/html; charset=utf-8")
