"""Decode the body of a response: its rows, total, clock and error.

Every body is an envelope, `{"error": …, "result": …, "_time": …}`. A list is usable only if `error` is empty and
`result.data` exists: a 200 without a `result` looks like an empty page and is not one (daktela-api.md §3).
"""

from __future__ import annotations

import html
import json
import math
import re
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

from tap_daktela.api.json_text import BOM, replace_lone_surrogates, strip_nul
from tap_daktela.api.redaction import redact_server_text

_LONGEST_MESSAGE = 300
_LONGEST_TITLE = 80
_TITLE = re.compile(r"<title[^>]*>(.{1,2000}?)</title", re.IGNORECASE | re.DOTALL)


class EnvelopeError(ValueError):
    """The body is not a usable envelope; the message says what it is instead."""


class ReportedError(EnvelopeError):
    """The envelope contains an `error` of the API; the message is its text."""


@dataclass(frozen=True)
class Envelope:
    """The content of a response."""

    result: Any
    time: str | None
    """The clock of the server as it was sent: local time without an offset."""
    timezone: str | None
    """IANA name of the zone of all datetimes; builds before 2023 do not send it."""


@dataclass(frozen=True)
class Page:
    """The rows of a list response."""

    rows: list[Any]
    """Dictionaries, or objects with the same `get`."""
    total: int | None
    """The number of rows that match the filter, None if the server does not send it."""
    time: str | None = None
    timezone: str | None = None
    take: int | None = None
    """How many rows were requested, None if that is not known."""


def read_envelope(body: bytes) -> Envelope:
    """Return the content of a body.

    Raises:
        ReportedError: its `error` is not empty.
        EnvelopeError: not JSON, not an object, or without a `result`.
    """
    document = _decode(body)
    if not isinstance(document, dict):
        raise EnvelopeError("a response that is not a JSON object")
    if message := error_text(document.get("error")):
        raise ReportedError(message)
    if document.get("result") is None:
        raise EnvelopeError("a response without a result")
    return Envelope(document["result"], _text(document.get("_time")), _text(document.get("_timezone")))


def read_page(body: bytes) -> Page:
    """Return the page in a body; `data` may be a list or an object keyed by name.

    Raises:
        ReportedError: its `error` is not empty.
        EnvelopeError: it has no list of rows.
    """
    envelope = read_envelope(body)
    data = envelope.result.get("data") if isinstance(envelope.result, dict) else None
    rows = list(data.values()) if isinstance(data, dict) else data
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise EnvelopeError("a response without a list of rows")
    return Page(rows, read_total(envelope.result.get("total")), envelope.time, envelope.timezone)


def read_acceptance(body: bytes) -> None:
    """Check that the body of a 2xx is neither a web page nor an error.

    The format of the body is not known: it may be empty, a text, or any JSON without an `error`. The header does
    not help, because PHP declares every response as HTML (daktela-api.md §9, question 21).

    Raises:
        ReportedError: its `error` is not empty.
        EnvelopeError: it is an HTML page, such as proxies and failing scripts send.
    """
    if body.removeprefix(BOM).lstrip()[:1] == b"<":
        raise EnvelopeError("an HTML page instead of a response")
    if message := reported_error(body):
        raise ReportedError(message)


def reported_error(body: bytes) -> str:
    """Return the message of the API in the body of an error response, empty if there is none."""
    try:
        document = _decode(body)
    except EnvelopeError:
        return ""
    return error_text(document.get("error")) if isinstance(document, dict) else ""


def error_text(error: object) -> str:
    """Return the text of an `error`, which may be a text, a list, or nested objects.

    Its language is that of the server (Czech ones are recorded), so no decision may depend on it.
    """
    try:
        text = "; ".join(_messages(error))
    except RecursionError:
        text = "a text that is nested too deeply"
    return _shown(text, _LONGEST_MESSAGE)


def foreign_page(body: bytes) -> str:
    """Describe the body of an error response that Daktela did not send; empty if Daktela may have sent it.

    The title of a web page, or the beginning of a text, often names the firewall or proxy that sent it.
    """
    text = body.removeprefix(BOM).decode("utf-8", "replace").strip()
    if not text:
        return ""
    if text.startswith("<"):
        title = _TITLE.search(text)
        return "a web page" + (f", {_shown(html.unescape(title[1]), _LONGEST_TITLE)!r}" if title else "")
    try:
        document = msgspec.json.decode(body.removeprefix(BOM))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"a text, {_shown(text, _LONGEST_TITLE)!r}"
    is_envelope = isinstance(document, dict) and not {"error", "result"}.isdisjoint(document)
    return "" if is_envelope else "a text that is not Daktela's"


def _shown(text: str, length: int) -> str:
    """Return a text of the server as one line without secrets, of at most `length` characters."""
    text = redact_server_text(text)
    text = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _messages(error: object, place: tuple[str, ...] = ()) -> list[str]:
    if isinstance(error, dict):
        return [text for key, value in error.items() for text in _messages(value, (*place, str(key)))]
    if isinstance(error, list):
        return [text for value in error for text in _messages(value, place)]
    if not error:
        return []
    # Errors of the whole request are in `primary`, errors of a field in `form` under its name.
    name = ".".join(part for part in place if part not in {"primary", "form"})
    return [f"{name}: {error}" if name else str(error)]


def _decode(body: bytes) -> Any:  # noqa: ANN401 - JSON
    body = strip_nul(body.removeprefix(BOM))
    if not body.strip():
        raise EnvelopeError("an empty response")
    if body.lstrip()[:1] == b"<":
        raise EnvelopeError("an HTML page instead of JSON")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_damaged(body)
    except RecursionError as error:
        raise EnvelopeError("a response that is nested too deeply") from error


def _decode_damaged(body: bytes) -> Any:  # noqa: ANN401 - JSON
    """Decode JSON with unpaired surrogates, bytes that are not UTF-8, or numbers that are too large.

    Bytes and surrogates that are no text become U+FFFD. A number that Python cannot represent becomes its text, so
    that only its own column is a type mismatch and the rest of the row is kept.
    """
    try:
        document = json.loads(
            body.decode("utf-8", "replace"),
            parse_constant=_refuse_constant,
            parse_float=_float_or_text,
            parse_int=_int_or_text,
        )
        return msgspec.json.decode(json.dumps(_without_surrogates(document), ensure_ascii=False))
    except (ValueError, RecursionError, msgspec.DecodeError) as error:
        raise EnvelopeError("a response that is cut off or not JSON") from error


def _float_or_text(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _int_or_text(text: str) -> int | str:
    try:
        # Python refuses to read integers of more than 4,300 digits.
        return int(text)
    except ValueError:
        return text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _without_surrogates(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return replace_lone_surrogates(value)
    if isinstance(value, list):
        return [_without_surrogates(element) for element in value]
    if isinstance(value, dict):
        return {replace_lone_surrogates(key): _without_surrogates(element) for key, element in value.items()}
    return value


def read_total(value: object) -> int | None:
    """Return a total, which the server sends as a number, as text or not at all (daktela-api.md §2)."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
