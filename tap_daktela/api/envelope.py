"""The body of an answer in, its rows, total and clock out.

Every answer is `{"error": …, "result": …, "_time": …}`. A list is usable only when its error is empty and its
`result.data` is there: a 200 without a `result` looks like an empty page and is not one (daktela-api.md §3).
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
    """The body is no usable answer; the message says what it is instead."""


class ReportedError(EnvelopeError):
    """The answer carries an `error` of the API's own; the message is its text."""


@dataclass(frozen=True)
class Answer:
    """What an answer says, whatever its `result` holds."""

    result: Any
    time: str | None
    """The server's clock as it was sent: local time without an offset."""
    timezone: str | None
    """IANA name of the zone of all datetimes; builds before 2023 do not tell."""


@dataclass(frozen=True)
class Page:
    """The rows of a list answer."""

    rows: list[Any]
    """Dictionaries, or objects with the same `get`."""
    total: int | None
    """Rows that match the filter at the time of the answer, None where the server does not tell."""
    time: str | None = None
    timezone: str | None = None
    take: int | None = None
    """How many rows were requested, None if that is not known."""


def read_answer(body: bytes) -> Answer:
    """Return what `body` says.

    Raises:
        ReportedError: the answer's own `error` is not empty.
        EnvelopeError: not JSON, not an object, or without a `result`.
    """
    document = _decode(body)
    if not isinstance(document, dict):
        raise EnvelopeError("an answer that is not a JSON object")
    if message := error_text(document.get("error")):
        raise ReportedError(message)
    if document.get("result") is None:
        raise EnvelopeError("an answer without a result")
    return Answer(document["result"], _text(document.get("_time")), _text(document.get("_timezone")))


def read_page(body: bytes) -> Page:
    """Return the rows that `body` lists; `data` may be a list or an object keyed by name.

    Raises:
        ReportedError: the answer's own `error` is not empty.
        EnvelopeError: there is no list of rows in it.
    """
    answer = read_answer(body)
    data = answer.result.get("data") if isinstance(answer.result, dict) else None
    rows = list(data.values()) if isinstance(data, dict) else data
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise EnvelopeError("an answer without a list of rows")
    return Page(rows, read_total(answer.result.get("total")), answer.time, answer.timezone)


def read_acceptance(body: bytes) -> None:
    """Return if `body` is a 2xx's word that something was taken in: whatever is neither a page nor an error.

    For endpoints whose answer nobody knows: an empty body, a text or any JSON without an `error` will do. Judged
    by the body, for PHP calls every answer HTML (daktela-api.md §9, question 21).

    Raises:
        ReportedError: the answer's own `error` is not empty.
        EnvelopeError: an HTML page, as proxies and failing scripts send it.
    """
    if body.removeprefix(BOM).lstrip()[:1] == b"<":
        raise EnvelopeError("an HTML page in place of an answer")
    if message := reported_error(body):
        raise ReportedError(message)


def reported_error(body: bytes) -> str:
    """Return the API's own message in the body of a refused request, empty where there is none."""
    try:
        document = _decode(body)
    except EnvelopeError:
        return ""
    return error_text(document.get("error")) if isinstance(document, dict) else ""


def error_text(error: object) -> str:
    """Return the text of an `error` in any of its shapes: text, list, or nested objects of either.

    The language is the server's (Czech ones are recorded), so nothing may be concluded from the text.
    """
    try:
        text = "; ".join(_messages(error))
    except RecursionError:
        text = "a text that is nested too deeply"
    return _shown(text, _LONGEST_MESSAGE)


def foreign_page(body: bytes) -> str:
    """Return what the body of a refused request is, if Daktela did not send it; empty if it may have.

    The title of a web page, or the beginning of a text, names the firewall or proxy that sent it.
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
    """Return a text of the server as one line without secrets, shortened to `length`."""
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
    # What is wrong as a whole stands under `primary`, what is wrong with a field under `form` and its name.
    name = ".".join(part for part in place if part not in {"primary", "form"})
    return [f"{name}: {error}" if name else str(error)]


def _decode(body: bytes) -> Any:  # noqa: ANN401 - JSON
    body = strip_nul(body.removeprefix(BOM))
    if not body.strip():
        raise EnvelopeError("an empty answer")
    if body.lstrip()[:1] == b"<":
        raise EnvelopeError("an HTML page in place of JSON")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_damaged(body)
    except RecursionError as error:
        raise EnvelopeError("an answer that is nested too deeply") from error


def _decode_damaged(body: bytes) -> Any:  # noqa: ANN401 - JSON
    """Decode JSON that only lenient readers accept: half surrogate pairs, bytes that are not UTF-8, huge numbers.

    What is not text in any encoding becomes U+FFFD. A number that Python cannot represent becomes its text, so
    that only its own column does not fit. The rest of the row is kept.
    """
    try:
        document = json.loads(
            body.decode("utf-8", "replace"),
            parse_constant=_refuse_constant,
            parse_float=_float_or_text,
            parse_int=_int_or_text,
        )
        return msgspec.json.decode(json.dumps(_whole(document), ensure_ascii=False))
    except (ValueError, RecursionError, msgspec.DecodeError) as error:
        raise EnvelopeError("an answer that is cut off or not JSON") from error


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


def _whole(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return replace_lone_surrogates(value)
    if isinstance(value, list):
        return [_whole(element) for element in value]
    if isinstance(value, dict):
        return {replace_lone_surrogates(key): _whole(element) for key, element in value.items()}
    return value


def read_total(value: object) -> int | None:
    """Return a total, which may come as a number, as text or not at all (daktela-api.md §2)."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
