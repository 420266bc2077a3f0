"""The tap's settings: a configuration in, checked values out, or one line for each thing that is wrong with it.

`SCHEMA` tells what there is, for `--about`, Meltano and the README; `problems` tells what JSON Schema cannot say
in words that help; `Settings` is what the rest of the tap reads. Nothing here repeats a secret.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import jsonschema
from singer_sdk import typing as th

from tap_daktela.api import address
from tap_daktela.api.client import Credentials, Transport
from tap_daktela.fields import loose
from tap_daktela.streams import STREAMS
from tap_daktela.windows import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from tap_daktela.api.address import Address
    from tap_daktela.fields import Field

DEFAULT_ZONE = "Europe/Prague"
"""Zone of instances that tell none: builds before 2023 do not, and it is the vendor's own (daktela-api.md §2)."""

_SERVER = re.compile(r"[A-Za-z0-9-]+")
_API_FIELD = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_CENTURY = 100 * 365 * 24 * 60
"""Minutes beyond which the calendar might end."""
_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}
_SECRETS = frozenset({"access_token", "password"})

_INSTANCE = (
    th.Property(
        "url",
        th.StringType,
        title="URL",
        description="Address of the Daktela instance, for example `https://acme.daktela.com`; a path prefix, or "
        "an address that already ends in `/api/v6`, is accepted.",
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
        description="A long-lived API token; instead of `username` and `password`.",
    ),
    th.Property(
        "username",
        th.StringType,
        title="User name",
        description="Login of the account to read with; needs `password`.",
    ),
    th.Property(
        "password",
        th.StringType,
        secret=True,
        title="Password",
        description="Password of the account to read with.",
    ),
)
_TIMEZONE = th.Property(
    "timezone",
    th.StringType,
    title="Time zone",
    description="IANA zone of the instance's datetimes, for example `Europe/Prague`. Default: what the instance "
    f"tells, else {DEFAULT_ZONE}. A setting that contradicts the instance wins and is warned about.",
)

SCHEMA: dict[str, Any] = th.PropertiesList(
    *_INSTANCE,
    th.Property(
        "instances",
        th.ArrayType(th.ObjectType(*_INSTANCE, _TIMEZONE, additional_properties=False)),
        title="Instances",
        description="Several instances in one run, each with its own `url` or `server`, credentials and "
        "`timezone`; instead of the settings of the same names.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description="Where incremental streams begin without a state; without an offset it is instance-local.",
    ),
    th.Property(
        "end_date",
        th.DateTimeType,
        title="End date",
        description="Where incremental streams end (exclusive), for backfills in slices. Default: now, less "
        "`settle_minutes`.",
    ),
    _TIMEZONE,
    th.Property(
        "settle_minutes",
        th.IntegerType(minimum=0, maximum=_CENTURY),
        default=30,
        title="Settle minutes",
        description="Only records at least this old are taken, so that calls have ended; by the server's clock.",
    ),
    th.Property(
        "lookback_minutes",
        th.IntegerType(minimum=0, maximum=_CENTURY),
        default=1440,
        title="Look-back minutes",
        description="How far before its bookmark an incremental stream reads again.",
    ),
    th.Property(
        "backend",
        th.StringType,
        allowed_values=["parallel", "sequential"],
        default="parallel",
        title="Backend",
        description="`parallel` or `sequential` fetching of pages; `sequential` is a `concurrency` of 1.",
    ),
    th.Property(
        "concurrency",
        th.IntegerType(minimum=1, maximum=50),
        default=5,
        title="Concurrency",
        description="Requests in flight at once with `parallel`, for each instance.",
    ),
    th.Property(
        "page_size",
        th.IntegerType(minimum=1, maximum=1000),
        default=1000,
        title="Page size",
        description="Rows per request, 1 to 1000; the server refuses more.",
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
        description="Stream -> list of further API fields, dotted (`record.customFields.x`). Each becomes a text "
        "column named with `_`: a scalar as it is, a list of one as its element, an empty list null, anything "
        "else as JSON.",
    ),
    th.Property(
        "on_type_mismatch",
        th.StringType,
        allowed_values=["fail", "null"],
        default="fail",
        title="On type mismatch",
        description="What to do about a value that does not fit its column: `fail`, or `null` and a warning that "
        "counts them.",
    ),
    th.Property(
        "request_timeout",
        th.NumberType(exclusive_minimum=0),
        default=60,
        title="Request timeout",
        description="Seconds without an answer after which a request is tried again.",
    ),
    th.Property(
        "verify_tls",
        th.BooleanType,
        default=True,
        title="Verify TLS",
        description="Whether to verify the server's certificate.",
    ),
    th.Property(
        "allow_http",
        th.BooleanType,
        default=False,
        title="Allow HTTP",
        description="Whether plain http to another host is allowed, which shows the token to the network.",
    ),
    th.Property(
        "user_agent",
        th.StringType,
        title="User agent",
        description="Name that the tap gives itself in requests. Default: `tap-daktela` and its version.",
    ),
).to_dict()


