"""How tests ask the simulator: real HTTP, with plain data for the brackets.

In: a simulator, an endpoint, and fields, filters and sort as lists and dictionaries. Out: the HTTP
response, or what is in its envelope.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from tests.simulator.schema import Row
    from tests.simulator.simulator import Simulator

TIMEOUT = 10


def brackets(name: str, value: Any) -> list[tuple[str, str]]:
    """Nested data as PHP's query parameters."""
    if isinstance(value, dict):
        return [pair for key, each in value.items() for pair in brackets(f"{name}[{key}]", each)]
    if isinstance(value, list | tuple):
        return [pair for key, each in enumerate(value) for pair in brackets(f"{name}[{key}]", each)]
    return [(name, str(value))]


def get(simulator: Simulator, endpoint: str, **parameters: Any) -> requests.Response:
    """Ask an endpoint with the token that is always good."""
    pairs = [pair for name, value in parameters.items() for pair in brackets(name, value)]
    headers = {"X-AUTH-TOKEN": simulator.access_token}
    url = f"{simulator.url}/api/v6/{endpoint}.json"
    return requests.get(url, params=pairs, headers=headers, timeout=TIMEOUT, allow_redirects=False)


def page(simulator: Simulator, endpoint: str, **parameters: Any) -> Any:
    """The `result` of a request that must succeed."""
    response = get(simulator, endpoint, **parameters)
    assert response.status_code == 200, response.text
    content = response.json()
    assert content["error"] == []
    return content["result"]


def rows(simulator: Simulator, endpoint: str, **parameters: Any) -> list[Row]:
    """The rows of a page of up to a thousand."""
    data = page(simulator, endpoint, **{"take": 1000, **parameters})["data"]
    assert isinstance(data, list)
    return data


def names(simulator: Simulator, endpoint: str, **parameters: Any) -> list[Any]:
    """The names of the rows of a page."""
    return [row["name"] for row in rows(simulator, endpoint, fields=["name"], **parameters)]


def condition(field: str, operator: str, value: Any = None) -> dict[str, Any]:
    """A filter."""
    return {"field": field, "operator": operator} | ({} if value is None else {"value": value})


def by(*fields: str, direction: str = "asc") -> list[dict[str, str]]:
    """A sort."""
    return [{"field": field, "dir": direction} for field in fields]
