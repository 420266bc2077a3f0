"""The target's settings.

`SCHEMA` describes them for `--about`, Meltano and the documentation. `problems` checks a configuration, also in
ways that JSON Schema does not support, and never repeats a secret. `Settings` has the checked values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from tap_daktela.api.retry import DEFAULT_RETRIES
from tap_daktela.cli.config import (
    ACCESS_TOKEN,
    ALLOW_HTTP,
    REQUEST_TIMEOUT,
    URL,
    VERIFY_TLS,
    credential_problems,
    given,
    instance_problems,
    read_address,
    read_credentials,
    read_http_settings,
    server_name,
    type_problems,
    unknown_problems,
    user_agent_problems,
    with_defaults,
)
from target_daktela_crm.business_hours import DAYS, hours_problems, read_hours
from target_daktela_crm.inputs.paths import path_problems, rejects_path, store_path
from target_daktela_crm.inputs.phone_region import region_problem
from target_daktela_crm.mapping.compiler import MappingProblems, compile_mapping
from target_daktela_crm.mapping.preset import PRESETS
from target_daktela_crm.store.store import StoreOwner

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_daktela.api.address import Address
    from tap_daktela.api.client import Credentials, HttpSettings
    from tap_daktela.api.retry import RetryPolicy
    from target_daktela_crm.business_hours import BusinessHours

_SMALLEST_REQUEST = 200
"""Bytes. A smaller request could not contain a contact."""

SCHEMA: dict[str, Any] = th.PropertiesList(
    th.Property("url", th.StringType, title="URL", description=URL),
    th.Property(
        "server",
        th.StringType,
        title="Server",
        description="Name of the instance (letters, digits, `-`), and of its store. Default: the first label of "
        "the host. Without `url` it means `https://{server}.daktela.com`.",
    ),
    th.Property("access_token", th.StringType, secret=True, title="Access token", description=ACCESS_TOKEN),
    th.Property(
        "username",
        th.StringType,
        title="User name",
        description="User name of the account that writes. Requires `password`.",
    ),
    th.Property(
        "password",
        th.StringType,
        secret=True,
        title="Password",
        description="Password of the account that writes.",
    ),
    th.Property(
        "sync_path",
        th.StringType,
        default="/custom/crm/sync.php",
        title="Sync path",
        description="Path of Daktela's CRM sync endpoint, after the address of the instance.",
    ),
    th.Property(
        "preset",
        th.StringType,
        allowed_values=list(PRESETS),
        default="daktela",
        title="Preset",
        description="CRM of the records. The package contains its mapping. `daktela` is for records "
        "that have the form of the sync request.",
    ),
    th.Property(
        "streams",
        th.ObjectType(additional_properties=True),
        title="Streams",
        description="Stream -> mapping. Changes the preset key by key; see docs/target/mapping.md.",
    ),
    th.Property(
        "load_mode",
        th.StringType,
        allowed_values=["partial", "full"],
        default="partial",
        title="Load mode",
        description="`partial` sends what has changed, `full` sends everything that arrives.",
    ),
    th.Property(
        "delete_missing",
        th.BooleanType,
        default=False,
        title="Delete missing",
        description="With `full`: stage the load and send nothing. `target-daktela-crm --deliver` sends "
        "it, and Daktela deletes all contacts of the CRM that are not in it.",
    ),
    th.Property(
        "max_delete_fraction",
        th.NumberType(minimum=0, maximum=1),
        default=0.1,
        title="Largest fraction to delete",
        description="Largest fraction of the known contacts that a delivery may delete.",
    ),
    th.Property(
        "business_hours",
        th.ObjectType(
            th.Property("timezone", th.StringType, description="IANA time zone, for example `Europe/Prague`."),
            th.Property("days", th.ArrayType(th.StringType(allowed_values=list(DAYS))), description="Days."),
            th.Property("from", th.StringType, description="First minute, for example `08:00`."),
            th.Property("to", th.StringType, description="End, not included, for example `18:00`."),
            additional_properties=False,
        ),
        title="Business hours",
        description="Hours in which full loads are refused: `timezone` (IANA), `days` (`mon` to `sun`), "
        "`from` and `to` (`08:00`).",
    ),
    th.Property(
        "request_timeout",
        th.NumberType(exclusive_minimum=0, maximum=86_400),
        default=300,
        title="Request timeout",
        description=REQUEST_TIMEOUT,
    ),
    th.Property(
        "only_changed",
        th.BooleanType,
        default=True,
        title="Only changed",
        description="Whether partial loads leave out what was delivered with the same content.",
    ),
    th.Property(
        "max_rejects",
        th.IntegerType(minimum=0),
        default=100,
        title="Most rejects",
        description="Number of rejected records after which the run stops, without a new state.",
    ),
    th.Property(
        "max_request_bytes",
        th.IntegerType(minimum=_SMALLEST_REQUEST),
        default=20_000_000,
        title="Largest request",
        description="Maximum size of a request in bytes. Daktela accepts 20 MB.",
    ),
    th.Property(
        "store_path",
        th.StringType,
        default=".target-daktela-crm/{server}.sqlite3",
        title="Store path",
        description="SQLite file that records what is known and what was delivered, with a journal beside it. "
        "Keep both between runs.",
    ),
    th.Property(
        "rejects_path",
        th.StringType,
        title="Rejects path",
        description="JSON lines file for records that cannot be delivered. Default: next to the store.",
    ),
    th.Property(
        "dry_run",
        th.StringType,
        title="Dry run",
        description="Folder for the requests of a dry run. Nothing is sent or recorded, and no state is written.",
    ),
    th.Property(
        "phone_region",
        th.StringType,
        title="Phone region",
        description="Country of national phone numbers (ISO 3166, for example `CZ`), which are then "
        "sent as E.164, as international ones always are. Without it, they are sent as written.",
    ),
    th.Property(
        "unknown_company",
        th.StringType,
        allowed_values=["hold", "detach", "reject"],
        default="hold",
        title="Unknown company",
        description="What to do with a contact whose company is not known: `hold` keeps it until the "
        "company arrives, `detach` sends it without a company until then, `reject` rejects "
        "it.",
    ),
    th.Property(
        "allow_missing_columns",
        th.BooleanType,
        default=False,
        title="Allow missing columns",
        description="Whether a run may go on in which the name columns of a stream, or all columns of a field "
        "that was delivered before, do not arrive. The last known values are then sent again.",
    ),
    th.Property("verify_tls", th.BooleanType, default=True, title="Verify TLS", description=VERIFY_TLS),
    th.Property("allow_http", th.BooleanType, default=False, title="Allow HTTP", description=ALLOW_HTTP),
    th.Property(
        "user_agent",
        th.StringType,
        title="User agent",
        description="`User-Agent` of the requests. Default: `target-daktela-crm` and its version.",
    ),
).to_dict()

_NOT_STAGED = ("url", "server", "access_token", "username", "password", "store_path", "dry_run")
"""Settings that a delivery takes from its own configuration only; others default to those of the staged load."""


class Needs(IntEnum):
    """What a command needs; each value includes those above it."""

    MAPPING = 0
    INSTANCE = 1
    CREDENTIALS = 2


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The checked settings, with their defaults."""

    server: str
    address: Address
    credentials: Credentials
    http: HttpSettings
    sync_path: str
    preset: str
    streams: Mapping[str, Any] = field(repr=False)
    load_mode: str
    delete_missing: bool
    max_delete_fraction: float
    business_hours: BusinessHours | None
    only_changed: bool
    max_rejects: int
    max_request_bytes: int
    store_path: Path
    rejects_path: Path
    dry_run: Path | None
    phone_region: str | None
    unknown_company: str
    allow_missing_columns: bool

    @property
    def owner(self) -> StoreOwner:
        """The owner of the store."""
        return StoreOwner(self.address.base, self.sync_path, self.preset)

    @property
    def is_full(self) -> bool:
        """Whether everything received is sent."""
        return self.load_mode == "full"

    @property
    def stages(self) -> bool:
        """Whether the run sends nothing, and stages the load for `--deliver`."""
        return self.is_full and self.delete_missing


