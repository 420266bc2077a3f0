"""Single values: what a CRM calls an id, a text, a flag, a moment, a phone number or an e-mail in, one form out.

Every function takes JSON as the reader decodes it: numbers with a point are `Decimal`, so that none is rounded.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import phonenumbers

from target_daktela_crm.exact_json import LONGEST_NUMBER, decimal_text, encode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_LARGEST_NUMBER = 10**LONGEST_NUMBER
_NATIVE = range(-(2**63), 2**63)
_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0", ""})

_PHONE = re.compile(r"\+?\(?\+?\d[\d\s().\-/\u00a0\u2009\u2010-\u2015]*\d")
_BRACKETED_ZERO = re.compile(r"\(0\)")
_SHORTEST_PHONE = 6
_LONGEST_PHONE = 17
"""Digits, of which ITU-T E.164 allows 15; two more for the `00` in front of a country code."""
_SURE_ENDING = 8
"""Digits at the end of two phone numbers that make them the same one, if only one names its country."""
_NO_NAME = re.compile(r"\[not provided\]", re.IGNORECASE)
_DASHES = frozenset("-\u2013\u2014") | {"--"}
_WHOLE = re.compile(r"\+?\d+\.0")
_EMAIL = re.compile(r"[^@\s<>]+@[^@\s<>.]+(?:\.[^@\s<>.]+)+")


class UnreadableError(ValueError):
    """A value is not of the kind that it must be; the message says what it is instead."""


class Identifier(msgspec.Struct, frozen=True, gc=False):
    """An id of the CRM."""

    key: str
    """What it is compared by: the exact number or text, so that 7, 7.0 and "7" are the same and "007" is not."""
    sent: int | str
    """What is sent: the type that it came in, whole numbers as integers as long as PHP has them exactly."""


def read_id(value: object) -> Identifier:
    """Return an id; `value` is neither null nor empty.

    CRM taps spell one id as 27483910200.0 on one end of a link and as "27483910200" on the other (crm-taps.md §1).

    Raises:
        UnreadableError: neither a number nor a text.
    """
    if type(value) is int and value in _NATIVE:
        return Identifier(str(value), value)
    if isinstance(value, str):
        text = value.replace("\x00", "") if "\x00" in value else value
        if not text or text.isspace():
            raise UnreadableError("is missing")
        return Identifier(text, text)
    return _identifier_of_number(value)


def _identifier_of_number(value: object) -> Identifier:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise UnreadableError(f"{_kind(value)} is no id")
    number = value if isinstance(value, int) else Decimal(str(value))
    if isinstance(number, int):
        if abs(number) >= _LARGEST_NUMBER:
            raise UnreadableError("a number of so many digits is no id")
    else:
        if not number.is_finite() or number.adjusted() > LONGEST_NUMBER:
            raise UnreadableError(f"the number {value} is no id")
        if number != number.to_integral_value():
            text = read_text(number) or ""
            return Identifier(text, text)
        number = int(number)
    key = str(number)
    # PHP reads longer ones as floats, and several of them would become one.
    return Identifier(key, number if number in _NATIVE else key)


def read_text(value: object) -> str | None:
    """Return a value as text: numbers exactly, flags as true or false, lists and objects as JSON, null as None.

    NUL characters are left out, which neither PHP nor its database takes (daktela-api.md §9, question 26).
    """
    if isinstance(value, str):
        return value.replace("\x00", "") if "\x00" in value else value
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, (dict, list)):
        return encode(value).decode()
    return str(value)


def clean_text(value: object) -> str | None:
    """Return a value as text without blanks around it, composed (NFC) as searches expect it; None if empty."""
    text = read_text(value)
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip() or None if text else None


def clean_name(value: object) -> str | None:
    """Return a value as the name of somebody or something, None if there is none.

    Blanks, of any kind, become single ones. What people and CRMs put where a part of a name is missing is left out
    (crm-taps.md §4.7).
    """
    text = clean_text(value)
    if text is None:
        return None
    words = (_NO_NAME.sub(" ", text) if "[" in text else text).split()
    while words and words[0] in _DASHES:
        words.pop(0)
    while words and words[-1] in _DASHES:
        words.pop()
    return " ".join(words) or None


def read_written(value: object) -> str:
    """Return a value as somebody would write it, without blanks around it: whole floats are whole numbers."""
    # As tables and spreadsheets write numbers into texts.
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return value.strip()[: -len(".0")]
    # No further: of 1E999999999, the integer would fill the memory.
    if isinstance(value, (Decimal, float)) and _is_moderate(value) and value == int(value):
        return str(int(value))
    return (read_text(value) or "").strip()


def _is_moderate(number: Decimal | float) -> bool:
    return math.isfinite(number) and abs(number) < _LARGEST_NUMBER


def read_flag(value: object) -> bool:
    """Return whether a value says yes, in any of the spellings of CRMs; null and empty say no.

    Raises:
        UnreadableError: it says neither yes nor no.
    """
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, (int, float, Decimal)):
        return value != 0
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise UnreadableError("the text says neither true nor false")
    return bool(value)


def read_moment(value: object) -> float | None:
    """Return a time of modification as a number that grows with time; None where it cannot be told.

    Datetimes without an offset are taken as UTC: they are only ever compared with others of the same stream.
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