@dataclass(frozen=True, kw_only=True)
class InstanceSettings:
    """One Daktela instance."""

    server: str
    address: Address
    credentials: Credentials
    timezone: str | None
    """IANA name; None to believe the instance."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The tap's settings, checked and with their defaults."""

    instances: tuple[InstanceSettings, ...]
    transport: Transport
    start_date: str | None
    end_date: str | None
    settle_minutes: int
    lookback_minutes: int
    concurrency: int
    page_size: int
    prefix_keys: bool
    nulls_for_mismatches: bool


def read(config: Mapping[str, Any], user_agent: str) -> Settings:
    """Return the settings that `config` makes, which must have no `problems`."""
    values = _with_defaults(config)
    concurrency = 1 if values["backend"] == "sequential" else int(values["concurrency"])
    return Settings(
        instances=tuple(_instance(entry, values) for entry in _entries(values)),
        transport=Transport(
            # The SDK reads the numbers of a configuration file as decimals.
            timeout=float(values["request_timeout"]),
            verify_tls=values["verify_tls"],
            user_agent=values.get("user_agent") or user_agent,
            connections=concurrency,
        ),
        start_date=values.get("start_date"),
        end_date=values.get("end_date"),
        settle_minutes=int(values["settle_minutes"]),
        lookback_minutes=int(values["lookback_minutes"]),
        concurrency=concurrency,
        page_size=int(values["page_size"]),
        prefix_keys=values["prefix_keys"],
        nulls_for_mismatches=values["on_type_mismatch"] == "null",
    )


def servers(config: Mapping[str, Any]) -> list[str]:
    """Return the names of the instances, as far as `config` tells them."""
    return [name for name in (_server_name(entry) for entry in _entries(_given(config))) if name]


def extra_fields(config: Mapping[str, Any]) -> dict[str, tuple[Field, ...]]:
    """Return the columns that the setting `extra_fields` adds to each stream."""
    return {
        stream: tuple(
            loose(field.replace(".", "_"), f"API field `{field}`, asked for by the setting extra_fields.", field)
            for field in fields
        )
        for stream, fields in (config.get("extra_fields") or {}).items()
    }


