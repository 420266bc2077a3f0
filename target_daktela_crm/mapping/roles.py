"""The roles of a record: a company, a contact, a link, a custom value or a custom definition.

Each role reads the attributes of a record with compiled expressions, and encodes companies and contacts as the
JSON objects that are sent to Daktela. A record with an attribute that cannot be read is rejected, and the message
names that attribute.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from target_daktela_crm.entities import (
    Company,
    CompanyInfo,
    Contact,
    CustomDefinition,
    CustomValue,
    Excluded,
    Link,
    RejectedPart,
)
from target_daktela_crm.exact_json import encode
from target_daktela_crm.mapping.columns import from_json
from target_daktela_crm.mapping.values import (
    Identifier,
    UnreadableError,
    clean_name,
    clean_text,
    flatten,
    is_empty,
    read_flag,
    read_id,
    read_text,
    read_time,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from target_daktela_crm.mapping.columns import Column
    from target_daktela_crm.mapping.expressions import Getter
    from target_daktela_crm.mapping.field_values import Fields, StreamOptions

Record: TypeAlias = dict[str, Any]
Getters: TypeAlias = "Mapping[str, Getter]"
"""Compiled expressions by attribute."""

TEXTS = {"company": ("name", "description"), "contact": ("name", "firstname", "lastname", "description")}
"""The attributes of each role that are texts."""
_NAMES = frozenset({"name", "firstname", "lastname"})
_encode_into = msgspec.json.Encoder().encode_into


class MappingError(ValueError):
    """A record that cannot be mapped."""

    def __init__(self, reason: str, identifier: str | None) -> None:
        super().__init__(reason)
        self.identifier = identifier


@dataclass(frozen=True)
class Condition:
    """The condition `when` of a role, and its columns."""

    get: Getter | None
    """None if there is no condition."""
    columns: tuple[Column, ...] = ()
    column_prefixes: tuple[str, ...] = ()
    """Prefixes of the record's keys, for taps that have one column for each property of the CRM."""

    def is_met(self, record: Record) -> bool:
        """Return whether a record belongs to the role.

        Raises:
            MappingError: the condition cannot be evaluated.
        """
        return self.get is None or bool(read_value("when", read_flag, self.get, record, None))

    def has_columns(self, record: Record) -> bool:
        """Return whether a record contains information on the condition. Deleted records often lack it."""
        return _has_any(record, self.columns, self.column_prefixes)

    def excludes(self, record: Record) -> bool:
        """Return whether a record certainly does not belong to the role."""
        if self.get is None:
            return False
        with suppress(MappingError):
            return self.has_columns(record) and not self.is_met(record)
        return False


def _has_any(record: Record, columns: tuple[Column, ...], prefixes: tuple[str, ...]) -> bool:
    """Return whether a record has any of the columns, or no columns are needed.

    A record without any of them comes from a selection without them, or contains only some columns. Taps that have
    one column for each property, however, leave out those without a value.
    """
    if not columns or any(column.is_in(record) for column in columns):
        return True
    return bool(prefixes) and any(key.startswith(prefixes) for key in record)


