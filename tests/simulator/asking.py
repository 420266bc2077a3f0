"""Send requests to the simulator over HTTP, with fields, filters and sort as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from tests.simulator.schema import Row
    from tests.simulator.simulator import Simulator

TIMEOUT = 10


def brackets(name: str, value: Any) -> list[tuple[str, str]]:
    """Return nested data as query parameters in PHP's notation."""
    if isinstance(value, dict):
        return [pair for key, each in value.items() for pair in brackets(f"{name}[{key}]", each)]
    if isinstance(value, list | tuple):
        return [pair for key, each in enumerate(value) for pair in brackets(f"{name}[{key}]", each)]
    return [(name, str(value))]


def get(simulator: Simulator, endpoint: str, **parameters: Any) -> requests.Response:
    """Send a GET request with the permanent token."""
    pairs = [pair for name, value in parameters.items() for pair in brackets(name, value)]
    headers = {"X-AUTH-TOKEN": simulator.access_token}
    url = f"{simulator.url}/api/v6/{endpoint}.json"
    return requests.get(url, params=pairs, headers=headers, timeout=TIMEOUT, allow_redirects=False)


def page(simulator: Simulator, endpoint: str, **parameters: Any) -> Any:
    """Return the `result` of a request, which must succeed."""
    response = get(simulator, endpoint, **parameters)
    assert response.status_code == 200, response.text
    content = response.json()
    assert content["error"] == []
    return content["result"]


def rows(simulator: Simulator, endpoint: str, **parameters: Any) -> list[Row]:
    """Return the rows of a page with up to 1,000 rows."""
    data = page(simulator, endpoint, **{"take": 1000, **parameters})["data"]
    assert isinstance(data, list)
    return data


def names(simulator: Simulator, endpoint: str, **parameters: Any) -> list[Any]:
    """Return the names of the rows of a page."""
    return [row["name"] for row in rows(simulator, endpoint, fields=["name"], **parameters)]


def condition(field: str, operator: str, value: Any = None) -> dict[str, Any]:
    """Return a filter."""
    return {"field": field, "operator": operator} | ({} if value is None else {"value": value})


def by(*fields: str, direction: str = "asc") -> list[dict[str, str]]:
    """Return a sort key."""
    return [{"field": field, "dir": direction} for field in fields]