def read(config: Mapping[str, Any], user_agent: str, retries: RetryPolicy = DEFAULT_RETRIES) -> Settings:
    """Return the settings of a configuration without `problems`."""
    values = with_defaults(config, SCHEMA)
    server = server_name(values)
    region = values.get("phone_region")
    return Settings(
        server=server,
        address=read_address(values, allow_http=values["allow_http"]),
        credentials=read_credentials(values),
        http=read_http_settings(values, user_agent, connections=1, retries=retries),
        sync_path="/" + values["sync_path"].lstrip("/"),
        preset=values["preset"],
        streams=values.get("streams") or {},
        load_mode=values["load_mode"],
        delete_missing=values["delete_missing"],
        max_delete_fraction=float(values["max_delete_fraction"]),
        business_hours=read_hours(values.get("business_hours")),
        only_changed=values["only_changed"],
        max_rejects=int(values["max_rejects"]),
        max_request_bytes=int(values["max_request_bytes"]),
        store_path=store_path(values, server),
        rejects_path=rejects_path(values, server),
        dry_run=Path(values["dry_run"]).expanduser() if values.get("dry_run") else None,
        phone_region=region.upper() if region else None,
        unknown_company=values["unknown_company"],
        allow_missing_columns=values["allow_missing_columns"],
    )


def for_delivery(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are stored with a staged load: no secrets, and no paths."""
    return {name: value for name, value in given(config).items() if name not in _NOT_STAGED}


def problems(config: Mapping[str, Any], schema: Mapping[str, Any], needs: Needs) -> list[str]:
    """Return one line for each problem of a configuration; each begins with the name of the setting.

    `schema` includes the SDK's own settings. If settings are unknown or have the wrong type, only these are
    reported, since the others cannot be checked.
    """
    values = given(config)
    ill_typed = [*unknown_problems(values, schema["properties"]), *type_problems(values, schema)]
    if ill_typed:
        return ill_typed
    found: list[str] = []
    if needs >= Needs.INSTANCE:
        found += instance_problems(values, allow_http=bool(values.get("allow_http")), purpose="write to")
    if needs >= Needs.CREDENTIALS and ("url" in values or "server" in values):
        found += credential_problems(values)
    return [*found, *_own_problems(values), *_mapping_problems(values)]


def _own_problems(values: Mapping[str, Any]) -> Iterator[str]:
    if values.get("delete_missing") and values.get("load_mode", "partial") != "full":
        yield "delete_missing: needs load_mode full, since a partial load does not contain all contacts"
    if "business_hours" in values:
        yield from hours_problems(values["business_hours"])
    if "phone_region" in values and (problem := region_problem(values["phone_region"])) is not None:
        yield f"phone_region: {problem}"
    yield from path_problems(with_defaults(values, SCHEMA), server_name(values))
    if not math.isfinite(values.get("max_delete_fraction", 0)):
        yield "max_delete_fraction: must be a number"
    yield from user_agent_problems(values)
    path = values.get("sync_path", "")
    if "//" in path or "?" in path or "#" in path or any(not character.isprintable() for character in path):
        yield f"sync_path: {path!r} is not a path such as /custom/crm/sync.php"


def _mapping_problems(values: Mapping[str, Any]) -> Iterator[str]:
    try:
        compile_mapping(values.get("preset", "daktela"), values.get("streams"), None)
    except MappingProblems as error:
        yield from error.lines