class Attributes:
    """The attributes that companies and contacts have in common: id, texts and fields."""

    def __init__(
        self,
        role: str,
        condition: Condition,
        getters: Getters,
        fields: Fields,
        options: StreamOptions,
    ) -> None:
        self.role = role
        self._condition = condition
        self._getters = getters
        self._texts = tuple(
            (name, getters.get(name, no_value), _text_reader(name, options)) for name in TEXTS[role]
        )
        self._fields = fields
        self._raw = options.raw

    def apply_to(self, record: Record) -> bool:
        """Return whether the condition `when` selects a record for this role.

        It also selects a deleted record without the columns of the condition.
        """
        condition = self._condition
        return condition.is_met(record) or (not condition.has_columns(record) and self.deleted(record, ""))

    def excludes(self, record: Record) -> bool:
        """Return whether `when` certainly excludes a record."""
        return self._condition.excludes(record)

    def excluded(self, record: Record) -> Iterator[Excluded]:
        """Yield the company or contact of an excluded record, if the record has an id."""
        key = _id_or_none(self._getters, record)
        if key is not None:
            with suppress(MappingError):
                yield Excluded(self.role, key, self.modified(record, key))

    def identifier(self, record: Record) -> Identifier:
        """Return the record's id."""
        return required_id("id", self._getters["id"], record, None)

    def deleted(self, record: Record, key: str) -> bool:
        """Return whether the record is marked as deleted by the CRM, or by `_sdc_deleted_at` of the tap."""
        return _is_deleted(self._getters, record, key)

    def modified(self, record: Record, key: str) -> float | None:
        """Return the time of the record's last change."""
        get = self._getters.get("modified")
        value: float | None = None if get is None else read_value("modified", read_time, get, record, key)
        return value

    def body(self, record: Record, identifier: Identifier) -> tuple[bytearray, bool]:
        """Return the record's JSON object in the request, and whether the record has a name."""
        content: dict[str, Any] = {"id": identifier.sent}
        name = ""
        try:
            for name, get, read in self._texts:
                content[name] = read(get(record))
            name = "fields"
            content[name] = self._fields.read(record)
        except UnreadableError as error:
            raise MappingError(f"{name}: {error}", identifier.key) from None
        is_named = bool(content["name"])
        if not is_named:
            content["name"] = self._substitute_name(content, identifier)
        return encode_body(content), is_named

    def _substitute_name(self, content: Mapping[str, Any], identifier: Identifier) -> str | None:
        """Return a name for a record that has none.

        In the sync request, a company whose id, name and description are null means "no company", so a company
        without a name could lose its contacts. Daktela's own API requires a name of contacts, too.
        """
        if self.role == "contact" and self._raw:
            return content["name"]  # type: ignore[no-any-return]
        names = [content.get("firstname"), content.get("lastname")]
        if any(names):
            return " ".join(name for name in names if name)
        if self.role == "contact":
            # People recognize an e-mail address more easily than a phone number (crm-taps.md §4.7).
            fields = {each["key"]: each["value"] for each in content["fields"]}
            for value in (*fields.get("email", ()), *fields.get("number", ())):
                return str(value)
        return f"#{identifier.key}"


def encode_body(content: object) -> bytearray:
    """Return a JSON object of the request, as the `bytearray` that sqlite3 stores without conversion."""
    body = bytearray()
    _encode_into(content, body)
    return body


def _text_reader(name: str, options: StreamOptions) -> Callable[[Any], str | None]:
    if options.raw:
        return read_text
    return clean_name if name in _NAMES else clean_text


@dataclass(frozen=True)
class NestedContacts:
    """The contacts inside a company's record."""

    elements: Getter
    attributes: Attributes

    def contacts(
        self, record: Record, company: str, modified: float | None, *, deleted: bool
    ) -> Iterator[Contact | RejectedPart]:
        """Yield the contacts of a company's record; those of a deleted company are deleted.

        Raises:
            MappingError: the list of contacts cannot be read.
        """
        for element in self._elements(record, company):
            if element is None:
                continue
            if not isinstance(element, dict):
                yield RejectedPart(None, "contacts: an element is not an object", element)
                continue
            try:
                contact = self._contact(element, company, modified, deleted=deleted)
            except MappingError as error:
                yield RejectedPart(error.identifier, f"contacts: {error}", element)
                continue
            if contact is not None:
                yield contact

    def excluded(self, record: Record, *, with_all: bool) -> Iterator[Excluded]:
        """Yield the contacts of a company's record that `when` excludes, or all of them."""
        with suppress(MappingError):
            for element in self._elements(record, None):
                if isinstance(element, dict) and (with_all or self.attributes.excludes(element)):
                    yield from self.attributes.excluded(element)

    def _elements(self, record: Record, company: str | None) -> list[Any]:
        try:
            return [element for value in self.elements(record) for element in flatten(_parsed_list(value))]
        except UnreadableError as error:
            raise MappingError(f"contacts: {error}", company) from None

    def _contact(self, element: Record, company: str, modified: float | None, *, deleted: bool) -> Contact | None:
        attributes = self.attributes
        if not attributes.apply_to(element):
            return None
        identifier = attributes.identifier(element)
        is_deleted = deleted or attributes.deleted(element, identifier.key)
        body = None if is_deleted else attributes.body(element, identifier)[0]
        own = attributes.modified(element, identifier.key)
        return Contact(identifier.key, body, company, own if own is not None else modified, is_deleted)


def _parsed_list(value: object) -> Any:
    content = from_json(value) if isinstance(value, str) and value.lstrip().startswith("[") else value
    return value if content is None else content


