"""A record in; companies, contacts and links out, by look-ups that `mapping.py` has compiled.

What a record says in its CRM's words becomes what the sync request says: ids, texts and fields, encoded once and
for all. What cannot be read rejects the record, or the part of it, with the attribute that is to blame.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from target_daktela_crm.mapping.columns import from_json
from target_daktela_crm.mapping.values import (
    Identifier,
    UnreadableError,
    clean_name,
    clean_text,
    encode,
    flat,
    is_empty,
    is_same_phone,
    read_email,
    read_flag,
    read_id,
    read_moment,
    read_phone,
    read_text,
    read_written,
)

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Collection, Iterable, Iterator

    from target_daktela_crm.mapping.expressions import Look

Record: TypeAlias = dict[str, Any]

_BETWEEN = re.compile(r"[;,\n]|\s/\s")
"""What people put between several numbers or addresses; a slash alone belongs to German numbers."""
_NAMES = frozenset({"name", "firstname", "lastname"})
_encode_into = msgspec.json.Encoder().encode_into


class MappingError(ValueError):
    """A record that cannot be mapped."""

    def __init__(self, reason: str, identifier: str | None) -> None:
        super().__init__(reason)
        self.identifier = identifier


TELLS_NOTHING, HAS_NO_COLUMN, TELLS = range(3)
"""How a contact's record tells its company: it lacks the columns for it, so that what is known of it stays; the
mapping knows none; it has one of them. Numbers, since the largest of several records' counts in the store."""


class Company(msgspec.Struct, frozen=True, gc=False):
    """A company, as one record tells of it."""

    key: str
    body: bytes | bytearray | None
    """The company's object in the request, without `contacts`; None if all that is known is its deletion."""
    modified: float | None
    deleted: bool
    nameless: bool = False
    """Whether its record has no name, so that one was made up."""


class Contact(msgspec.Struct, frozen=True, gc=False):
    """A contact, as one record tells of it."""

    key: str
    body: bytes | bytearray | None
    """The contact's object in the request; None if all that is known is its deletion."""
    company: str | None
    """Key of the company that the record names."""
    modified: float | None
    deleted: bool
    tells_company: int = HAS_NO_COLUMN
    """One of the three above."""
    company_name: str | None = None
    """What the record calls that company."""


class Link(msgspec.Struct, frozen=True, gc=False):
    """That a contact belongs to a company, as a record of a stream between the two tells."""

    key: str
    contact: str
    """Empty if all that is known is the link's deletion."""
    company: str
    primary: bool
    deleted: bool


class Value(msgspec.Struct, frozen=True, gc=False):
    """A row that tells one value of a company or contact, whose own record is of another stream."""

    key: str
    owner: str
    """Id of that company or contact."""
    definition: str | None
    """Id of the row of a third stream that says what the value means."""
    record: bytes
    deleted: bool


class Definition(msgspec.Struct, frozen=True, gc=False):
    """A row that says what values mean."""

    key: str
    record: bytes | None
    """None if it is deleted."""


class Refusal(msgspec.Struct, frozen=True):
    """A part of a record that cannot be mapped, beside others that can."""

    identifier: str | None
    reason: str
    part: Any


Entity: TypeAlias = Company | Contact | Link | Value | Definition
Role: TypeAlias = Callable[[Record], "Iterable[Entity | Refusal]"]
"""What one role of a stream makes of a record; raises MappingError."""


@dataclass(frozen=True)
class Style:
    """What a preset does about values of all streams."""

    raw: bool
    """Whether values are left as they are."""
    nulls: frozenset[str]
    """Texts that mean that there is nothing."""
    places: tuple[str, ...]
    """Where columns stand, `{}` being their name; empty where they stand as such."""
    phone_region: str | None
    left_out: Counter[str]
    """How many phone numbers and e-mails were none, so far."""


# What a record becomes.


