"""The tap's settings.

`SCHEMA` describes them for `--about`, Meltano and the documentation. `problems` checks a configuration, also in
ways that JSON Schema does not support, and never repeats a secret. `Settings` has the checked values.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from singer_sdk import typing as th
from singer_sdk.helpers._conformers import snakecase

from tap_daktela.api.retry import DEFAULT_RETRIES
from tap_daktela.cli.config import (
    ACCESS_TOKEN,
    ALLOW_HTTP,
    CONNECTION,
    REQUEST_TIMEOUT,
    URL,
    VERIFY_TLS,
    credential_problems,
    given,
    instance_problems,
    read_address,
    read_credentials,
    read_http_settings,
    read_zone,
    server_name,
    suggest,
    type_problems,
    unknown_problems,
    user_agent_problems,
    with_defaults,
    zone_problem,
)
from tap_daktela.inputs.dates import DateSetting
from tap_daktela.streams.definitions import STREAMS
from tap_daktela.streams.fields import Field, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_daktela.api.address import Address
    from tap_daktela.api.client import Credentials, HttpSettings
    from tap_daktela.api.retry import RetryPolicy
    from tap_daktela.streams.fields import Stream

DEFAULT_ZONE = "Europe/Prague"
"""Time zone of instances that report none, such as builds before 2023. The vendor uses it (daktela-api.md §2)."""

CLOCK_TOLERANCE = timedelta(minutes=5)
"""By how much two clocks may differ before one of them counts as wrong. Synchronized clocks differ by less than a
second, and the default look-back covers much more."""

_API_FIELD = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_WORD_START = re.compile("(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LONGEST_NAME = 63
"""Bytes of a column's name in PostgreSQL; longer names are cut off."""
_CENTURY = 100 * 365 * 24 * 60
"""Minutes beyond which the calendar might end."""

_INSTANCE = (
    th.Property(
        "url",
        th.StringType,
        title="URL",
        description=URL,
    ),
    th.Property(
        "server",
        th.StringType,
        title="Server",
        description="Name of the instance (letters, digits, `-`), the prefix of all keys. Default: the first "
        "label of the host. Without `url` it means `https://{server}.daktela.com`.",
    ),
    th.Property(
        "access_token",
        th.StringType,
        secret=True,
        title="Access token",
        description=ACCESS_TOKEN,
    ),
    th.Property(
        "username",
        th.StringType,
        title="User name",
        description="User name of the account that reads. Requires `password`.",
    ),
    th.Property(
        "password",
        th.StringType,
        secret=True,
        title="Password",
        description="Password of the account that reads.",
    ),
)
_TIMEZONE = th.Property(
    "timezone",
    th.StringType,
    title="Time zone",
    description="IANA time zone of the instance's datetimes, for example `Europe/Prague`. Default: the zone that "
    f"the instance reports, otherwise {DEFAULT_ZONE}. If the setting contradicts the instance, the tap uses the "
    "setting and warns.",
)

