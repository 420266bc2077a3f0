"""The CRM sync, `/custom/crm/sync.php`.

No source documents the response of a real instance, so there are options for several. A refused load has no
effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.simulator.auth import authenticated
from tests.simulator.envelope import enclose
from tests.simulator.exchange import Answer, Request, empty, html
from tests.simulator.load import Load, LoadError, read_load

if TYPE_CHECKING:
    from tests.simulator.simulator import Simulator

ENDPOINT = "sync"
PATH = "/custom/crm/sync.php"

_PHP = "text/html; charset=UTF-8"
"""The content type of PHP scripts that do not set another one."""

_MESSAGE = "Simulated: the load was refused"


def sync(simulator: Simulator, request: Request) -> Answer:
    """Validate a load and apply it."""
    refusal = _refusal(simulator, request)
    if refusal is not None:
        return refusal
    request.facts = {"applied": False}
    try:
        load = read_load(request.body)
    except LoadError as bad:
        request.facts["refusal"] = str(bad)
        return enclose(simulator, None, 400, bad.error)
    request.body_keys = list(load.content)
    request.facts |= {"companies": len(load.companies), "contacts": len(load.contacts), "delete": load.delete}
    if _poisoned(simulator, load):
        request.facts["refusal"] = "poison"
        return enclose(simulator, None, simulator.sync_poison_status, [_MESSAGE])
    replace = simulator.sync_contacts == "replace"
    done = simulator.crm.apply(load, request.body_bytes, replace=replace, keep=simulator.sync_keep)
    request.facts["applied"] = True
    return _accepted(simulator, done)


def too_large() -> Answer:
    """Return the response of the web server in front of the instance."""
    return html(413, "413 Request Entity Too Large")


def _refusal(simulator: Simulator, request: Request) -> Answer | None:
    """Return the response to a request whose body is not read."""
    simulator.crm.reached(request.body_bytes)
    if request.body_bytes > simulator.sync_limit:
        return too_large()
    if not authenticated(simulator, request):
        return empty(401)
    if ENDPOINT in simulator.missing:
        return empty(404)
    return empty(403) if ENDPOINT in simulator.forbidden else None


def _poisoned(simulator: Simulator, load: Load) -> bool:
    poison = {str(each) for each in simulator.sync_poison}
    return not (poison.isdisjoint(load.companies) and poison.isdisjoint(load.contacts))


def _accepted(simulator: Simulator, done: dict[str, Any]) -> Answer:
    status = simulator.sync_status
    # A response with status 204 never has a body.
    if simulator.sync_answer == "empty" or status == 204:
        return Answer(status, content_type=_PHP)
    if simulator.sync_answer == "text":
        return Answer(status, b"OK", content_type=_PHP)
    return enclose(simulator, done, status)
