"""The settings that both commands share: the address of an instance, credentials and HTTP.

Each problem is one line that begins with the name of the setting and repeats no secret. Each command has its own
JSON Schema of its settings.
"""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, available_timezones

import jsonschema

from tap_daktela.api import address
from tap_daktela.api.client import Credentials, HttpSettings
from tap_daktela.api.redaction import register

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tap_daktela.api.address import Address
    from tap_daktela.api.retry import RetryPolicy

URL = (
    "Address of the Daktela instance, for example `https://acme.daktela.com`; a path prefix and an address that "
    "ends in `/api/v6` are accepted."
)
ACCESS_TOKEN = "Long-lived API token. Replaces `username` and `password`."  # noqa: S105 - a description
VERIFY_TLS = "Whether to verify the server's certificate."
ALLOW_HTTP = "Whether plain http to another host is allowed. It exposes the token to the network and to proxies."
REQUEST_TIMEOUT = (
    "Seconds without a byte from the server after which a request is tried again. A whole request may take ten "
    "times as long."
)
"""Descriptions of the settings that have the same meaning for both commands."""

CONNECTION = ("url", "server", "access_token", "username", "password")
"""The settings for the address of an instance and for its credentials."""

_PURPOSE_OF_NAME = "such as acme: it identifies the instance, and must not change later"
_SERVER = re.compile(r"[A-Za-z0-9-]+")
_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}
_SECRETS = frozenset({"access_token", "password"})

STREAM_MAP_OPTIONS = frozenset({"__alias__", "__else__", "__filter__", "__key_properties__", "__source__"})
"""The keys of a stream map that are not columns."""


def register_secrets(config: object, *, is_secret: bool = False) -> None:
    """Register the tokens and passwords in a configuration, whatever its form, so that no message repeats them."""
    if isinstance(config, dict):
        for name, value in config.items():
            register_secrets(value, is_secret=is_secret or name in _SECRETS)
    elif isinstance(config, list):
        for value in config:
            register_secrets(value, is_secret=is_secret)
    elif is_secret:
        register(config)


def user_agent_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the setting `user_agent`."""
    name = config.get("user_agent", "")
    if not name.isprintable() or not name.isascii() or name != name.strip():
        yield "user_agent: must be one line of ASCII characters, without leading or trailing spaces"


def given(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are set. Meltano may pass null or an empty text for a setting that is not set."""
    return {name: value for name, value in config.items() if value is not None and value != ""}


