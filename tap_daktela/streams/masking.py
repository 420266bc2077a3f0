"""Mask values of rows for messages.

Values of rows can be personal data, and more people can read logs than the warehouse. So messages show each letter
of a text as `a` and each digit as `9`: `+420 777 123` becomes `+999 999 999`. This shows the format of a value. A
value that resembles the date, number or boolean that its column expects, such as `2026-13-01`, is shown unchanged,
since the value itself explains the error.
"""

from __future__ import annotations

import re

from tap_daktela.api.masked_text import MAX_LENGTH, mask
from tap_daktela.streams.fields import Kind

_DATE = re.compile(
    # A year first or last, then optionally a time, a fraction and an offset: 2026-13-01 25:00, 31.12.2026, 1/2/26.
    r"-?\d{1,4}([-./])\d{1,2}\1\d{1,4}([T ]\d{1,2}(:\d{1,2}){0,2}([.,]\d{1,9})?)? ?(Z|[+-]\d\d(:?\d\d)?)?"
    # A time without a date.
    r"|\d{1,2}:\d{1,2}(:\d{1,2})?"
    # Seconds or milliseconds since 1970 (2001 to 2033), 20261231, 20261231235959, and small numbers. Other digits
    # may be a phone number.
    r"|1\d{9}(\d{3})?(\.\d+)?|(19|20)\d{6}(\d{6})?|-?\d{1,4}",
    re.ASCII,
)
_NUMBER = re.compile(
    r"[+-]?\d+([.,]\d*)?([eE][+-]?\d+)?|[+-]?[.,]\d+|[+-]?inf(inity)?|nan"
    # Grouped by thousands. More than two groups may be a phone number.
    r"|-?\d{1,3}[ .,'\u00a0\u202f]\d{3}([.,]\d+)?",
    re.ASCII | re.IGNORECASE,
)
_BOOLEAN = re.compile(
    r"-?\d{1,2}|y|yes|n|no|t|true|f|false|on|off|ano|ne|enabled|disabled|null|none",
    re.ASCII | re.IGNORECASE,
)
_ATTEMPTS = {
    Kind.DATETIME: _DATE,
    Kind.INTEGER: _NUMBER,
    Kind.NUMBER: _NUMBER,
    Kind.BOOLEAN: _BOOLEAN,
}
"""Kind of column -> pattern of the values that are shown unchanged."""
_TYPES: dict[type, str] = {list: "a list", dict: "an object"}


def describe(value: object, kind: Kind) -> str:
    """Return a value of a row for a message, in quotes. `kind` is the kind of its column.

    The result shows at most 40 characters, and only the type of a list or an object.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int, float)):
        return _TYPES.get(type(value), type(value).__name__)
    try:
        text = str(value)
    except ValueError:
        # Python does not convert integers of more than 4,300 digits to text.
        return "a number of too many digits"
    attempt = _ATTEMPTS.get(kind)
    if len(text) <= MAX_LENGTH and attempt is not None and attempt.fullmatch(text.strip()):
        return repr(text)
    return repr(mask(text))
