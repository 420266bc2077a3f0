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
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from target_daktela_crm.mapping.column_reader import ColumnReader, Recall
    from target_daktela_crm.mapping.columns import Column
    from target_daktela_crm.mapping.expressions import Getter
    from target_daktela_crm.mapping.field_values import Fields, StreamOptions

Record: TypeAlias = dict[str, Any]
Getters: TypeAlias = "Mapping[str, Getter]"
"""Compiled expressions by attribute."""

TEXTS = {"company": ("name", "description"), "contact": ("name", "firstname", "lastname", "description")}
"""The attributes of each role that are texts."""
_NAMES = frozenset({"name", "firstname", "lastname"})
_NO_COLUMNS: Mapping[str, Any] = {}
_encode_into = msgspec.json.Encoder().encode_into


def nothing_known(_role: str, _key: str) -> Mapping[str, Any]:
    """Return no columns, where no earlier records are known."""
    return _NO_COLUMNS


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

    def excludes(self, record: Record, complete: Record | None = None) -> bool:
        """Return whether a record certainly does not belong to the role.

        A record without any column of the condition is not excluded. `complete` is the record with the last known
        values of the columns that it lacks.
        """
        if self.get is None:
            return False
        with suppress(MappingError):
            return self.has_columns(record) and not self.is_met(record if complete is None else complete)
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
        condition: Condition,
        getters: Getters,
        fields: Fields,
        options: StreamOptions,
        columns: ColumnReader,
    ) -> None:
        self.role = columns.role
        self.columns = columns
        self._condition = condition
        self._getters = getters
        self._texts = tuple(
            (name, getters.get(name, no_value), _text_reader(name, options)) for name in TEXTS[self.role]
        )
        self._fields = fields
        self._raw = options.raw

    def apply_to(self, record: Record) -> bool:
        """Return whether the condition `when` selects a record for this role.

        It also selects a deleted record without the columns of the condition.
        """
        condition = self._condition
        return condition.is_met(record) or (not condition.has_columns(record) and self.deleted(record, ""))

    @property
    def is_conditional(self) -> bool:
        """Whether the role has a condition."""
        return self._condition.get is not None

    def excludes(self, record: Record, recall: Recall) -> bool:
        """Return whether `when` certainly excludes a record."""
        return self.is_conditional and self._condition.excludes(record, self.with_condition(record, recall))

    def excluded(self, record: Record) -> Iterator[Excluded]:
        """Yield the company or contact of an excluded record, if the record has an id."""
        key = _id_or_none(self._getters, record)
        if key is not None:
            with suppress(MappingError):
                yield Excluded(self.role, key, self.modified(record, key))

    def with_condition(self, record: Record, recall: Recall) -> Record:
        """Return a record with the last known columns of `when`, if it lacks any of them."""
        lacking = self.columns.lacking_condition(record)
        if not lacking:
            return record
        try:
            key = self.identifier(record).key
        except MappingError:
            # The record has no id, which is an error only if `when` selects it.
            return record
        return self.columns.with_last_known(record, lacking, key, recall)

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

    def body(
        self, record: Record, identifier: Identifier, unknown_fields: Collection[str] = ()
    ) -> tuple[bytearray, bool]:
        """Return the record's JSON object in the request, and whether the record has a name.

        It has no key for `unknown_fields`.
        """
        content: dict[str, Any] = {"id": identifier.sent}
        name = ""
        try:
            for name, get, read in self._texts:
                content[name] = read(get(record))
            name = "fields"
            content[name] = self._fields.read(record, unknown_fields)
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
    list_columns: tuple[Column, ...]
    """Columns of the expressions for the list."""
    attributes: Attributes

    def contacts(
        self, record: Record, company: str, modified: float | None, recall: Recall, *, deleted: bool
    ) -> Iterator[Contact | RejectedPart]:
        """Yield the contacts of a company's record; those of a deleted company are deleted.

        Raises:
            MappingError: the list of contacts cannot be read.
        """
        self.attributes.columns.note_list(any(column.is_in(record) for column in self.list_columns))
        for element in self._elements(record, company):
            if element is None or element == {}:
                continue
            if not isinstance(element, dict):
                yield RejectedPart(None, "contacts: an element is not an object", element)
                continue
            try:
                contact = self._contact(element, company, modified, recall, deleted=deleted)
            except MappingError as error:
                yield RejectedPart(error.identifier, f"contacts: {error}", element)
                continue
            if contact is not None:
                yield contact

    def excluded(self, record: Record, recall: Recall, *, with_all: bool) -> Iterator[Excluded]:
        """Yield the contacts of a company's record that `when` excludes, or all of them."""
        if not with_all and not self.attributes.is_conditional:
            return
        with suppress(MappingError):
            for element in self._elements(record, None):
                if isinstance(element, dict) and (with_all or self.attributes.excludes(element, recall)):
                    yield from self.attributes.excluded(element)

    def _elements(self, record: Record, company: str | None) -> list[Any]:
        try:
            return [element for value in self.elements(record) for element in flatten(_parsed_list(value))]
        except UnreadableError as error:
            raise MappingError(f"contacts: {error}", company) from None

    def _contact(
        self, element: Record, company: str, modified: float | None, recall: Recall, *, deleted: bool
    ) -> Contact | None:
        attributes = self.attributes
        element = attributes.with_condition(element, recall)
        if not attributes.apply_to(element):
            return None
        identifier = attributes.identifier(element)
        key = identifier.key
        own = attributes.modified(element, key)
        modified = own if own is not None else modified
        if deleted or attributes.deleted(element, key):
            return Contact(key, None, company, modified, deleted=True)
        element, _, unknown_fields, columns, _ = attributes.columns.complete(element, key, recall)
        body, _ = attributes.body(element, identifier, unknown_fields)
        return Contact(key, body, company, modified, deleted=False, columns=columns)


