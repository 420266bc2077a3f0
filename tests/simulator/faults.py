"""Faults that tests request: error responses, incomplete responses, no response.

The first fault that is due for a request replaces or changes the correct response.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.simulator.auth import parameters_of, token_of
from tests.simulator.envelope import enclose_content
from tests.simulator.exchange import Answer, Request, empty, html
from tests.simulator.query import BadQuery, Filter, Group, parse_query
from tests.simulator.schema import TABLES
from tests.simulator.sync import too_large

if TYPE_CHECKING:
    from tests.simulator.simulator import Simulator

_MESSAGE = "Simulated: the request was refused"


@dataclass
class Fault:
    """A fault of the requests that it matches.

    Attributes:
        kind: One of `KINDS`.
        endpoint: None means every list endpoint, `*` every request; `login`, `whoim` and `sync`
            are endpoints too.
        times: Number of requests that fail. None means all.
        after: Number of matching requests that succeed before.
        type: Activity type that the request filters on.
        skip: True means later pages only, False first pages only.
        above: Only requests for more rows than this; None means all.
        rows: Number of rows that `cut` leaves in a page.
        matches: Another condition.
        hang: Seconds after which `timeout` and `applied-timeout` close the connection.
        delay: Seconds that `slow` waits.
        retry_after: Seconds in the header `Retry-After` of `429`.
        location: Origin to which `redirect` leads. `{token}` in it stands for the token of the request.
        message: The text of the error, if it has one. `{token}` and `{password}` in it stand for those of the
            request. It is also the title of the page of `403-html`.
        seen: Number of matching requests until now.
        fired: Number of requests that failed.
    """

    kind: str
    endpoint: str | None = None
    times: int | None = 1
    after: int = 0
    type: str | None = None
    skip: bool | None = None
    hang: float = 30
    delay: float = 0.5
    retry_after: float = 1
    location: str = "http://127.0.0.2:9"
    message: str = _MESSAGE
    above: int | None = None
    rows: int = 10
    matches: Callable[[Request], bool] | None = None
    seen: int = field(default=0, init=False)
    fired: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is none of the faults {', '.join(KINDS)}")


def due(faults: list[Fault], request: Request) -> Fault | None:
    """Return the first fault that is due for a request, and count the request for each fault."""
    for fault in faults:
        if not _concerns(fault, request) or (fault.times is not None and fault.fired >= fault.times):
            continue
        fault.seen += 1
        if fault.seen > fault.after:
            fault.fired += 1
            return fault
    return None


def _concerns(fault: Fault, request: Request) -> bool:
    if fault.endpoint is None:
        if request.endpoint not in TABLES:
            return False
    elif fault.endpoint not in ("*", request.endpoint):
        return False
    if not _concerns_query(fault, request):
        return False
    return fault.matches is None or fault.matches(request)


def _concerns_query(fault: Fault, request: Request) -> bool:
    if fault.type is None and fault.skip is None and fault.above is None:
        return True
    try:
        query = parse_query(request.query_string)
    except BadQuery:
        return False
    if fault.skip is not None and fault.skip is not (query.skip > 0):
        return False
    if fault.above is not None and query.take <= fault.above:
        return False
    return fault.type is None or fault.type in _types(query.filters)


def _types(filters: tuple[Filter, ...]) -> set[str]:
    """Return the activity types that a filter names."""
    found: set[str] = set()
    for entry in filters:
        if isinstance(entry, Group):
            found |= _types(entry.filters)
        elif entry.field == "type":
            found |= {entry.value} if isinstance(entry.value, str) else set(entry.value)
    return found


@dataclass(frozen=True)
class Case:
    """A fault and its request. `proper` returns the correct response."""

    simulator: Simulator
    fault: Fault
    request: Request
    proper: Callable[[], Answer]


Maker: TypeAlias = Callable[[Case], Answer]


def spoil(case: Case) -> Answer:
    """Return the response of a fault."""
    return KINDS[case.fault.kind](case)


def _status(status: int) -> Maker:
    return lambda _: empty(status)


def _html(status: int, title: str) -> Maker:
    return lambda _: html(status, title)


def _content(content: Callable[[str], dict[str, Any]], status: int = 200) -> Maker:
    return lambda case: enclose_content(case.simulator, content(_message(case)), status)


def _message(case: Case) -> str:
    """Return the text of the error. A server may repeat values of the request."""
    sent = {"token": token_of(case.request), "password": parameters_of(case.request).get("password", "")}
    message = case.fault.message
    for name, value in sent.items():
        message = message.replace(f"{{{name}}}", str(value))
    return message


def _firewall(case: Case) -> Answer:
    return html(403, _message(case))


def _limited(after: Callable[[Case], str]) -> Maker:
    return lambda case: Answer(429, headers={"Retry-After": after(case)})


def _refused(message: str) -> dict[str, Any]:
    return {"error": [message], "result": None}


def _redirected(case: Case) -> Answer:
    location = case.fault.location.replace("{token}", token_of(case.request))
    return Answer(302, headers={"Location": location + case.request.target})


def _echo(message: str) -> dict[str, Any]:
    # A response with status 400 repeats the object with wrong types, so its body is not a record.
    damaged = {"title": None, "nps_score": 0, "customFields": {"number": [None]}, "name": "echo"}
    return {"error": {"form": {"title": message}}, "result": damaged}


def _truncated(case: Case) -> Answer:
    answer = case.proper()
    answer.cut = len(answer.body) // 2
    return answer


def _truncated_json(case: Case) -> Answer:
    answer = case.proper()
    answer.body = answer.body[: len(answer.body) * 3 // 5]
    return answer


def _cut(case: Case) -> Answer:
    """Return a page with fewer rows than requested, whose total counts only these."""
    simulator = case.simulator
    before = simulator.page_cap, simulator.total_as
    simulator.page_cap, simulator.total_as = case.fault.rows, "page"
    try:
        return case.proper()
    finally:
        simulator.page_cap, simulator.total_as = before


def _late(case: Case) -> Answer:
    answer = case.proper()
    answer.wait = case.fault.delay
    return answer


def _applied(lost: Maker) -> Maker:
    """Apply the request, and lose its response."""

    def make(case: Case) -> Answer:
        case.proper()
        return lost(case)

    return make


_LOSSES: dict[str, Maker] = {
    "500": _content(_refused, 500),
    "timeout": lambda case: Answer(drop="close", wait=case.fault.hang),
    "reset": lambda _: Answer(drop="reset"),
    "close": lambda _: Answer(drop="close"),
}

KINDS: dict[str, Maker] = {
    "502-html": _html(502, "502 Bad Gateway"),
    "403-html": _firewall,
    "503": _status(503),
    "429-plain": _status(429),
    "429": _limited(lambda case: f"{case.fault.retry_after:g}"),
    "429-date": _limited(lambda case: formatdate(time.time() + case.fault.retry_after, usegmt=True)),
    "429-negative": _limited(lambda case: f"{-case.fault.retry_after:g}"),
    "400": _content(_echo, 400),
    **{str(status): _status(status) for status in (401, 403, 404)},
    "413": lambda _: too_large(),
    "504": _status(504),
    "cut": _cut,
    "slow": _late,
    **_LOSSES,
    **{f"applied-{kind}": _applied(lost) for kind, lost in _LOSSES.items()},
    "truncated": _truncated,
    "truncated-json": _truncated_json,
    "html": _html(200, "Maintenance"),
    "empty": _status(200),
    "error-200": _content(_refused),
    "no-result": _content(lambda _: {"error": []}),
    "data-null": _content(lambda _: {"error": [], "result": {"data": None, "total": 0}}),
    "redirect": _redirected,
}
"""Name of a fault -> the function that makes its response.

Most faults replace the endpoint, so the request has no effect. `slow` and the truncated ones change the correct
response. With `applied-…`, the request has its effect, but its response is lost as with the fault of the same
name.
"""