def problems(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Return one line for each thing that is wrong with `config`; each begins with the setting's name.

    `schema` is that of all settings, the SDK's own included. What does not have the right type is told first,
    and alone: nothing else can be said of it.
    """
    given = _given(config)
    return [*_unknown(given, schema), *_ill_typed(given, schema)] or [
        *_instance_problems(given),
        *_date_problems(given),
        *_extra_field_problems(given),
    ]


def discovery_problems(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with settings that discovery needs; it does without an instance and credentials."""
    given = _given(config)
    return [*_unknown(given, schema), *_ill_typed(given, schema)] or [*_extra_field_problems(given)]


def _extra_field_problems(config: Mapping[str, Any]) -> Iterator[str]:
    by_name = {stream.name: stream for stream in STREAMS}
    for name, fields in (config.get("extra_fields") or {}).items():
        stream = by_name.get(name)
        if stream is None:
            yield f"extra_fields: there is no stream {name!r}{_suggest(name, by_name)}"
            continue
        taken = {column.name for column in stream.fields}
        for field in fields:
            if not _API_FIELD.fullmatch(field):
                yield f"extra_fields: {field!r} of {name} is not a field such as record.customFields.x"
            elif field.replace(".", "_") in taken:
                yield f"extra_fields: {name} already has a column {field.replace('.', '_')}"
            taken.add(field.replace(".", "_"))


def _given(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are set: Meltano may pass null or an empty text for one that is not."""
    return {name: value for name, value in config.items() if value is not None and value != ""}


def _with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {name: setting["default"] for name, setting in SCHEMA["properties"].items() if "default" in setting}
    return {**defaults, **_given(config)}


def _entries(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the settings of each instance."""
    if entries := config.get("instances"):
        return [_given(entry) for entry in entries]
    return [_given(config)] if "url" in config or "server" in config else []


def _server_name(entry: Mapping[str, Any]) -> str:
    if "server" in entry:
        return str(entry["server"])
    try:
        return address.parse(str(entry.get("url", "")), allow_http=True).first_label
    except address.AddressError:
        return ""


def _url(entry: Mapping[str, Any]) -> str:
    return str(entry.get("url") or f"https://{entry['server']}.daktela.com")


def _instance(entry: Mapping[str, Any], config: Mapping[str, Any]) -> InstanceSettings:
    return InstanceSettings(
        server=_server_name(entry),
        address=address.parse(_url(entry), allow_http=config["allow_http"]),
        credentials=Credentials(
            # One that was read from a file often ends with a line break.
            access_token=entry.get("access_token", "").strip(),
            username=entry.get("username", ""),
            password=entry.get("password", ""),
        ),
        timezone=entry.get("timezone") or config.get("timezone"),
    )


def _unknown(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    for name in config:
        if name not in schema["properties"]:
            yield f"{name}: there is no such setting{_suggest(name, schema['properties'])}"
    known = SCHEMA["properties"]["instances"]["items"]["properties"]
    entries = config.get("instances")
    for place, entry in enumerate(entries if isinstance(entries, list) else []):
        for name in entry if isinstance(entry, dict) else ():
            if name not in known:
                yield f"instances[{place}].{name}: there is no such setting{_suggest(name, known)}"


def _suggest(name: str, known: Any) -> str:  # noqa: ANN401 - any collection of names
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _ill_typed(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    for error in jsonschema.Draft7Validator(schema).iter_errors(config):
        # Names are told by `_unknown`.
        if error.validator != "additionalProperties":
            place = ""
            for part in error.absolute_path:
                place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
            yield f"{place}: {_demand(error)}{_refused(error)}"


def _demand(error: jsonschema.ValidationError) -> str:
    """Return what a setting must be; JSON Schema's own words repeat its value, which may be a secret."""
    demand: Any = error.validator_value
    if error.validator == "type":
        names = [demand] if isinstance(demand, str) else demand
        return "must be " + " or ".join(_TYPES[name] for name in names if name in _TYPES)
    words = {
        "enum": "must be one of",
        "minimum": "must be at least",
        "maximum": "must be at most",
        "exclusiveMinimum": "must be more than",
    }
    if error.validator not in words:
        return "is not of the form that its description tells"
    choices = [str(choice) for choice in (demand if isinstance(demand, list) else [demand]) if choice is not None]
    return f"{words[str(error.validator)]} {', '.join(choices)}"


def _refused(error: jsonschema.ValidationError) -> str:
    secret = bool(_SECRETS & {str(part) for part in error.absolute_path})
    inside = any(part == "instances" for part in error.absolute_path) and len(error.absolute_path) < 3  # noqa: PLR2004
    return "" if secret or inside or isinstance(error.instance, (dict, list)) else f", not {error.instance!r}"


def _instance_problems(config: Mapping[str, Any]) -> Iterator[str]:
    single = [name for name in ("url", "server", "access_token", "username", "password") if name in config]
    if "instances" in config and single:
        yield f"instances: give either instances or {', '.join(single)}, not both"
        return
    entries = _entries(config)
    if not entries:
        yield "url: give url or server (or instances), which tell the Daktela instance to read"
        return
    for place, entry in enumerate(entries):
        where = f"instances[{place}]." if "instances" in config else ""
        for problem in _entry_problems(entry, allow_http=bool(config.get("allow_http"))):
            yield where + problem
    if "instances" in config and (zone := config.get("timezone")) and not _is_zone(zone):
        yield _zone_problem(zone)
    yield from _key_problems(config, entries)


def _key_problems(config: Mapping[str, Any], entries: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what would give the records of two instances the same keys."""
    names = Counter(_server_name(entry).lower() for entry in entries)
    for name, count in names.items():
        if name and count > 1:
            yield f"server: {name!r} names {count} of the instances; their keys would be the same"
    if len(entries) > 1 and config.get("prefix_keys") is False and not config.get("prefix_stream_names"):
        yield "prefix_keys: false with several instances mixes up their keys, unless prefix_stream_names is true"


def _entry_problems(entry: Mapping[str, Any], *, allow_http: bool) -> Iterator[str]:
    if "url" not in entry and "server" not in entry:
        yield "url: give url or server, which tell the Daktela instance to read"
        return
    server_fits = "server" not in entry or _SERVER.fullmatch(entry["server"])
    if not server_fits:
        yield f"server: {entry['server']!r} may hold letters, digits and '-' only"
    if "url" in entry or server_fits:
        try:
            parsed = address.parse(_url(entry), allow_http=allow_http)
        except address.AddressError as error:
            yield f"url: {error}"
        else:
            if "server" not in entry and not _SERVER.fullmatch(parsed.first_label):
                yield f"server: {parsed.first_label!r}, from the url, is no name for an instance; give one"
    yield from _credential_problems(entry)
    if (zone := entry.get("timezone")) and not _is_zone(zone):
        yield _zone_problem(zone)


def _credential_problems(entry: Mapping[str, Any]) -> Iterator[str]:
    signs_in = [name for name in ("username", "password") if name in entry]
    token = entry.get("access_token", "").strip()
    if not token.isascii() or any(not character.isprintable() or character == " " for character in token):
        yield "access_token: holds characters that no token has"
    if "access_token" in entry and signs_in:
        yield f"access_token: give either access_token or username and password, not {signs_in[0]} beside it"
    elif "access_token" not in entry and not signs_in:
        yield "access_token: give access_token, or username and password"
    elif len(signs_in) == 1:
        missing = "password" if signs_in == ["username"] else "username"
        yield f"{missing}: is missing beside {signs_in[0]}"


def _date_problems(config: Mapping[str, Any]) -> Iterator[str]:
    name = config.get("timezone", DEFAULT_ZONE)
    zone = ZoneInfo(name if _is_zone(name) else DEFAULT_ZONE)
    found: dict[str, datetime] = {}
    for setting in ("start_date", "end_date"):
        if setting in config:
            try:
                found[setting] = parse_instant(config[setting], zone, upper=setting == "end_date")
            except ValueError:
                example = "2026-01-31 or 2026-01-31T08:00:00+01:00"
                yield f"{setting}: {config[setting]!r} is not a date such as {example}"
    if len(found) > 1 and found["end_date"] <= found["start_date"]:
        yield f"end_date: {config['end_date']} is not after start_date, {config['start_date']}"


def _zone_problem(zone: str) -> str:
    return f"timezone: {zone!r} is not an IANA time zone such as {DEFAULT_ZONE}"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
