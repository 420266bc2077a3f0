"""JSON without rounding: numbers with a decimal point are decoded to `Decimal` and encoded as they came."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation

import msgspec

LONGEST_NUMBER = 60
"""Digits. Longer numbers are handled as text, since a short text such as 1E999999999 would fill the memory."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


def read_number(text: str) -> Decimal | str:
    """Return the number in a JSON text, or the text itself if its exponent is larger than `Decimal` supports."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


decode = msgspec.json.Decoder(float_hook=read_number).decode
"""Return the content of a JSON text or bytes."""


def encode(value: object) -> bytes:
    """Return a value as JSON; integers may have any size."""
    try:
        return _encode(value)
    except OverflowError:
        # msgspec encodes integers of up to 64 bits.
        return json.dumps(value, ensure_ascii=False, default=_decimal_text).encode("utf-8", "replace")


def _decimal_text(value: object) -> str:
    return decimal_text(value) if isinstance(value, Decimal) else str(value)


def decimal_text(number: Decimal) -> str:
    """Return all digits of a number; numbers of more than `LONGEST_NUMBER` digits keep their exponent."""
    if number.is_finite() and abs(number.adjusted()) <= LONGEST_NUMBER:
        return f"{number:f}"
    return str(number)
