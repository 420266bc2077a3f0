"""The control API: the Python interface of the simulator over HTTP, for a simulator in another process.

Names in the JSON bodies are those of `Simulator`, `Fault` and `Drift`. An invalid request gets status 400 with the
reason.

    GET    /__control__/state              url, now, sizes of tables, options, max_in_flight
    POST   /__control__/options            {"latency": 0.05, "strip_relations": ["queue"], "now": "…", …}
    POST   /__control__/advance            {"minutes": 60, "new_activities": 10, …} -> now, touched
    POST   /__control__/faults             a fault or a list of them; GET lists them, DELETE removes them
    POST   /__control__/drift              {"every": 3, "edit": 2, …}; GET shows it, DELETE ends it
    GET    /__control__/touched            [[table, name], …]
    GET    /__control__/requests           the log; DELETE clears it
    GET    /__control__/tables/{table}     whole table; `fields[0]=name…` selects fields
    POST   /__control__/revoke             revokes the tokens of all logins
    GET    /__control__/crm                companies, contacts, born, counts; DELETE empties it
    POST   /__control__/crm                {"data": [company, …], "born": [contact, …]}: initial content
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from tests.simulator.drift import Changes, Drift
from tests.simulator.exchange import Answer, Request, as_json, empty
from tests.simulator.faults import Fault
from tests.simulator.options import check_options
from tests.simulator.projection import Restrictions
from tests.simulator.query import parse_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.simulator import Simulator

PREFIX = "/__control__/"

Lever: TypeAlias = "Callable[[Simulator, Any], Any]"

OPTIONS = (
    *("latency", "username", "password", "access_token", "token_lifetime", "token_uses", "login_shape"),
    *("login_status", "timezone_in_answer", "total_as", "data_as", "bom", "unknown_fields", "tie_break"),
    *("strip_relations", "strip_items", "forbidden", "missing", "now"),
    *("total_limit", "page_cap", "ignored", "user_timezone"),
    *("quota", "quota_seconds", "quota_counts_refused"),
    *("sync_path", "sync_limit", "sync_contacts", "sync_keep", "sync_poison", "sync_poison_status"),
    *("sync_answer", "sync_status"),
)
_SETS = frozenset({"strip_relations", "strip_items", "forbidden", "missing", "ignored", "sync_poison"})


def control(simulator: Simulator, request: Request) -> Answer:
    """Answer a request of the control API."""
    path = request.path.removeprefix(PREFIX)
    try:
        if path.startswith("tables/") and request.method == "GET":
            return _table(simulator, path.removeprefix("tables/"), request.query_string)
        lever = LEVERS.get((request.method, path))
        if lever is None:
            return empty(404)
        content = msgspec.json.decode(request.body) if request.body else {}
        with simulator.lock:
            return as_json(lever(simulator, content))
    except (msgspec.MsgspecError, TypeError, ValueError, LookupError) as refusal:
        return as_json({"error": f"{type(refusal).__name__}: {refusal}"}, 400)


def _table(simulator: Simulator, table: str, query_string: str) -> Answer:
    with simulator.lock:
        rows = simulator.dataset.tables[table]
        view = simulator.views.view(table, parse_query(query_string).fields, Restrictions())
        encoded = view.encode(rows, lambda row: row)
    return Answer(200, b"[%b]" % b",".join(encoded))


def _state(simulator: Simulator, _: Any) -> Any:
    options = {name: getattr(simulator, name) for name in OPTIONS}
    options |= {name: sorted(options[name]) for name in _SETS}
    return {
        "url": simulator.url,
        "max_in_flight": simulator.max_in_flight,
        "requests": len(simulator.requests),
        "tables": {name: len(rows) for name, rows in simulator.dataset.tables.items()},
        **options,
    }


def _set_options(simulator: Simulator, content: Any) -> Any:
    unknown = set(content) - set(OPTIONS)
    if unknown:
        raise ValueError(f"no options {sorted(unknown)}")
    check_options(content)
    for name, value in content.items():
        setattr(simulator, name, set(value) if name in _SETS else value)
    return _state(simulator, None)


def _advance(simulator: Simulator, content: Any) -> Any:
    touched = simulator.advance(**dataclasses.asdict(Changes(**content)))
    return {"now": simulator.now, "touched": sorted(touched, key=str)}


def _add_faults(simulator: Simulator, content: Any) -> Any:
    entries = content if isinstance(content, list) else [content]
    simulator.faults += [Fault(**entry) for entry in entries]
    return _faults(simulator, None)


def _faults(simulator: Simulator, _: Any) -> Any:
    return [dataclasses.asdict(fault) | {"matches": None} for fault in simulator.faults]


def _clear_faults(simulator: Simulator, _: Any) -> Any:
    simulator.faults.clear()
    return []


def _set_drift(simulator: Simulator, content: Any) -> Any:
    simulator.drift = Drift(**content)
    return simulator.drift


def _end_drift(simulator: Simulator, _: Any) -> None:
    simulator.drift = None


def _clear(simulator: Simulator, _: Any) -> Any:
    simulator.clear()
    return []


def _revoke(simulator: Simulator, _: Any) -> Any:
    simulator.revoke()
    return {}


def _requests(simulator: Simulator, _: Any) -> Any:
    return [{name: value for name, value in vars(each).items() if name != "body"} for each in simulator.requests]


def _seed_crm(simulator: Simulator, content: Any) -> Any:
    simulator.crm.seed(**content)
    return simulator.crm.described()


def _clear_crm(simulator: Simulator, _: Any) -> Any:
    simulator.crm.clear()
    return simulator.crm.described()


LEVERS: dict[tuple[str, str], Lever] = {
    ("GET", "state"): _state,
    ("POST", "options"): _set_options,
    ("POST", "advance"): _advance,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _add_faults,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "drift"): lambda simulator, _: simulator.drift,
    ("POST", "drift"): _set_drift,
    ("DELETE", "drift"): _end_drift,
    ("GET", "touched"): lambda simulator, _: sorted(simulator.touched, key=str),
    ("GET", "requests"): _requests,
    ("DELETE", "requests"): _clear,
    ("POST", "revoke"): _revoke,
    ("GET", "crm"): lambda simulator, _: simulator.crm.described(),
    ("POST", "crm"): _seed_crm,
    ("DELETE", "crm"): _clear_crm,
}
