"""Find the handler of a path, after the checks that all endpoints share: prefix, faults, token, permissions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote

from tests.simulator.auth import authenticated, login, refresh, whoim
from tests.simulator.endpoints import answer_table
from tests.simulator.exchange import Answer, Request, empty, html
from tests.simulator.faults import Case, due, spoil
from tests.simulator.schema import TABLES
from tests.simulator.sync import ENDPOINT, sync

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.simulator import Simulator

Handler: TypeAlias = "Callable[[Simulator, Request], Answer]"

ROUTES: dict[str, dict[str, Handler]] = {
    "/api/v6/login.json": {"POST": login, "PUT": refresh},
    "/api/v6/whoim.json": {"GET": whoim},
    ENDPOINT: {"POST": sync},
}
"""Path without a table -> method -> handler. These handlers check tokens themselves.

The path of the CRM sync is an option, so the name of its endpoint stands for it here.
"""

_TABLE = re.compile(r"/api/v6/([A-Za-z]+)(?:/([^/]+))?\.json")


def name_endpoint(simulator: Simulator, request: Request) -> None:
    """Set the path below the prefix and the endpoint of a request. Both are empty with another prefix."""
    path = request.target.partition("?")[0]
    below = path.removeprefix(simulator.prefix)
    request.path = below if path.startswith(simulator.prefix) and below.startswith("/") else ""
    match = _TABLE.fullmatch(request.path)
    request.endpoint = match[1] if match else ""
    if request.path == simulator.sync_path:
        request.endpoint = ENDPOINT


def respond(simulator: Simulator, request: Request) -> Answer:
    """Return the response to a request whose endpoint is set."""
    if simulator.url_limit is not None and len(request.target) > simulator.url_limit:
        return html(414, "414 Request-URI Too Large")
    with simulator.lock:
        if simulator.is_over_quota():
            return empty(429)
        fault = due(simulator.faults, request)
        if fault is None:
            return _proper(simulator, request)
        request.fault = fault.kind
        return spoil(Case(simulator, fault, request, lambda: _proper(simulator, request)))


def _proper(simulator: Simulator, request: Request) -> Answer:
    methods = ROUTES.get(ENDPOINT if request.path == simulator.sync_path else request.path)
    if methods is not None:
        handler = methods.get(request.method)
        return empty(405) if handler is None else handler(simulator, request)
    return _table(simulator, request)


def _table(simulator: Simulator, request: Request) -> Answer:
    match = _TABLE.fullmatch(request.path)
    if match is None:
        return empty(404)
    if not authenticated(simulator, request):
        return empty(401)
    endpoint, name = match[1], match[2]
    # In older builds, the endpoint of web chats has the name of the activity type.
    old_chat = simulator.dataset.build == "2021" and endpoint == "activitiesChat"
    table = "activitiesWeb" if old_chat else endpoint
    if table not in TABLES or endpoint in simulator.missing:
        return empty(404)
    if endpoint in simulator.forbidden:
        return empty(403)
    if request.method != "GET":
        return empty(405)
    return answer_table(simulator, request, table, None if name is None else unquote(name))
