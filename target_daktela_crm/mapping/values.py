"""Read single values: ids, texts, flags and times in the spellings of CRMs.

All functions take JSON values as `exact_json.decode` returns them: numbers with a decimal point are `Decimal`.
"""

from __future__ import annotations

import html
import math
import re
import string
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from tap_daktela.api.masked_text import mask
from target_daktela_crm.exact_json import encode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_MAX_DIGITS = 60
"""Digits of a number. A short text such as 1E999999999 would otherwise fill the memory."""
_LARGEST_NUMBER = 10**_MAX_DIGITS
_INT64 = range(-(2**63), 2**63)
_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0", ""})
_ACCEPTED_FLAGS = "true, t, yes, y, 1, false, f, no, n, 0 and an empty text"

_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.ASCII | re.IGNORECASE)
_MOST_MARKS = 30
"""Combining marks in a row."""
_PLACEHOLDER = re.compile(r"\[not provided\]", re.IGNORECASE)
_DASHES = frozenset("-\u2013\u2014") | {"--"}
_WHOLE_NUMBER = re.compile(r"(0|-?[1-9][0-9]*)\.0+")
_PADDING = f"{string.whitespace}\u00a0\ufeff"
"""Characters around an id that are no part of it: columns of a fixed length, and marks of the byte order."""
_WHOLE_FLOAT = re.compile(r"\+?\d+\.0")


class UnreadableError(ValueError):
    """A value has the wrong type; the message says which type it has."""


class Identifier(msgspec.Struct, frozen=True, gc=False):
    """An id of the CRM."""

    key: str
    """Used to compare ids: the exact number or text. 7, 7.0, "7", "7.0" and " 7" are one id, "007" is another."""
    sent: int | str
    """Used in requests: the type of the record, but integers for whole numbers that PHP can represent exactly."""


def read_id(value: object) -> Identifier:
    """Return an id from a value that is not empty.

    CRM taps write the same id as 27483910200.0 in one stream and as "27483910200" in another (crm-taps.md §1).

    Raises:
        UnreadableError: the value is neither a number nor a text, or is blank.
    """
    if type(value) is int and value in _INT64:
        return Identifier(str(value), value)
    if isinstance(value, str):
        text = (value.replace("\x00", "") if "\x00" in value else value).strip(_PADDING)
        if not text.strip():
            raise UnreadableError("is missing")
        # pandas and Excel write integers in this way if another row of the column is empty.
        if text.endswith("0") and (whole := _WHOLE_NUMBER.fullmatch(text)):
            text = whole[1]
        return Identifier(text, text)
    return _identifier_of_number(value)


def _identifier_of_number(value: object) -> Identifier:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise UnreadableError(f"{_type_name(value)} is not an id")
    number = value if isinstance(value, int) else Decimal(str(value))
    if isinstance(number, int):
        if abs(number) >= _LARGEST_NUMBER:
            raise UnreadableError("a number with so many digits is not an id")
    else:
        if not number.is_finite() or number.adjusted() > _MAX_DIGITS:
            raise UnreadableError(f"the number {value} is not an id")
        if number != number.to_integral_value():
            text = read_text(number) or ""
            return Identifier(text, text)
        number = int(number)
    key = str(number)
    # PHP reads longer integers as floats, so that different ids would become equal.
    return Identifier(key, number if number in _INT64 else key)


def read_text(value: object) -> str | None:
    """Return the text of a value: exact numbers, `true` or `false`, JSON of lists and objects, None for null.

    NUL characters are removed, since PHP and its database do not accept them (daktela-api.md §9, question 26).
    """
    if isinstance(value, str):
        return value.replace("\x00", "") if "\x00" in value else value
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) <= _MAX_DIGITS:
        return f"{value:f}"
    if isinstance(value, (dict, list)):
        return encode(value).decode()
    return str(value)


