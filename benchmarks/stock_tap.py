"""A tap of calls as most people would write it with the SDK: its REST stream, its paginator, its writer.

It does a part of what `tap-daktela` does, in the SDK's own way, to compare with: rows are put out as they come,
with a schema of what is in them. In: `{"url": …, "access_token": …}`. Out: Singer messages.
"""

from __future__ import annotations

from typing import Any, ClassVar

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import APIKeyAuthenticator
from singer_sdk.pagination import OffsetPaginator
from typing_extensions import override

from benchmarks.limit import CALLS, PAGE, parameters
from tap_daktela.reading.optional_fields import requested_fields
from tap_daktela.streams.fields import Kind

_TYPES = {Kind.INTEGER: th.IntegerType, Kind.NUMBER: th.NumberType, Kind.DATETIME: th.DateTimeType}


class _Paginator(OffsetPaginator):
    @override
    def has_more(self, response: Any) -> bool:
        return len(response.json()["result"]["data"]) == PAGE


def _properties() -> th.PropertiesList:
    """The columns, nested as they come."""
    tree: dict[str, Any] = {}
    kinds = {column.request: column.kind for column in CALLS.fields}
    for path in requested_fields(CALLS, CALLS.fields):
        node = tree
        *steps, last = path.split(".")
        for step in steps:
            node = node.setdefault(step, {})
        if not isinstance(node.get(last), dict):
            node[last] = _TYPES.get(kinds.get(path, Kind.TEXT), th.StringType)
    return th.PropertiesList(*_of_tree(tree))


def _of_tree(tree: dict[str, Any]) -> list[th.Property[Any]]:
    return [
        th.Property(name, th.ObjectType(*_of_tree(kind)) if isinstance(kind, dict) else kind)
        for name, kind in tree.items()
    ]


class Calls(RESTStream[int]):
    """Calls, with their activities."""

    name = "activities_call"
    path = "/api/v6/activities.json"
    primary_keys = ("name",)
    replication_key = "time"
    records_jsonpath = "$.result.data[*]"
    schema = _properties().to_dict()

    @property
    @override
    def url_base(self) -> str:
        return str(self.config["url"])

    @property
    @override
    def authenticator(self) -> APIKeyAuthenticator:
        return APIKeyAuthenticator(key="X-AUTH-TOKEN", value=self.config["access_token"])

    @override
    def get_new_paginator(self) -> _Paginator:
        return _Paginator(start_value=0, page_size=PAGE)

    @override
    def get_url_params(self, context: Any, next_page_token: int | None) -> dict[str, Any]:
        return parameters(next_page_token or 0)


class StockTap(Tap):
    """The tap."""

    name = "stock-tap"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("url", th.StringType, required=True),
        th.Property("access_token", th.StringType, required=True, secret=True),
    ).to_dict()

    @override
    def discover_streams(self) -> list[Calls]:
        return [Calls(self)]


if __name__ == "__main__":
    StockTap.cli()