SCHEMA: dict[str, Any] = th.PropertiesList(
    *_INSTANCE,
    th.Property(
        "instances",
        th.ArrayType(th.ObjectType(*_INSTANCE, _TIMEZONE, additional_properties=False)),
        title="Instances",
        description="Several instances in one run, each with its own `url` or `server`, credentials and "
        "`timezone`. Replaces the settings of the same names.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description="Where incremental streams begin if there is no state. Without an offset, it is a "
        "local time of the instance.",
    ),
    th.Property(
        "end_date",
        th.DateTimeType,
        title="End date",
        description="Where incremental streams end (exclusive), for backfills in slices. Default: now "
        "minus `settle_minutes`.",
    ),
    _TIMEZONE,
    th.Property(
        "settle_minutes",
        th.IntegerType(minimum=0, maximum=_CENTURY),
        default=30,
        title="Settle minutes",
        description="Minimum age of records by the server's clock, so that calls have ended. Younger "
        "records are left to the next run.",
    ),
    th.Property(
        "lookback_minutes",
        th.IntegerType(minimum=0, maximum=_CENTURY),
        default=1440,
        title="Look-back minutes",
        description="How far before its bookmark an incremental stream starts to read.",
    ),
    th.Property(
        "backend",
        th.StringType,
        allowed_values=["parallel", "sequential"],
        default="parallel",
        title="Backend",
        description="How pages are requested: `parallel`, or `sequential`, which is a `concurrency` of 1.",
    ),
    th.Property(
        "concurrency",
        th.IntegerType(minimum=1, maximum=50),
        default=5,
        title="Concurrency",
        description="Number of requests in flight for each instance, with `parallel`.",
    ),
    th.Property(
        "page_size",
        th.IntegerType(minimum=1, maximum=1000),
        default=1000,
        title="Page size",
        description="Rows in a request, 1 to 1000. The server refuses more.",
    ),
    th.Property(
        "prefix_keys",
        th.BooleanType,
        default=True,
        title="Prefix keys",
        description="Prefix all primary and foreign keys with `{server}_`. Can be false with several instances "
        "only together with `prefix_stream_names`.",
    ),
    th.Property(
        "prefix_stream_names",
        th.BooleanType,
        default=False,
        title="Prefix stream names",
        description="Name the streams `{server}_{stream}`, one for each instance.",
    ),
    th.Property(
        "extra_fields",
        th.ObjectType(additional_properties=th.ArrayType(th.StringType)),
        title="Extra fields",
        description="Stream -> list of further API fields, with dots (`record.customFields.x`, `statuses.color`). "
        "Each becomes a text column, with `_` in place of dots. A scalar is unchanged, a list of one becomes its "
        "element, an empty list null, and anything else JSON. A part of a list of objects becomes a list.",
    ),
    th.Property(
        "on_type_mismatch",
        th.StringType,
        allowed_values=["fail", "null"],
        default="fail",
        title="On type mismatch",
        description="What to do with a value that does not fit its column: `fail`, or replace it by "
        "`null` and count it in a warning.",
    ),
    th.Property(
        "datetimes",
        th.StringType,
        allowed_values=["utc", "local"],
        default="utc",
        title="Datetimes",
        description="How datetimes are emitted: `utc` (`2025-12-10T11:12:38Z`), or `local` with the offset of the "
        "instance (`2025-12-10T12:12:38+01:00`), which several loaders drop.",
    ),
    th.Property(
        "emit_activate_version_messages",
        th.BooleanType,
        default=False,
        title="Emit ACTIVATE_VERSION messages",
        description="Write an ACTIVATE_VERSION message at the end of each full table that was read completely, so "
        "that the loader marks or removes the rows that were deleted in Daktela.",
    ),
    th.Property(
        "request_timeout",
        th.NumberType(exclusive_minimum=0, maximum=86_400),
        default=60,
        title="Request timeout",
        description=REQUEST_TIMEOUT,
    ),
    th.Property(
        "verify_tls",
        th.BooleanType,
        default=True,
        title="Verify TLS",
        description=VERIFY_TLS,
    ),
    th.Property(
        "allow_http",
        th.BooleanType,
        default=False,
        title="Allow HTTP",
        description=ALLOW_HTTP,
    ),
    th.Property(
        "user_agent",
        th.StringType,
        title="User agent",
        description="`User-Agent` of the requests. Default: `tap-daktela` and its version.",
    ),
).to_dict()


@dataclass(frozen=True, kw_only=True)
class InstanceSettings:
    """One Daktela instance."""

    server: str
    address: Address
    credentials: Credentials
    timezone: str | None
    """IANA name; None for the zone that the instance reports."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The tap's settings, checked and with their defaults."""

    instances: tuple[InstanceSettings, ...]
    http: HttpSettings
    start_date: DateSetting | None
    end_date: DateSetting | None
    settle_minutes: int
    lookback_minutes: int
    concurrency: int
    page_size: int
    prefix_keys: bool
    nulls_for_mismatches: bool
    local_datetimes: bool
    clock_tolerance: timedelta
    """By how much the clocks of an instance and of this machine may differ."""