class Attributes:
    """What companies and contacts share: an id, texts and fields."""

    def __init__(
        self,
        role: str,
        looks: Mapping[str, Look],
        texts: Iterable[str],
        fields: Callable[[Record], list[dict[str, Any]]],
        style: Style,
    ) -> None:
        self.role = role
        self._looks = looks
        self._texts = tuple((name, looks.get(name, nothing), _reader_of_text(name, style)) for name in texts)
        self._fields = fields
        self._raw = style.raw

    def concerns(self, record: Record) -> bool:
        """Return whether a record is one of this role."""
        return "when" not in self._looks or _says("when", self._looks, record, None)

    def identifier(self, record: Record) -> Identifier:
        """Return the record's id."""
        return required_id("id", self._looks["id"], record, None)

    def deleted(self, record: Record, key: str) -> bool:
        """Return whether the CRM says that the record is deleted, or the tap, as taps of databases do."""
        return _is_deleted(self._looks, record, key)

    def modified(self, record: Record, key: str) -> float | None:
        """Return when the record was changed last."""
        look = self._looks.get("modified")
        value: float | None = None if look is None else read_value("modified", read_moment, look, record, key)
        return value

    def body(self, record: Record, identifier: Identifier) -> tuple[bytearray, bool]:
        """Return the object of the request that the record becomes, and whether it has a name of its own."""
        content: dict[str, Any] = {"id": identifier.sent}
        name = ""
        try:
            for name, look, read in self._texts:
                content[name] = read(look(record))
            name = "fields"
            content[name] = self._fields(record)
        except UnreadableError as error:
            raise MappingError(f"{name}: {error}", identifier.key) from None
        is_named = bool(content["name"])
        if not is_named:
            content["name"] = self._name(content, identifier)
        return encoded(content), is_named

    def _name(self, content: Mapping[str, Any], identifier: Identifier) -> str | None:
        """Return a name for what has none.

        A company without a name could be read as none at all, and its contacts be taken from it: that is how the
        sync request says that there is no company. Daktela's own API takes no contact without one either.
        """
        if self.role == "contact" and self._raw:
            return content["name"]  # type: ignore[no-any-return]
        names = [content.get("firstname"), content.get("lastname")]
        if any(names):
            return " ".join(name for name in names if name)
        if self.role == "contact":
            # A person is known by an address rather than by a number (crm-taps.md §4.7).
            fields = {each["key"]: each["value"] for each in content["fields"]}
            for value in (*fields.get("email", ()), *fields.get("number", ())):
                return str(value)
        return unnamed(identifier.key)


def encoded(content: object) -> bytearray:
    """Return the object of a request as JSON, in the form that the store takes fastest."""
    body = bytearray()
    _encode_into(content, body)
    return body


_HASH = blake2b(digest_size=16)
"""Of nothing, to be copied: to make one takes longer than to fill it."""


def hash_of(body: bytes | bytearray) -> bytes:
    """Return what two bodies are compared by."""
    state = _HASH.copy()
    state.update(body)
    return state.digest()


def unnamed(key: str) -> str:
    """Return what a company or contact without a name is called."""
    return f"#{key}"


def _reader_of_text(name: str, style: Style) -> Callable[[Any], str | None]:
    if style.raw:
        return read_text
    return clean_name if name in _NAMES else clean_text


class Nested(NamedTuple):
    """The contacts inside a company's record."""

    list: Look
    common: Attributes


def company_role(common: Attributes, nested: Nested | None) -> Role:
    """Return the role that makes companies of records, with the contacts inside them."""

    def role(record: Record) -> Iterator[Entity | Refusal]:
        if not common.concerns(record):
            return
        identifier = common.identifier(record)
        key = identifier.key
        deleted = common.deleted(record, key)
        modified = common.modified(record, key)
        body, is_named = (None, True) if deleted else common.body(record, identifier)
        yield Company(key, body, modified, deleted, not is_named)
        if nested is not None:
            yield from _nested_contacts(nested, record, key, modified, deleted=deleted)

    return role


def _as_list(value: object) -> Any:
    content = from_json(value) if isinstance(value, str) and value.lstrip().startswith("[") else value
    return value if content is None else content


def _nested_contacts(
    nested: Nested, record: Record, company: str, modified: float | None, *, deleted: bool
) -> Iterator[Contact | Refusal]:
    try:
        elements = [element for value in nested.list(record) for element in flat(_as_list(value))]
    except UnreadableError as error:
        raise MappingError(f"contacts: {error}", company) from None
    for element in elements:
        if element is None:
            continue
        if not isinstance(element, dict):
            yield Refusal(None, "contacts: an element is no object", element)
            continue
        try:
            contact = _nested_contact(nested.common, element, company, modified, deleted=deleted)
        except MappingError as error:
            yield Refusal(error.identifier, f"contacts: {error}", element)
            continue
        if contact is not None:
            yield contact


def _nested_contact(
    common: Attributes, element: Record, company: str, modified: float | None, *, deleted: bool
) -> Contact | None:
    if not common.concerns(element):
        return None
    identifier = common.identifier(element)
    gone = deleted or common.deleted(element, identifier.key)
    body = None if gone else common.body(element, identifier)[0]
    own = common.modified(element, identifier.key)
    return Contact(identifier.key, body, company, own if own is not None else modified, gone)