@dataclass(frozen=True)
class CompanyRole:
    """A record is a company, and may contain contacts."""

    attributes: Attributes
    nested: NestedContacts | None

    def entities(self, record: Record) -> Iterator[Company | Contact | RejectedPart]:
        """Yield the company of a record and the contacts inside it.

        Raises:
            MappingError: the record cannot be mapped.
        """
        attributes = self.attributes
        if not attributes.apply_to(record):
            return
        identifier = attributes.identifier(record)
        key = identifier.key
        deleted = attributes.deleted(record, key)
        modified = attributes.modified(record, key)
        body, is_named = (None, True) if deleted else attributes.body(record, identifier)
        yield Company(key, body, modified, deleted, not is_named)
        if self.nested is not None:
            yield from self.nested.contacts(record, key, modified, deleted=deleted)

    def excluded(self, record: Record) -> Iterator[Excluded]:
        """Yield the company of a record that `when` excludes, and the excluded contacts inside a record."""
        is_excluded = self.attributes.excludes(record)
        if is_excluded:
            yield from self.attributes.excluded(record)
        if self.nested is not None:
            yield from self.nested.excluded(record, with_all=is_excluded)


@dataclass(frozen=True)
class ContactRole:
    """A record is a contact."""

    attributes: Attributes
    company: Getter | None
    company_name: Getter | None
    replaces_links: Getter | None
    """Whether links of earlier runs no longer count if a record names the company or says that there is none."""
    company_columns: tuple[Column, ...]
    """Columns of the expressions for the company."""
    column_prefixes: tuple[str, ...]
    """Prefixes of the record's keys, for taps that have one column for each property of the CRM."""

    def entities(self, record: Record) -> tuple[Contact, ...]:
        """Return the contact of a record, or nothing if `when` excludes the record.

        Raises:
            MappingError: the record cannot be mapped.
        """
        attributes = self.attributes
        if not attributes.apply_to(record):
            return ()
        identifier = attributes.identifier(record)
        key = identifier.key
        deleted = attributes.deleted(record, key)
        body = None if deleted else attributes.body(record, identifier)[0]
        if self.company is None:
            company, info = None, CompanyInfo.NOT_MAPPED
        else:
            company = optional_id("company", self.company, record, key)
            # The contact of a record without information on the company keeps its company (crm-taps.md §4.1).
            is_given = company is not None or _has_any(record, self.company_columns, self.column_prefixes)
            info = CompanyInfo.GIVEN if is_given else CompanyInfo.COLUMNS_MISSING
            if is_given and self.replaces_links is not None:
                replaces = read_value("replaces_links", read_flag, self.replaces_links, record, key)
                info = CompanyInfo.GIVEN_WITHOUT_LINKS if replaces else info
        name = None
        if self.company_name is not None and company is not None:
            name = read_value("company_name", clean_name, self.company_name, record, key)
        return (Contact(key, body, company, attributes.modified(record, key), deleted, info, name),)

    def excluded(self, record: Record) -> Iterable[Excluded]:
        """Return the contact of a record that `when` excludes."""
        return self.attributes.excluded(record) if self.attributes.excludes(record) else ()


@dataclass(frozen=True)
class LinkRole:
    """A record links a contact to a company."""

    condition: Condition
    getters: Getters

    def entities(self, record: Record) -> Iterator[Link]:
        """Yield the link of a record.

        Raises:
            MappingError: the record cannot be mapped.
        """
        getters = self.getters
        if not self.condition.is_met(record):
            return
        own = optional_id("id", getters["id"], record, None) if "id" in getters else None
        deleted = _is_deleted(getters, record, own)
        if deleted and own is not None:
            # A deleted record may contain its id only.
            contact = optional_id("contact", getters["contact"], record, own) or ""
            company = optional_id("company", getters["company"], record, own) or ""
        else:
            contact = required_id("contact", getters["contact"], record, own).key
            company = required_id("company", getters["company"], record, own).key
        # A link without an id is identified by its contact and company.
        key = own if own is not None else _pair(contact, company)
        modified = None
        if "modified" in getters:
            modified = read_value("modified", read_time, getters["modified"], record, key)
        yield Link(key, contact, company, _flag("primary", getters, record, key), deleted, modified)

    def excluded(self, record: Record) -> Iterator[Excluded]:
        """Yield the link of a record that `when` excludes, if the record identifies it."""
        if not self.condition.excludes(record):
            return
        getters = self.getters
        if "id" not in getters:
            with suppress(MappingError):
                ends = (required_id(name, getters[name], record, None).key for name in ("contact", "company"))
                yield Excluded("link", _pair(*ends))
        elif (key := _id_or_none(getters, record)) is not None:
            yield Excluded("link", key)


