"""A request and a response as plain data. Handlers use them, and tests inspect them in the log."""

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

    `query` contains fields, filters, sort, skip and take of a valid list request. `facts` depend on the handler:
    `sync` adds whether the load was `applied`, the number of its `companies` and `contacts`, its `delete`, and the
    reason why it was refused (`refusal`).
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
    """A response, and the fault that happens while it is sent."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON
    cut: int | None = None
    drop: str = ""
    wait: float = 0.0


def empty(status: int) -> Answer:
    """Return a response without a body, as for 401, 403 and 404."""
    return Answer(status)


def as_json(content: Any, status: int = 200) -> Answer:
    """Return any value as JSON."""
    return Answer(status, msgspec.json.encode(content))


def html(status: int, title: str) -> Answer:
    """Return an HTML page of the web server in front of the instance, which has no envelope."""
    return Answer(status, _PAGE.format(title).encode(), content_type="text/html; charset=utf-8")
