"""E-mail addresses in the texts that people type into a CRM.

`read_email_addresses` finds the addresses of a text: with names before them, as `mailto:`, in lists, or between
other words. The library `email-validator` decides what an address is, by its syntax only: no server is asked. A
shorter path for plain ASCII addresses also accepts the domains of internal networks, such as `jan@acme.local`.

A part of an address is never taken for a whole one, since it could be the address of somebody else.

All functions are pure. The time for a value is limited, since only the first `MAX_LENGTH` characters are read.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from target_daktela_crm.mapping.columns import from_json
from target_daktela_crm.mapping.values import flatten

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LENGTH = 1_000
"""Characters of a value that are read."""
_LONGEST_PLAIN = 64
"""Characters of an address whose parts certainly have lengths that RFC 5321 allows."""

_PLAIN = re.compile(
    r"[a-z0-9_][a-z0-9_+&'-]*(?:\.[a-z0-9_+&'-]+)*@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", re.ASCII
)
_PUNCTUATION = r"\u00ab\u00bb\u2000-\u206f\u3000-\u303f\uff01-\uff0f\uff1a-\uff1f"
"""Punctuation that is not ASCII."""
_LOCAL_PART = re.compile(rf"[^\s<>()\[\]:;,\"\\@\x00-\x1f\x7f{_PUNCTUATION}]+")
_LABEL = rf"[^\x00-,./:-@\[-`{{-\x9f\s{_PUNCTUATION}]+"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_BEFORE_LOCAL_PART = "'*/|=~#!?{}^&$%`."
_BEHIND_DOMAIN = f"{_BEFORE_LOCAL_PART}+-_"
"""Characters at the beginning of a local part that are probably no part of it, though most of them are allowed."""
_MAILTO = re.compile(r"mailto:([^?\s<>\"]*)(?:\?[^\s<>\"]*)?", re.IGNORECASE)
_SEPARATOR = re.compile(r"[;\n]")
"""Separators between addresses that are rarely inside names."""
_ENTITY = re.compile(r"&#?\w{1,10};")
_LONGEST_ENTITY = 13
_WORDS_BEFORE = frozenset(
    {
        *("a", "alebo", "and", "e", "et", "i", "lub", "nebo", "o", "oder", "or", "ou", "und", "y"),
        *("cc", "email", "home", "mail", "new", "office", "old", "private", "to", "work"),
    }
)
"""Words that stand before an address, and are not a part of one that was typed with a blank."""
_INVISIBLE = re.compile(r"[\ufe00-\ufe0f]")
_SIMPLE_CHARACTERS = str.maketrans(
    {"\uff20": "@", "\ufe6b": "@", "\uff0e": ".", "\u2010": "-", "\u2011": "-", "\u2019": "'"}
)


class EmailAddresses(NamedTuple):
    """What a text contains."""

    found: tuple[str, ...]
    """Each address once, in lower case, in the order of the text."""
    left_out: int
    """How many addresses are invalid; at least 1 if there is no address."""


def read_email_addresses(text: str) -> EmailAddresses:
    """Return the e-mail addresses in a text."""
    plain = read_plain_address(text)
    if plain is not None:
        return EmailAddresses((plain,), 0)
    found: dict[str, None] = {}
    left_out = others = 0
    simple, is_cut = _shortened(text)
    for part in _parts(_simplified(simple)):
        for candidate in _candidates(part):
            if candidate is not None and is_email_address(candidate):
                found[candidate] = None
            else:
                left_out += 1
        words = (each.strip() for each in _SEPARATOR.split(part))
        others += sum("@" not in word for word in words if word)
    left_out += is_cut
    return EmailAddresses(tuple(found), left_out + others if found else max(left_out, 1))


def read_plain_address(text: str) -> str | None:
    """Return an ASCII address that is the whole text, or None for any other text."""
    address = text.strip().lower()
    return address if _is_plain(address) else None


def is_email_address(address: str) -> bool:
    """Return whether a text in lower case is an e-mail address."""
    return _is_plain(address) or _is_valid(address)


def _is_plain(address: str) -> bool:
    return len(address) <= _LONGEST_PLAIN and _PLAIN.fullmatch(address) is not None


def _is_valid(address: str) -> bool:
    # Imported here, since it takes a twentieth of a second, and few addresses need it.
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415

    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        return False
    return True


def _shortened(text: str) -> tuple[str, bool]:
    """Return the part of a text that is read, and whether the rest may contain addresses."""
    if len(text) <= MAX_LENGTH:
        return text, False
    # Without the beginning of an address.
    end = max(text.rfind(separator, 0, MAX_LENGTH) for separator in " \n\t;,")
    return text[: max(end, 0)], "@" in text[max(end, 0) :]


def _simplified(text: str) -> str:
    """Return a text without invisible characters, and with ASCII characters for those that look the same."""
    text = text.replace("\x00", "")
    if not text.isascii():
        visible = "".join(each for each in text if each.isascii() or unicodedata.category(each) != "Cf")
        text = unicodedata.normalize("NFC", _INVISIBLE.sub("", visible).translate(_SIMPLE_CHARACTERS))
    return _MAILTO.sub(lambda found: f"<{unquote(found[1])}>", text)


def _parts(text: str) -> Iterator[str]:
    """Yield the texts in a JSON list, or the text itself."""
    content = from_json(text) if text.lstrip().startswith("[") else None
    elements = list(flatten(content)) if isinstance(content, list) else []
    if elements and all(isinstance(element, str) for element in elements):
        yield from elements
    else:
        yield text


def _candidates(text: str) -> Iterator[str | None]:
    """Yield what may be an address for each `@` of a text, or None if there is none around it."""
    before, *behind = text.split("@")
    for place, after in enumerate(behind, 1):
        local = _local_part(before.lstrip(_BEHIND_DOMAIN) if place > 1 else before)
        domain = _DOMAIN.match(after)
        end = 0 if domain is None else domain.end()
        # As in `a@b.cz@c.cz`, or `a@b.cz_c`.
        is_torn = after[end : end + 1] == "_" or (end == len(after) and place < len(behind))
        if domain is None or is_torn or local is None:
            if local is not None or not before.startswith("@"):
                yield None
            # What follows is no address of its own, unless there is a separator between.
            before = f"@{after}"
        else:
            before = after[end:]
            yield f"{local}@{domain[0].rstrip('-')}".lower()


def _local_part(text: str) -> str | None:
    """Return the local part at the end of a text, or None if it is only a part of one."""
    found = _LOCAL_PART.match(text[::-1])
    if found is None:
        return None
    before = text[: -found.end()]
    local = found[0][::-1].lstrip(_BEFORE_LOCAL_PART)
    is_part = before.endswith("@") or _is_after_entity(before) or ("." not in local and _is_after_word(before))
    return None if is_part or not local else local


def _is_after_entity(before: str) -> bool:
    """Return whether a text ends with an HTML entity, as in `sinead.o&#039;brien@example.com`."""
    ending = before[-_LONGEST_ENTITY:]
    return ending.endswith(";") and _ENTITY.fullmatch(ending, max(ending.rfind("&"), 0)) is not None


def _is_after_word(before: str) -> bool:
    """Return whether the local part may begin with the word before it, as in `jan novak@example.com`."""
    words = before.split()
    if len(words) != 1 or not before[-1].isspace():
        return False
    [word] = words
    return word.isalpha() and word.islower() and word not in _WORDS_BEFORE
