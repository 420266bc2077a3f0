"""JSON without rounding: numbers with a decimal point are decoded to `Decimal`, and encoded with all digits."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import msgspec


def read_number(text: str) -> Decimal | str:
    """Return the number in a JSON text, or the text itself if its exponent is larger than `Decimal` supports."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


decode = msgspec.json.Decoder(float_hook=read_number).decode
"""Return the content of a JSON text or bytes."""

encode = msgspec.json.Encoder(decimal_format="number").encode
"""Return a value as JSON."""