def _parsed_list(value: object) -> Any:
    content = from_json(value) if isinstance(value, str) and value.lstrip().startswith("[") else value
    return value if content is None else content


@dataclass(frozen=True)
class CompanyRole:
    """A record is a company, and may contain contacts."""

    attributes: Attributes
    nested: NestedContacts | None

    def entities(
        self, record: Record, recall: Recall = nothing_known
    ) -> Iterator[Company | Contact | RejectedPart]:
        """Yield the company of a record and the contacts inside it.

        Raises:
            MappingError: the record cannot be mapped.
        """
        attributes = self.attributes
        record = attributes.with_condition(record, recall)
        if not attributes.apply_to(record):
            return
        identifier = attributes.identifier(record)
        key = identifier.key
        deleted = attributes.deleted(record, key)
        modified = attributes.modified(record, key)
        if deleted:
            yield Company(key, None, modified, deleted=True)
        else:
            complete, _, unknown_fields, columns, is_unsettled = attributes.columns.complete(record, key, recall)
            body, is_named = attributes.body(complete, identifier, unknown_fields)
            yield Company(key, body, modified, False, not is_named, columns, is_unsettled)  # noqa: FBT003 - faster
        if self.nested is not None:
            yield from self.nested.contacts(record, key, modified, recall, deleted=deleted)

    def excluded(self, record: Record, recall: Recall, *, is_mapped: bool) -> Iterator[Excluded]:
        """Yield the company of a record that `when` excludes, and the excluded contacts inside a record.

        A record that `entities` has mapped (`is_mapped`) is not excluded, so its condition is not evaluated again.
        """
        is_excluded = not is_mapped and self.attributes.excludes(record, recall)
        if is_excluded:
            yield from self.attributes.excluded(record)
        if self.nested is not None:
            yield from self.nested.excluded(record, recall, with_all=is_excluded)


@dataclass(frozen=True)
class ContactRole:
    """A record is a contact."""

    attributes: Attributes
    company: Getter | None
    company_name: Getter | None
    replaces_links: Getter | None
    """Whether links of earlier runs no longer count if a record names the company or says that there is none."""
    is_from_columns: bool
    """Whether the company comes from any columns."""

    def entities(self, record: Record, recall: Recall = nothing_known) -> tuple[Contact, ...]:
        """Return the contact of a record, or nothing if `when` excludes the record.

        Raises:
            MappingError: the record cannot be mapped.
        """
        attributes = self.attributes
        if attributes.is_conditional:
            record = attributes.with_condition(record, recall)
            if not attributes.apply_to(record):
                return ()
        identifier = attributes.identifier(record)
        key = identifier.key
        modified = attributes.modified(record, key)
        if attributes.deleted(record, key):
            return (Contact(key, None, None, modified, deleted=True),)
        record, has_company, unknown_fields, columns, is_unsettled = attributes.columns.complete(
            record, key, recall
        )
        body, _ = attributes.body(record, identifier, unknown_fields)
        company, info = self._company(record, key, has_columns=has_company)
        name = None
        if self.company_name is not None and company is not None:
            name = read_value("company_name", clean_name, self.company_name, record, key)
        return (Contact(key, body, company, modified, False, info, name, columns, is_unsettled),)  # noqa: FBT003 - faster

    def _company(self, record: Record, key: str, *, has_columns: bool) -> tuple[str | None, CompanyInfo]:
        """Return the company of a contact, and what the record says about it.

        A record without any of the columns comes from a selection without them, or contains only some columns.
        The contact then keeps its company (crm-taps.md §4.1, key absent and key null).
        """
        if self.company is None:
            return None, CompanyInfo.NOT_MAPPED
        if not has_columns and self.is_from_columns:
            return None, CompanyInfo.COLUMNS_MISSING
        company = optional_id("company", self.company, record, key)
        if self.replaces_links is not None and read_value(
            "replaces_links", read_flag, self.replaces_links, record, key
        ):
            return company, CompanyInfo.GIVEN_WITHOUT_LINKS
        return company, CompanyInfo.GIVEN

    def excluded(self, record: Record, recall: Recall, *, is_mapped: bool) -> Iterable[Excluded]:
        """Return the contact of a record that `when` excludes; see `CompanyRole.excluded`."""
        is_excluded = not is_mapped and self.attributes.excludes(record, recall)
        return self.attributes.excluded(record) if is_excluded else ()


@dataclass(frozen=True)
class LinkRole:
    """A record links a contact to a company."""

    condition: Condition
    getters: Getters

    def entities(self, record: Record, _recall: Recall = nothing_known) -> Iterator[Link]:
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

    def excluded(self, record: Record, _recall: Recall, *, is_mapped: bool) -> Iterator[Excluded]:
        """Yield the link of a record that `when` excludes, if the record identifies it.

        See `CompanyRole.excluded` for `is_mapped`.
        """
        if is_mapped or not self.condition.excludes(record):
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

    def excluded(self, _record: Record, _recall: Recall, *, is_mapped: bool) -> tuple[()]:  # noqa: ARG002 - as others
        """Return nothing: `entities` returns an excluded value as deleted."""
        return ()

    def entities(self, record: Record, _recall: Recall = nothing_known) -> Iterator[CustomValue]:
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

    def excluded(self, _record: Record, _recall: Recall, *, is_mapped: bool) -> tuple[()]:  # noqa: ARG002 - as others
        """Return nothing: `entities` returns an excluded definition as deleted."""
        return ()

    def entities(self, record: Record, _recall: Recall = nothing_known) -> Iterator[CustomDefinition]:
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