def contact_role(
    common: Attributes, company: Look | None, company_name: Look | None, tells_company: Callable[[Record], bool]
) -> Role:
    """Return the role that makes contacts of records."""

    def role(record: Record) -> Iterable[Entity]:
        if not common.concerns(record):
            return ()
        identifier = common.identifier(record)
        key = identifier.key
        deleted = common.deleted(record, key)
        body = None if deleted else common.body(record, identifier)[0]
        own = None if company is None else optional_id("company", company, record, key)
        name = None
        if company_name is not None and own is not None:
            name = read_value("company_name", clean_name, company_name, record, key)
        if company is None:
            told = HAS_NO_COLUMN
        else:
            told = TELLS if own is not None or tells_company(record) else TELLS_NOTHING
        return (Contact(key, body, own, common.modified(record, key), deleted, told, name),)

    return role


def link_role(looks: Mapping[str, Look]) -> Role:
    """Return the role that makes links of records."""

    def role(record: Record) -> Iterator[Entity]:
        if "when" in looks and not _says("when", looks, record, None):
            return
        own = optional_id("id", looks["id"], record, None) if "id" in looks else None
        deleted = _is_deleted(looks, record, own)
        if deleted and own is not None:
            # A deleted row may be a stub that does not tell its ends any more.
            contact = optional_id("contact", looks["contact"], record, own) or ""
            company = optional_id("company", looks["company"], record, own) or ""
        else:
            contact = required_id("contact", looks["contact"], record, own).key
            company = required_id("company", looks["company"], record, own).key
        # Without an id of its own, a link is the pair.
        key = own if own is not None else _pair(contact, company)
        yield Link(key, contact, company, _says("primary", looks, record, key), deleted)

    return role


def value_role(looks: Mapping[str, Look]) -> Role:
    """Return the role that makes values of records, for the companies and contacts that they belong to.

    A value that is no longer one of those wanted is deleted, as far as it was known.
    """

    def role(record: Record) -> Iterator[Entity]:
        if "when" in looks and not _says("when", looks, record, None):
            if (known := _id_if_any(looks, record)) is not None:
                yield Value(known, "", None, b"", deleted=True)
            return
        own = optional_id("id", looks["id"], record, None) if "id" in looks else None
        if own is not None and _is_deleted(looks, record, own):
            yield Value(own, "", None, b"", deleted=True)
            return
        owner = required_id("owner", looks["owner"], record, own).key
        definition = optional_id("definition", looks["definition"], record, own) if "definition" in looks else None
        key = own if own is not None else _pair(owner, definition or "")
        yield Value(key, owner, definition, encode(record), _is_deleted(looks, record, key))

    return role


def definition_role(looks: Mapping[str, Look]) -> Role:
    """Return the role that makes definitions of records; one that is no longer wanted is deleted."""

    def role(record: Record) -> Iterator[Entity]:
        if "when" in looks and not _says("when", looks, record, None):
            if (known := _id_if_any(looks, record)) is not None:
                yield Definition(known, None)
            return
        key = required_id("id", looks["id"], record, None).key
        yield Definition(key, None if _is_deleted(looks, record, key) else encode(record))

    return role


def _id_if_any(looks: Mapping[str, Look], record: Record) -> str | None:
    """Return the id of a record that is not wanted, and need not have one."""
    try:
        return optional_id("id", looks["id"], record, None) if "id" in looks else None
    except MappingError:
        return None


def nothing(_record: Record) -> None:
    """Find nothing."""


def _says(name: str, looks: Mapping[str, Look], record: Record, key: str | None) -> bool:
    return name in looks and bool(read_value(name, read_flag, looks[name], record, key))


def _is_deleted(looks: Mapping[str, Look], record: Record, key: str | None) -> bool:
    return record.get("_sdc_deleted_at") is not None or _says("deleted", looks, record, key)


def _pair(one: str, other: str) -> str:
    return f"{len(one)}:{one}:{other}"


def read_value(name: str, read: Callable[[Any], Any], look: Look, record: Record, identifier: str | None) -> Any:
    """Return an attribute of a record; what is wrong with it becomes a MappingError that names the attribute."""
    try:
        return read(look(record))
    except UnreadableError as error:
        raise MappingError(f"{name}: {error}", identifier) from None


def required_id(name: str, look: Look, record: Record, identifier: str | None) -> Identifier:
    """Return an id that must be there."""
    try:
        value = look(record)
        if type(value) is int or not is_empty(value):
            return read_id(value)
    except UnreadableError as error:
        raise MappingError(f"{name}: {error}", identifier) from None
    raise MappingError(f"{name}: is missing", identifier)