@dataclass(frozen=True)
class ValueRole:
    """A record is a custom value of a company or contact."""

    getters: Getters

    def excluded(self, _record: Record) -> tuple[Excluded, ...]:
        """Return nothing: `entities` returns an excluded value as deleted."""
        return ()

    def entities(self, record: Record) -> Iterator[CustomValue]:
        """Yield the value of a record; one that `when` excludes is yielded as deleted, since it may be stored.

        Raises:
            MappingError: the record cannot be mapped.
        """
        getters = self.getters
        if "when" in getters and not _flag("when", getters, record, None):
            if (known := _id_or_none(getters, record)) is not None:
                yield CustomValue(known, "", None, b"", deleted=True)
            return
        own = optional_id("id", getters["id"], record, None) if "id" in getters else None
        if own is not None and _is_deleted(getters, record, own):
            yield CustomValue(own, "", None, b"", deleted=True)
            return
        owner = required_id("owner", getters["owner"], record, own).key
        definition = None
        if "definition" in getters:
            definition = optional_id("definition", getters["definition"], record, own)
        key = own if own is not None else _pair(owner, definition or "")
        yield CustomValue(key, owner, definition, encode(record), _is_deleted(getters, record, key))


@dataclass(frozen=True)
class DefinitionRole:
    """A record defines the meaning of custom values."""

    getters: Getters

    def excluded(self, _record: Record) -> tuple[Excluded, ...]:
        """Return nothing: `entities` returns an excluded definition as deleted."""
        return ()

    def entities(self, record: Record) -> Iterator[CustomDefinition]:
        """Yield the definition of a record; one that `when` excludes is yielded as deleted.

        Raises:
            MappingError: the record cannot be mapped.
        """
        getters = self.getters
        if "when" in getters and not _flag("when", getters, record, None):
            if (known := _id_or_none(getters, record)) is not None:
                yield CustomDefinition(known, None)
            return
        key = required_id("id", getters["id"], record, None).key
        yield CustomDefinition(key, None if _is_deleted(getters, record, key) else encode(record))


Role: TypeAlias = CompanyRole | ContactRole | LinkRole | ValueRole | DefinitionRole


def _id_or_none(getters: Getters, record: Record) -> str | None:
    """Return the id of a record that is excluded, and therefore does not need one."""
    try:
        return optional_id("id", getters["id"], record, None) if "id" in getters else None
    except MappingError:
        return None


def no_value(_record: Record) -> None:
    """Return None, for an attribute without an expression."""


def _flag(name: str, getters: Getters, record: Record, key: str | None) -> bool:
    return name in getters and bool(read_value(name, read_flag, getters[name], record, key))


def _is_deleted(getters: Getters, record: Record, key: str | None) -> bool:
    return record.get("_sdc_deleted_at") is not None or _flag("deleted", getters, record, key)


def _pair(one: str, other: str) -> str:
    return f"{len(one)}:{one}:{other}"


def read_value(name: str, read: Callable[[Any], Any], get: Getter, record: Record, identifier: str | None) -> Any:
    """Return an attribute of a record.

    Raises:
        MappingError: it cannot be read; the message names the attribute.
    """
    try:
        return read(get(record))
    except UnreadableError as error:
        raise MappingError(f"{name}: {error}", identifier) from None


def required_id(name: str, get: Getter, record: Record, identifier: str | None) -> Identifier:
    """Return an id of a record.

    Raises:
        MappingError: it is missing or cannot be read.
    """
    try:
        value = get(record)
        if type(value) is int or not is_empty(value):
            return read_id(value)
    except UnreadableError as error:
        raise MappingError(f"{name}: {error}", identifier) from None
    raise MappingError(f"{name}: is missing", identifier)


def optional_id(name: str, get: Getter, record: Record, identifier: str | None) -> str | None:
    """Return the key of an id that may be missing; of several in a list, the first.

    Raises:
        MappingError: it cannot be read.
    """
    try:
        found = get(record)
        if type(found) is int:
            return read_id(found).key
        for value in flatten(found) if isinstance(found, list) else (found,):
            # A condition that is not met evaluates to False.
            if value is not False and not is_empty(value):
                return read_id(value).key
        return None  # noqa: TRY300 - as for an empty list
    except UnreadableError as error:
        raise MappingError(f"{name}: {error}", identifier) from None