class Phone(NamedTuple):
    """A phone number."""

    text: str
    """What is sent."""
    digits: str
    """What it is compared by: digits, after a `+` where they begin with a country code."""


def read_phone(text: str, region: str | None) -> Phone | None:
    """Return a phone number, None where there is none in `text`.

    With a `region` (ISO 3166, such as CZ), in whose spelling national numbers are read, it comes in the form of
    E.164, without an extension; otherwise as it is written, as is a national number of a length that phones of the
    region do not have: it may be one of another country. A number that is not possible at all is none.
    """
    if not text.isascii():
        # Marks of direction come with numbers that are copied from elsewhere.
        text = "".join(character for character in text if unicodedata.category(character) != "Cf")
    text = text.strip()
    found = _PHONE.search(text if text.isascii() else unicodedata.normalize("NFKC", text))
    if found is None or "@" in text:
        return None
    digits = _digits(found[0])
    if not _SHORTEST_PHONE <= len(digits.lstrip("+")) <= _LONGEST_PHONE:
        return None
    return Phone(text, digits) if region is None else _read_in_region(Phone(text, digits), found[0], region)


def _read_in_region(phone: Phone, spelling: str, region: str) -> Phone | None:
    is_international = phone.digits.startswith("+")
    try:
        number = phonenumbers.parse(
            phone.digits if is_international else _BRACKETED_ZERO.sub("", spelling), region
        )
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    if not is_international and not _has_length_of_its_region(number):
        return phone
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return Phone(written, written)


def _has_length_of_its_region(number: phonenumbers.PhoneNumber) -> bool:
    """Return whether a landline or a mobile phone may have such a number; services have other lengths."""
    kinds = (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE)
    return any(phonenumbers.is_possible_number_for_type(number, kind) for kind in kinds)


def is_same_phone(one: str, other: str) -> bool:
    """Return whether two numbers, as `Phone.digits`, are one and the same in different spellings.

    Without a region, a national spelling is the same as an international one that ends with it.
    """
    if one == other:
        return True
    if one.startswith("+") == other.startswith("+"):
        return False
    national, international = (other, one) if one.startswith("+") else (one, other)
    ending = national.lstrip("0")
    return len(ending) >= _SURE_ENDING and international.endswith(ending)


def read_email(text: str) -> str | None:
    """Return an e-mail address in lower case, None where `text` is none."""
    address = text.strip().lower().removeprefix("mailto:").strip()
    return address if _EMAIL.fullmatch(address) and address.isprintable() else None


def is_empty(value: object, nulls: Collection[str] = ()) -> bool:
    """Return whether a value counts as nothing: null, an empty text, list or object, or one of `nulls`."""
    if value is None:
        return True
    if isinstance(value, str):
        stripped = value.strip()
        return not stripped or value in nulls or stripped in nulls
    if isinstance(value, (list, dict)):
        return not value
    # Taps of one CRM have 0 and "0" for nothing.
    return bool(nulls) and not isinstance(value, bool) and read_written(value) in nulls


def flat(value: object) -> Iterator[Any]:
    """Yield the elements of a list, those of lists inside it included; anything else as it is."""
    if isinstance(value, (list, tuple)):
        for element in value:
            yield from flat(element)
    else:
        yield value


def _digits(written: str) -> str:
    written = _BRACKETED_ZERO.sub("", written) if "+" in written or written.startswith("00") else written
    digits = "".join(filter(str.isdecimal, written))
    if "+" in written:
        return f"+{digits}"
    return f"+{digits[2:]}" if digits.startswith("00") else digits


def _kind(value: Any) -> str:  # noqa: ANN401 - JSON
    kinds = {bool: "true or false", dict: "an object", list: "a list", type(None): "null"}
    return kinds.get(type(value), f"a {type(value).__name__}")