def read(
    config: Mapping[str, Any],
    user_agent: str,
    retries: RetryPolicy = DEFAULT_RETRIES,
    clock_tolerance: timedelta = CLOCK_TOLERANCE,
) -> Settings:
    """Return the settings of `config`, which must have no `problems`."""
    values = with_defaults(config, SCHEMA)
    concurrency = 1 if values["backend"] == "sequential" else int(values["concurrency"])
    return Settings(
        instances=tuple(_instance(entry, values) for entry in _entries(values)),
        http=read_http_settings(values, user_agent, concurrency, retries),
        start_date=_date(values, "start_date"),
        end_date=_date(values, "end_date"),
        settle_minutes=int(values["settle_minutes"]),
        lookback_minutes=int(values["lookback_minutes"]),
        concurrency=concurrency,
        page_size=int(values["page_size"]),
        prefix_keys=values["prefix_keys"],
        nulls_for_mismatches=values["on_type_mismatch"] == "null",
        local_datetimes=values["datetimes"] == "local",
        clock_tolerance=clock_tolerance,
    )


def servers(config: Mapping[str, Any]) -> list[str]:
    """Return the names of the instances, as far as `config` contains them."""
    return [name for name in (server_name(entry) for entry in _entries(given(config))) if name]


def extra_fields(config: Mapping[str, Any]) -> dict[str, tuple[Field, ...]]:
    """Return the columns that the setting `extra_fields` adds to each stream; the setting has no `problems`."""
    by_name = {stream.name: stream for stream in STREAMS}
    return {
        name: tuple(_extra_field(by_name[name], field) for field in fields)
        for name, fields in (config.get("extra_fields") or {}).items()
    }


def _extra_field(stream: Stream, field: str) -> Field:
    """Return the column for a further API field.

    Lists of related objects are requested as a whole: no source says that a dotted field reaches into a list.
    """
    lists = [column.request for column in stream.fields if column.kind is Kind.KEYS]
    return Field(
        name=_column_name(field),
        kind=Kind.PART if "." in field else Kind.ANY_AS_TEXT,
        description=f"API field `{field}`, requested by the setting extra_fields.",
        source=field,
        request=next((name for name in lists if f"{field}.".startswith(f"{name}.")), field),
        official=False,
        extra=True,
    )


def _column_name(field: str) -> str:
    return field.replace(".", "_")


