"""A tap of calls as a first-time author would write it with the SDK: its REST stream, its paginator, its writer.

It does a part of what `tap-daktela` does: it writes rows as they arrive, with a plain schema. The configuration is
`{"url": …, "access_token": …}`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import APIKeyAuthenticator
from singer_sdk.pagination import OffsetPaginator
from typing_extensions import override

from tap_daktela.reading.optional_fields import requested_fields
from tap_daktela.streams.definitions import STREAMS

PAGE = 1_000
CALLS = next(stream for stream in STREAMS if stream.name == "activities_call")
FIELDS = requested_fields(CALLS, CALLS.fields)
OBJECTS = {field.partition(".")[0] for field in FIELDS if "." in field}


class _Paginator(OffsetPaginator):
    @override
    def has_more(self, response: Any) -> bool:
        return len(response.json()["result"]["data"]) == PAGE


class Calls(RESTStream[int]):
    """Calls, with their activities."""

    name = "activities_call"
    path = "/api/v6/activities.json"
    primary_keys = ("name",)
    replication_key = "time"
    records_jsonpath = "$.result.data[*]"
    schema = th.PropertiesList(
        th.Property("name", th.StringType),
        th.Property("time", th.DateTimeType),
        *(th.Property(name, th.ObjectType(additional_properties=True)) for name in sorted(OBJECTS)),
    ).to_dict()

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
        return {
            "filter[0][field]": "type",
            "filter[0][operator]": "eq",
            "filter[0][value]": "CALL",
            "sort[0][field]": "time",
            "sort[0][dir]": "asc",
            "skip": next_page_token or 0,
            "take": PAGE,
            **{f"fields[{place}]": field for place, field in enumerate(FIELDS)},
        }


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