def clean_text(value: object) -> str | None:
    """Return the text of a value without surrounding blanks and in NFC for searching, or None if it is empty."""
    text = read_text(value)
    return (text if text.isascii() else _composed(text)).strip() or None if text else None


def _composed(text: str) -> str:
    """Return a text in NFC, or unchanged if it has more combining marks in a row than any language.

    The time of the normalization grows with the square of their number. The Stream-Safe Text Format of Unicode
    (UAX #15) has the same limit.
    """
    if len(text) > _MOST_MARKS:
        marks = 0
        for character in text:
            marks = marks + 1 if unicodedata.combining(character) else 0
            if marks > _MOST_MARKS:
                return text
    return unicodedata.normalize("NFC", text)


def clean_name(value: object) -> str | None:
    """Return a name with single blanks, or None if it is empty.

    Placeholders that people and CRMs use for a missing part of a name are removed (crm-taps.md §4.7).
    """
    text = clean_text(value)
    if text is None:
        return None
    words = (_PLACEHOLDER.sub(" ", text) if "[" in text else text).split()
    while words and words[0] in _DASHES:
        words.pop(0)
    while words and words[-1] in _DASHES:
        words.pop()
    return " ".join(words) or None


def as_written(value: object) -> str:
    """Return a value as a person would write it: without surrounding blanks, and whole floats as integers."""
    # Spreadsheets write numbers in this way into texts.
    if isinstance(value, str) and _WHOLE_FLOAT.fullmatch(value.strip()):
        return value.strip()[: -len(".0")]
    # Only moderate numbers, since 1E999999999 as an integer would fill the memory.
    if isinstance(value, (Decimal, float)) and _is_moderate(value) and value == int(value):
        return str(int(value))
    return (read_text(value) or "").strip()


def _is_moderate(number: Decimal | float) -> bool:
    return math.isfinite(number) and abs(number) < _LARGEST_NUMBER


def read_flag(value: object) -> bool:
    """Return whether a value means true, in any spelling that CRMs use; null and empty values mean false.

    Raises:
        UnreadableError: a text that means neither.
    """
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, (int, float, Decimal)):
        return value != 0
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise UnreadableError(
            f"the text {mask(value)!r} is neither true nor false; accepted are {_ACCEPTED_FLAGS}"
        )
    return bool(value)


def read_time(value: object) -> float | None:
    """Return the time of a change as a number for comparison, or None if the value is not a time.

    Datetimes without an offset count as UTC, since they are only compared within a stream.
    """
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def decode_entities(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return a value whose texts have characters in place of HTML entities such as `&#039;`, at any depth.

    An `&` without the semicolon of an entity is an `&`.
    """
    if isinstance(value, str):
        return _ENTITY.sub(lambda found: html.unescape(found[0]), value) if "&" in value else value
    if isinstance(value, list):
        return [decode_entities(each) for each in value]
    if isinstance(value, dict):
        return {name: decode_entities(each) for name, each in value.items()}
    return value


def is_empty(value: object, null_values: Collection[str] = ()) -> bool:
    """Return whether a value is null, blank, an empty list or object, or one of the texts in `null_values`."""
    if value is None:
        return True
    if isinstance(value, str):
        stripped = value.strip()
        return not stripped or value in null_values or stripped in null_values
    if isinstance(value, (list, dict)):
        return not value
    # Some taps write both 0 and "0" for an empty value.
    return bool(null_values) and not isinstance(value, bool) and as_written(value) in null_values


def flatten(value: object) -> Iterator[Any]:
    """Yield the elements of a list and of lists inside it; yield any other value itself."""
    if isinstance(value, (list, tuple)):
        for element in value:
            yield from flatten(element)
    else:
        yield value


def _type_name(value: Any) -> str:  # noqa: ANN401 - JSON
    kinds = {bool: "true or false", dict: "an object", list: "a list", type(None): "null"}
    return kinds.get(type(value), f"a {type(value).__name__}")