def optional_id(name: str, look: Look, record: Record, identifier: str | None) -> str | None:
    """Return the key of an id that may be missing, of the first one in a list."""
    try:
        found = look(record)
        if type(found) is int:
            return read_id(found).key
        for value in flat(found) if isinstance(found, list) else (found,):
            # False is what a condition leaves behind that is not met.
            if value is not False and not is_empty(value):
                return read_id(value).key
        return None  # noqa: TRY300 - the same as of an empty list
    except UnreadableError as error:
        raise MappingError(f"{name}: {error}", identifier) from None


# Fields.


def mapped_fields(looks: Mapping[str, Look], style: Style) -> Callable[[Record], list[dict[str, Any]]]:
    """Return what reads fields by their look-ups."""
    readers = tuple((key, look, field_reader(key, style)) for key, look in looks.items())

    def read(record: Record) -> list[dict[str, Any]]:
        # A key without values is sent as well, or Daktela would keep those that the CRM has given up.
        return [
            {
                "key": key,
                "value": reader(_present(look(record), style.nulls)),
            }
            for key, look, reader in readers
        ]

    return read


def _present(values: Iterable[Any], nulls: Collection[str]) -> list[Any]:
    """Return those of several values that are there, the elements of lists among them included."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, (list, tuple)):
            found += _present(value, nulls)
        elif value is not None and not is_empty(value, nulls):
            found.append(value)
    return found


def field_reader(key: str, style: Style) -> Callable[[Iterable[Any]], list[str]]:
    """Return what makes a field's values out of a CRM's: Daktela's own fields are called `number` and `email`."""
    if not style.raw and key == "number":
        return lambda values: _phones(values, style)
    if not style.raw and key == "email":
        return lambda values: _emails(values, style)
    if style.raw:
        return lambda values: [text for value in values if (text := read_text(value)) is not None]
    return lambda values: list(dict.fromkeys(text for value in values if (text := clean_text(value)) is not None))


def _parts(values: Iterable[Any]) -> Iterator[str]:
    """Yield texts; people put several numbers or addresses into one column."""
    for value in values:
        for part in _BETWEEN.split(read_written(value)):
            if text := part.strip():
                yield text


def _phones(values: Iterable[Any], style: Style) -> list[str]:
    texts: list[str] = []
    digits: list[str] = []
    for text in _parts(values):
        phone = read_phone(text, style.phone_region)
        if phone is None:
            style.left_out["phone number"] += 1
        elif not any(is_same_phone(phone.digits, known) for known in digits):
            texts.append(phone.text)
            digits.append(phone.digits)
    return texts


def _emails(values: Iterable[Any], style: Style) -> list[str]:
    found: dict[str, None] = {}
    for text in _parts(values):
        email = read_email(text)
        if email is None:
            style.left_out["e-mail"] += 1
        else:
            found[email] = None
    return list(found)


def given_fields(look: Look, style: Style) -> Callable[[Record], list[dict[str, Any]]]:
    """Return what reads fields that the record holds as such: a list of `{key, value}`, or values by key."""
    of_number, of_email, of_others = (field_reader(key, style) for key in ("number", "email", ""))
    readers = {"number": of_number, "email": of_email}

    def read(record: Record) -> list[dict[str, Any]]:
        content = look(record)
        if content is None:
            return []
        if isinstance(content, dict):
            pairs = list(content.items())
        elif isinstance(content, list):
            if style.raw and (fields := _as_they_are(content)) is not None:
                return fields
            pairs = [_pair_of(element) for element in content]
        else:
            raise UnreadableError("is neither a list of {key, value} nor an object")
        return [
            {"key": name, "value": readers.get(name, of_others)(_values_of(name, value))}
            for key, value in pairs
            if (name := _name_of(key))
        ]

    return read


def _as_they_are(content: list[Any]) -> list[dict[str, Any]] | None:
    """Return fields that are what they have to be, as most are of records that need no mapping; None otherwise."""
    fields = []
    for element in content:
        if type(element) is not dict:
            return None
        key, values = element.get("key"), element.get("value")
        if type(key) is not str or not key or "\x00" in key or type(values) is not list:
            return None
        # Not by all() of a generator, which takes three times as long.
        for text in values:
            if type(text) is not str or "\x00" in text:
                return None
        fields.append({"key": key, "value": values})
    return fields


def _pair_of(element: object) -> tuple[Any, Any]:
    return (element.get("key"), element.get("value")) if isinstance(element, dict) else (None, None)


def _name_of(key: object) -> str:
    name = read_text(key) if isinstance(key, str) else None
    if not name:
        raise UnreadableError("has an element without a key")
    return name


def _values_of(key: str, value: object) -> list[Any]:
    values = [each for each in flat(value) if each is not None]
    if any(isinstance(each, dict) for each in values):
        raise UnreadableError(f"{key} has a value that is neither a text nor a number")
    return values