def problems(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Return one line for each problem of `config`. It begins with the name of the setting.

    `schema` is the schema of all settings, including the SDK's own. If there are unknown settings or wrong types,
    only these are returned, because the other checks need values of the right types.
    """
    values = given(config)
    return [*_unknown(values, schema), *type_problems(values, schema)] or [
        *_instance_problems(values),
        *_date_problems(values),
        *_extra_field_problems(values),
        *_flattening_problems(values),
        *user_agent_problems(values),
    ]


def discovery_problems(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Return the problems of the settings that discovery uses. Discovery needs no instance and no credentials."""
    values = given(config)
    return [*_unknown(values, schema), *type_problems(values, schema)] or [*_extra_field_problems(values)]


def _extra_field_problems(config: Mapping[str, Any]) -> Iterator[str]:
    by_name = {stream.name: stream for stream in STREAMS}
    for name, fields in (config.get("extra_fields") or {}).items():
        if name not in by_name:
            yield f"extra_fields: there is no stream {name!r}{suggest(name, by_name)}"
            continue
        taken = {column.name: column.name for column in by_name[name].fields}
        for field in fields:
            problem = _extra_field_problem(name, field, taken)
            if problem:
                yield f"extra_fields: {problem}"
            else:
                taken[_column_name(field)] = field


def _extra_field_problem(stream: str, field: str, taken: Mapping[str, str]) -> str:
    """Return what is wrong with a further field of a stream, empty if nothing is.

    `taken` maps the existing columns of the stream to their source fields.
    """
    if not _API_FIELD.fullmatch(field):
        return f"{field!r} of {stream} is not a field such as record.customFields.x"
    name = _column_name(field)
    if name in taken:
        return f"{stream} already has a column {name}; remove {field}"
    if len(name) > _LONGEST_NAME:
        return (
            f"{field} of {stream} would be a column of {len(name)} bytes, and databases accept {_LONGEST_NAME}; "
            "remove it"
        )
    for other, source in taken.items():
        if _spellings(name) & _spellings(other):
            return (
                f"{field} and {source} of {stream} would be columns with the same name in some databases "
                f"({name}, {other}); remove {field}"
            )
    return ""


def _spellings(name: str) -> frozenset[tuple[int, str]]:
    """Return the names that loaders derive from a column: in lower case, or in one of two forms of snake_case."""
    return frozenset(enumerate([name.lower(), snakecase(name), _WORD_START.sub("_", name).lower()]))


def _flattening_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the values of flattening settings that the SDK accepts, but that fail later or have no effect."""
    if not config.get("flattening_enabled"):
        return
    depth, length = config.get("flattening_max_depth"), config.get("flattening_max_key_length")
    if depth is None or depth < 0:
        yield "flattening_max_depth: set it to the number of levels to flatten; flattening_enabled needs it"
    if length is not None and length < 1:
        yield f"flattening_max_key_length: must be at least 1, not {length}"


def _entries(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the settings of each instance."""
    if entries := config.get("instances"):
        return [given(entry) for entry in entries]
    return [given(config)] if "url" in config or "server" in config else []


def _instance(entry: Mapping[str, Any], config: Mapping[str, Any]) -> InstanceSettings:
    return InstanceSettings(
        server=server_name(entry),
        address=read_address(entry, allow_http=config["allow_http"]),
        credentials=read_credentials(entry),
        timezone=entry.get("timezone") or config.get("timezone"),
    )


def _unknown(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    yield from unknown_problems(config, schema["properties"])
    known = SCHEMA["properties"]["instances"]["items"]["properties"]
    entries = config.get("instances")
    for place, entry in enumerate(entries if isinstance(entries, list) else []):
        yield from unknown_problems(entry if isinstance(entry, dict) else {}, known, f"instances[{place}].")


def _instance_problems(config: Mapping[str, Any]) -> Iterator[str]:
    single = [name for name in CONNECTION if name in config]
    if "instances" in config and single:
        yield f"instances: give either instances or {', '.join(single)}, not both"
        return
    entries = _entries(config)
    if not entries:
        yield "url: set url or server (or instances) to the Daktela instance to read"
        return
    for place, entry in enumerate(entries):
        where = f"instances[{place}]." if "instances" in config else ""
        for problem in _entry_problems(entry, allow_http=bool(config.get("allow_http"))):
            yield where + problem
    if "instances" in config and (problem := zone_problem(config.get("timezone", DEFAULT_ZONE))):
        yield f"timezone: {problem}"
    yield from _key_problems(config, entries)


def _key_problems(config: Mapping[str, Any], entries: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the settings that would give records of two instances the same keys."""
    names = Counter(server_name(entry).lower() for entry in entries)
    for name, count in names.items():
        if name and count > 1:
            yield f"server: {name!r} names {count} of the instances; their keys would be the same"
    if len(entries) > 1 and config.get("prefix_keys") is False and not config.get("prefix_stream_names"):
        yield "prefix_keys: false with several instances mixes up their keys, unless prefix_stream_names is true"


def _entry_problems(entry: Mapping[str, Any], *, allow_http: bool) -> Iterator[str]:
    yield from instance_problems(entry, allow_http=allow_http)
    if "url" in entry or "server" in entry:
        yield from credential_problems(entry)
    if problem := zone_problem(entry.get("timezone", DEFAULT_ZONE)):
        yield f"timezone: {problem}"


def _date(values: Mapping[str, Any], setting: str) -> DateSetting | None:
    return DateSetting.parse(values[setting]) if setting in values else None


def _date_problems(config: Mapping[str, Any]) -> Iterator[str]:
    dates: dict[str, DateSetting] = {}
    for setting in ("start_date", "end_date"):
        if setting in config:
            try:
                dates[setting] = DateSetting.parse(config[setting])
            except ValueError:
                example = "2026-01-31 or 2026-01-31T08:00:00+01:00"
                yield f"{setting}: {config[setting]!r} is not a date such as {example}"
    zone = read_zone(config.get("timezone", DEFAULT_ZONE)) or ZoneInfo(DEFAULT_ZONE)
    if len(dates) > 1 and dates["end_date"].latest(zone) <= dates["start_date"].earliest(zone):
        yield f"end_date: {dates['end_date']} is not after start_date, {dates['start_date']}"