def with_defaults(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are set, and the defaults of the others."""
    defaults = {name: setting["default"] for name, setting in schema["properties"].items() if "default" in setting}
    return {**defaults, **given(config)}


def server_name(entry: Mapping[str, Any]) -> str:
    """Return the name of an instance: the setting `server`, or the first label of the host; empty without both."""
    if "server" in entry:
        return str(entry["server"])
    try:
        return address.parse(str(entry.get("url", "")), allow_http=True).first_label
    except address.AddressError:
        return ""


def read_address(entry: Mapping[str, Any], *, allow_http: bool) -> Address:
    """Return the address of an instance.

    Raises:
        AddressError: the URL cannot be used.
    """
    return address.parse(_url(entry), allow_http=allow_http)


def read_http_settings(
    values: Mapping[str, Any], user_agent: str, connections: int, retries: RetryPolicy
) -> HttpSettings:
    """Return the HTTP settings. `values` includes the defaults of the settings that are not set."""
    return HttpSettings(
        # The SDK reads the numbers of a configuration file as decimals.
        timeout=float(values["request_timeout"]),
        verify_tls=values["verify_tls"],
        user_agent=values.get("user_agent") or user_agent,
        connections=connections,
        retries=retries,
    )


def read_zone(name: str) -> ZoneInfo | None:
    """Return an IANA time zone, None if there is none of this name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def zone_problem(name: str) -> str:
    """Return what is wrong with the name of a time zone, empty if it is an IANA time zone."""
    if read_zone(name) is not None:
        return ""
    return f"{name!r} is not an IANA time zone such as Europe/Prague{suggest(name, available_timezones())}"


def read_credentials(entry: Mapping[str, Any]) -> Credentials:
    """Return the credentials for an instance."""
    return Credentials(
        # A token that was read from a file often ends with a line break.
        access_token=entry.get("access_token", "").strip(),
        username=entry.get("username", ""),
        password=entry.get("password", ""),
    )


def with_numbers(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with texts converted to numbers. The environment passes numbers as texts."""
    return {name: _number(value, schema["properties"].get(name, {})) for name, value in config.items()}


def _number(value: object, schema: Mapping[str, Any]) -> object:
    if isinstance(value, str) and "number" in schema.get("type", ()):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def suggest(name: str, known: Collection[str]) -> str:
    """Return a question with the known name that is most like `name`, or an empty text if none is similar."""
    by_lower_case = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), list(by_lower_case), n=1)
    return f"; did you mean {by_lower_case[close[0]]}?" if close else ""


def unknown_problems(config: Mapping[str, Any], known: Collection[str], place: str = "") -> Iterator[str]:
    """Yield a line for each setting that does not exist."""
    for name in config:
        if name not in known:
            yield f"{place}{name}: there is no such setting{suggest(name, known)}"


def type_problems(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each setting whose type or range differs from its schema."""
    # The SDK's schema of stream maps is invalid (0.54.9: `anyOf` contains a text), and jsonschema fails on it.
    if isinstance(maps := config.get("stream_maps"), dict):
        yield from _stream_map_type_problems(maps)
        config = {name: value for name, value in config.items() if name != "stream_maps"}
    errors: dict[str, jsonschema.ValidationError] = {}
    for error in jsonschema.Draft7Validator(schema).iter_errors(config):
        # `unknown_problems` reports unknown names.
        if error.validator != "additionalProperties":
            place = ""
            for part in error.absolute_path:
                place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
            if place not in errors or error.validator == "type":
                errors[place] = error
    for place, error in errors.items():
        yield f"{place}: {_demand(error)}{_refused(error)}{_suggestion(error)}".removeprefix(": ")


def _stream_map_type_problems(maps: Mapping[str, Any]) -> Iterator[str]:
    for stream, definition in maps.items():
        where = f"stream_maps.{stream}"
        if stream == "__else__":
            if not _is_null(definition):
                yield f"{where}: must be null, which removes all other streams"
        elif stream.startswith("__"):
            yield f"{where}: is not an option of stream maps{suggest(stream, ['__else__'])}"
        elif isinstance(definition, dict):
            problems = {column: _column_map_problem(column, value) for column, value in definition.items()}
            yield from (f"{where}.{column}: {problem}" for column, problem in problems.items() if problem)
        elif not _is_null(definition):
            yield f"{where}: must be an object of columns and expressions, or null to remove the stream"


def _column_map_problem(column: str, value: object) -> str:
    """Return what is wrong with a column or an option of a stream map, empty if its type is valid."""
    if column.startswith("__") and column.endswith("__") and column not in STREAM_MAP_OPTIONS:
        return f"is not an option of stream maps{suggest(column, STREAM_MAP_OPTIONS)}"
    if column == "__else__":
        return "" if _is_null(value) else "must be null, which removes all other columns"
    if column == "__key_properties__":
        is_list = isinstance(value, list) and all(isinstance(name, str) for name in value)
        return "" if is_list or value is None else "must be a list of columns, or null for none"
    is_text = isinstance(value, str) and value.strip() != ""
    if column in STREAM_MAP_OPTIONS:
        return "" if is_text else "must be text"
    return "" if is_text or value is None else "must be an expression (text), or null to remove the column"


def _is_null(value: object) -> bool:
    """Return whether the SDK treats a value of a stream map as null."""
    return value is None or value == "__NULL__"


def instance_problems(entry: Mapping[str, Any], *, allow_http: bool, purpose: str = "read") -> Iterator[str]:
    """Yield what is wrong with the address and name of one instance."""
    if "url" not in entry and "server" not in entry:
        yield f"url: set url or server to the Daktela instance to {purpose}"
        return
    server_fits = "server" not in entry or _SERVER.fullmatch(entry["server"])
    if not server_fits:
        yield f"server: {entry['server']!r} may contain only letters, digits and '-'"
    if "url" in entry or server_fits:
        try:
            parsed = read_address(entry, allow_http=allow_http)
        except address.AddressError as error:
            yield f"url: {error}"
        else:
            if "server" not in entry and not _SERVER.fullmatch(parsed.first_label):
                yield (
                    f"server: {parsed.first_label!r}, from the url, is not a valid name for the instance; set "
                    f"server to a name, {_PURPOSE_OF_NAME}"
                )


def credential_problems(entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the credentials for an instance."""
    login_settings = [name for name in ("username", "password") if name in entry]
    token = entry.get("access_token", "").strip()
    if not token.isascii() or any(not character.isprintable() or character == " " for character in token):
        yield "access_token: contains characters that are not allowed in a token"
    if "access_token" in entry and login_settings:
        names = " and ".join(login_settings)
        yield f"access_token: set either access_token, or username and password; remove access_token or {names}"
    elif "access_token" not in entry and not login_settings:
        yield "access_token: give access_token, or username and password"
    elif len(login_settings) == 1:
        missing = "password" if login_settings == ["username"] else "username"
        yield f"{missing}: is missing; {login_settings[0]} needs it"


def _url(entry: Mapping[str, Any]) -> str:
    return str(entry.get("url") or f"https://{entry['server']}.daktela.com")


def _demand(error: jsonschema.ValidationError) -> str:
    """Return what a setting must be. The messages of jsonschema repeat its value, which may be a secret."""
    demand: Any = error.validator_value
    if error.validator == "type":
        names = [demand] if isinstance(demand, str) else demand
        return "must be " + " or ".join(_TYPES[name] for name in names if name in _TYPES)
    if error.validator == "required":
        there: Any = error.instance
        return f"lacks {', '.join(name for name in demand if name not in there)}"
    words = {
        "enum": "must be one of",
        "minimum": "must be at least",
        "maximum": "must be at most",
        "exclusiveMinimum": "must be more than",
    }
    if error.validator not in words:
        return "does not have the form that its description gives"
    choices = [str(choice) for choice in (demand if isinstance(demand, list) else [demand]) if choice is not None]
    return f"{words[str(error.validator)]} {', '.join(choices)}"


def _suggestion(error: jsonschema.ValidationError) -> str:
    """Return the choice that was probably meant, as a question; empty if the setting has no list of choices."""
    choices: Any = error.validator_value if error.validator == "enum" else ()
    return suggest(str(error.instance), [choice for choice in choices if isinstance(choice, str)])


def _refused(error: jsonschema.ValidationError) -> str:
    secret = bool(_SECRETS & {str(part) for part in error.absolute_path})
    inside = any(part == "instances" for part in error.absolute_path) and len(error.absolute_path) < 3  # noqa: PLR2004
    if secret or inside or error.validator == "required" or isinstance(error.instance, (dict, list)):
        return ""
    is_constant = error.instance is None or isinstance(error.instance, bool)
    return f", not {json.dumps(error.instance) if is_constant else repr(error.instance)}"
