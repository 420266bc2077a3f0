"""Records in; companies, contacts and the links between them out, as a mapping tells, which is data.

A mapping says for each stream what its records are (`company`, `contact` or `link`, or several of these) and where
each attribute comes from, by an expression of `expressions.py` or a list of them. Presets are mappings that come
with the package; the setting `streams` goes over them, key by key. All of it is compiled before the first record:
whatever is wrong with a mapping is told with its place in the configuration, and nothing is read.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from tap_daktela.api.config import suggest
from target_daktela_crm.expressions import ExpressionError, compile_expression, flat, is_empty, plain_path
from target_daktela_crm.values import (
    Identifier,
    UnreadableError,
    clean_text,
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
    from collections.abc import Collection, Iterable, Iterator

    from target_daktela_crm.expressions import Look

Record: TypeAlias = dict[str, Any]

PRESETS = tuple(
    sorted(
        entry.name.removesuffix(".toml")
        for entry in resources.files("target_daktela_crm.presets").iterdir()
        if entry.name.endswith(".toml")
    )
)

_TEXTS = {"company": ("name", "description"), "contact": ("name", "firstname", "lastname", "description")}
_ATTRIBUTES = {
    "company": ("when", "id", "name", "description", "deleted", "modified", "fields", "contacts"),
    "contact": ("when", "id", "company", *_TEXTS["contact"], "deleted", "modified", "fields"),
    "contacts": ("list", "when", "id", *_TEXTS["contact"], "deleted", "modified", "fields"),
    "link": ("when", "id", "contact", "company", "primary", "deleted"),
}
"""What each role of a stream may say; `contacts` are those inside a company's record."""
_REQUIRED = {"company": ("id",), "contact": ("id",), "contacts": ("list", "id"), "link": ("contact", "company")}
_ROLES = ("company", "contact", "link")
_OF_STREAM = (*_ROLES, "aliases", "null_values", "raw")
_CHANGES = frozenset({"append", "prepend", "remove"})

_encode = msgspec.json.Encoder().encode


class MappingError(ValueError):
    """A record that cannot be mapped."""

    def __init__(self, reason: str, identifier: str | None) -> None:
        super().__init__(reason)
        self.identifier = identifier


class Company(NamedTuple):
    """A company, as one record tells of it."""

    key: str
    body: bytes | None
    """The company's object in the request, without `contacts`; None if all that is known is its deletion."""
    modified: float | None
    deleted: bool


class Contact(NamedTuple):
    """A contact, as one record tells of it."""

    key: str
    body: bytes | None
    """The contact's object in the request; None if all that is known is its deletion."""
    company: str | None
    """Key of the company that the record names."""
    modified: float | None
    deleted: bool
    tells_company: bool = True
    """Whether the record has a column for its company at all; if not, what is known of it stays."""


class Link(NamedTuple):
    """That a contact belongs to a company, as a record of a stream between the two tells."""

    key: str
    contact: str
    """Empty if all that is known is the link's deletion."""
    company: str
    primary: bool
    deleted: bool


class Refusal(NamedTuple):
    """A part of a record that cannot be mapped, beside others that can."""

    identifier: str | None
    reason: str
    part: Any


Entity: TypeAlias = Company | Contact | Link
Role: TypeAlias = Callable[[Record], "Iterable[Entity | Refusal]"]
"""What one role of a stream makes of a record; raises MappingError."""


@dataclass(frozen=True)
class StreamMapping:
    """What the records of a stream are."""

    name: str
    roles: tuple[Role, ...]


@dataclass(frozen=True)
class CrmMapping:
    """A whole mapping, compiled."""

    streams: tuple[StreamMapping, ...]
    by_name: Mapping[str, StreamMapping] = field(repr=False)
    left_out: Counter[str] = field(default_factory=Counter)
    """How many phone numbers and e-mails were none, so far."""
    nameless: Counter[str] = field(default_factory=Counter)
    """How many raw contacts had neither a name nor a field, so far: usually those of a tap with another preset."""

    def stream(self, name: str) -> StreamMapping | None:
        """Return the mapping of a stream, by its name in any case or an alias; None where there is none."""
        return self.by_name.get(name.casefold())


class Problems(Exception):  # noqa: N818 - several errors
    """What is wrong with a mapping, a line for each thing, which begins with its place in the configuration."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def read_mapping(preset: str, streams: Mapping[str, Any] | None, phone_region: str | None) -> CrmMapping:
    """Return the mapping of a preset with `streams` over it.

    Raises:
        Problems: it says something that cannot be.
    """
    definition = load_preset(preset)
    merged, problems = merge(definition["streams"], streams or {})
    left_out: Counter[str] = Counter()
    nameless: Counter[str] = Counter()
    style = Style(
        raw=bool(definition.get("raw")),
        nulls=frozenset(definition.get("null_values", ())),
        phone_region=phone_region,
        left_out=left_out,
        nameless=nameless,
    )
    compiled: dict[str, StreamMapping] = {}
    for name, content in merged.items():
        compiler = _Compiler(f"streams.{name}", style.of_stream(content), problems)
        mapping = StreamMapping(name, compiler.roles(content))
        for alias in (name, *_names(content.get("aliases"), f"streams.{name}.aliases", problems)):
            if compiled.setdefault(alias.casefold(), mapping) is not mapping:
                problems.append(f"streams.{name}: {alias!r} names two streams of the mapping")
    if not merged:
        problems.append("streams: no stream is left of the mapping")
    if problems:
        raise Problems(problems)
    unique = {id(mapping): mapping for mapping in compiled.values()}
    return CrmMapping(tuple(unique.values()), compiled, left_out, nameless)


def load_preset(name: str) -> dict[str, Any]:
    """Return a preset as it stands in its file."""
    return tomllib.loads(resources.files("target_daktela_crm.presets").joinpath(f"{name}.toml").read_text("utf-8"))


def preset_notes(name: str) -> dict[str, str]:
    """Return what the head of a preset's file says: `Made for`, `Left out` and `Deletes`, as sentences."""
    text = resources.files("target_daktela_crm.presets").joinpath(f"{name}.toml").read_text("utf-8")
    notes: dict[str, str] = {}
    key = ""
    for line in text.split("\n\n", 1)[0].splitlines():
        content = line.removeprefix("#").strip()
        head, colon, rest = content.partition(": ")
        if colon and head in {"Made for", "Left out", "Deletes"}:
            key, content = head, rest
        if key and content:
            notes[key] = f"{notes[key]} {content}" if key in notes else content
    return notes


# Merging.


def merge(preset: Mapping[str, Any], changes: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a preset's streams with `changes` over them, key by key, and what is wrong with the changes.

    A null removes what the preset has under a key. An object with `append`, `prepend` or `remove` changes a list
    of the preset; anything else that is no object replaces what is there.
    """
    problems: list[str] = []
    names = {name.casefold(): name for name in preset}
    merged = dict(preset)
    for name, change in changes.items():
        place, known = f"streams.{name}", names.get(name.casefold(), name)
        if change is None:
            merged.pop(known, None)
        elif isinstance(change, Mapping):
            merged[known] = _merge_objects(merged.get(known, {}), change, place, problems)
        else:
            problems.append(f"{place}: must be an object with {', '.join(_ROLES)}")
    return merged, problems


def _merge_objects(
    old: Mapping[str, Any], change: Mapping[str, Any], place: str, problems: list[str]
) -> dict[str, Any]:
    merged = dict(old)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and value and _CHANGES.issuperset(value):
            merged[key] = _merge_lists(old.get(key), value, f"{place}.{key}", problems)
        elif isinstance(value, Mapping):
            inner = old.get(key)
            merged[key] = _merge_objects(
                inner if isinstance(inner, Mapping) else {}, value, f"{place}.{key}", problems
            )
        else:
            merged[key] = value
    return merged


def _merge_lists(old: object, change: Mapping[str, Any], place: str, problems: list[str]) -> list[Any]:
    items = list(old) if isinstance(old, list) else [] if old is None else [old]
    for verb, value in change.items():
        given = value if isinstance(value, list) else [value]
        if verb == "remove":
            problems += [
                f"{place}.remove: {item!r} is not in the preset's list" for item in given if item not in items
            ]
            items = [item for item in items if item not in given]
        else:
            items = [*items, *given] if verb == "append" else [*given, *items]
    return items


def _names(value: object, place: str, problems: list[str]) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if names is None:
        return []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        problems.append(f"{place}: must be a list of texts")
        return []
    return names


# Compiling.


@dataclass(frozen=True)
class Style:
    """What a preset does about values of all streams."""

    raw: bool
    """Whether values are left as they are."""
    nulls: frozenset[str]
    """Texts that mean that there is nothing."""
    phone_region: str | None
    left_out: Counter[str]
    nameless: Counter[str]

    def of_stream(self, content: Mapping[str, Any]) -> Style:
        """Return the style of a stream, which may have one of its own."""
        nulls, raw = _names(content.get("null_values"), "", []), content.get("raw")
        return replace(
            self,
            nulls=frozenset(nulls) if "null_values" in content else self.nulls,
            raw=raw if isinstance(raw, bool) else self.raw,
        )


class _Compiler:
    """Makes look-ups out of expressions, and notes what is wrong with them."""

    def __init__(self, place: str, style: Style, problems: list[str]) -> None:
        self._place = place
        self._style = style
        self._problems = problems

    def roles(self, content: Mapping[str, Any]) -> tuple[Role, ...]:
        """Return the roles of a stream."""
        for key in content:
            if key not in _OF_STREAM:
                self._problems.append(f"{self._place}.{key}: there is no such key{suggest(key, _OF_STREAM)}")
        _names(content.get("null_values"), f"{self._place}.null_values", self._problems)
        if not isinstance(content.get("raw", False), bool):
            self._problems.append(f"{self._place}.raw: must be true or false")
        roles: list[Role] = []
        for name in _ROLES:
            if name in content and self._checked(name, content[name], f"{self._place}.{name}"):
                make = {"company": self._company, "contact": self._contact, "link": self._link}[name]
                roles.append(make(content[name], f"{self._place}.{name}"))
        if not roles and not self._problems:
            self._problems.append(f"{self._place}: says none of {', '.join(_ROLES)}")
        return tuple(roles)

    def _checked(self, role: str, content: object, place: str) -> bool:
        if not isinstance(content, Mapping):
            self._problems.append(f"{place}: must be an object")
            return False
        for key in content:
            if key not in _ATTRIBUTES[role]:
                hint = suggest(key, _ATTRIBUTES[role])
                self._problems.append(f"{place}.{key}: a {role.removesuffix('s')} has no such attribute{hint}")
        missing = [key for key in _REQUIRED[role] if key not in content or content[key] == []]
        self._problems += [f"{place}.{key}: is missing" for key in missing]
        return not missing

    def _company(self, content: Mapping[str, Any], place: str) -> Role:
        common = self._common("company", content, place)
        nested = None
        if "contacts" in content and self._checked("contacts", content["contacts"], f"{place}.contacts"):
            nested = self._nested(content["contacts"], f"{place}.contacts")
        return _company_role(common, nested)

    def _contact(self, content: Mapping[str, Any], place: str) -> Role:
        company = self._first(content["company"], f"{place}.company") if "company" in content else None
        return _contact_role(self._common("contact", content, place), company, _columns(content.get("company")))

    def _nested(self, content: Mapping[str, Any], place: str) -> _Nested:
        return _Nested(self._all(content["list"], f"{place}.list"), self._common("contact", content, place))

    def _link(self, content: Mapping[str, Any], place: str) -> Role:
        looks = {key: self._first(content[key], f"{place}.{key}") for key in _ATTRIBUTES["link"] if key in content}
        return _link_role(looks)

    def _common(self, role: str, content: Mapping[str, Any], place: str) -> _Common:
        looks = {
            key: self._first(content[key], f"{place}.{key}")
            for key in ("when", "id", "deleted", "modified", *_TEXTS[role])
            if key in content
        }
        fields = self._fields(content.get("fields", {}), f"{place}.fields")
        return _Common(role, looks, _TEXTS[role], fields, self._style)

    def _fields(self, content: object, place: str) -> Callable[[Record], list[dict[str, Any]]]:
        if not isinstance(content, Mapping):
            return _given_fields(self._first(content, place), self._style)
        if "" in content:
            self._problems.append(f"{place}: has a field without a name")
        looks = {key: self._all(value, f"{place}.{key}") for key, value in content.items()}
        return _mapped_fields(looks, self._style)

    def _first(self, content: object, place: str) -> Look:
        """Return the first value that is not empty, of one expression or several."""
        looks = self._looks(content, place)
        nulls = self._style.nulls
        if len(looks) == 1 and self._style.raw and not nulls:
            return looks[0]

        def look(record: Record) -> Any:
            for each in looks:
                if not is_empty(value := each(record), nulls):
                    return value
            return None

        return look

    def _all(self, content: object, place: str) -> Look:
        """Return a list of the values of all expressions."""
        looks = self._looks(content, place)
        return lambda record: [each(record) for each in looks]

    def _looks(self, content: object, place: str) -> list[Look]:
        several = isinstance(content, list)
        looks = []
        for index, text in enumerate(content if isinstance(content, list) else [content]):
            where = f"{place}[{index}]" if several else place
            if not isinstance(text, str):
                self._problems.append(
                    f"{where}: must be an expression, a list of them, or append, prepend or remove"
                )
                continue
            try:
                looks.append(compile_expression(text, self._style.nulls))
            except ExpressionError as error:
                self._problems.append(f"{where}: {text!r}: {error}")
        return looks


# What a record becomes.


class _Common:
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
        self._texts = tuple((name, looks.get(name)) for name in texts)
        self._fields = fields
        self._text = read_text if style.raw else clean_text
        self._raw = style.raw
        self._nameless = style.nameless

    def concerns(self, record: Record) -> bool:
        """Return whether a record is one of this role."""
        look = self._looks.get("when")
        return look is None or bool(read_value("when", read_flag, look, record, None))

    def identifier(self, record: Record) -> Identifier:
        """Return the record's id."""
        return required_id("id", self._looks["id"], record, None)

    def deleted(self, record: Record, key: str) -> bool:
        """Return whether the CRM says that the record is deleted."""
        look = self._looks.get("deleted")
        return look is not None and bool(read_value("deleted", read_flag, look, record, key))

    def modified(self, record: Record, key: str) -> float | None:
        """Return when the record was changed last."""
        look = self._looks.get("modified")
        value: float | None = None if look is None else read_value("modified", read_moment, look, record, key)
        return value

    def body(self, record: Record, identifier: Identifier) -> bytes:
        """Return the object of the request that the record becomes."""
        content: dict[str, Any] = {"id": identifier.sent}
        for name, look in self._texts:
            content[name] = None if look is None else read_value(name, self._text, look, record, identifier.key)
        try:
            content["fields"] = self._fields(record)
        except UnreadableError as error:
            raise MappingError(f"fields: {error}", identifier.key) from None
        if not content["name"]:
            content["name"] = self._name(content, identifier)
        if self._raw and self.role == "contact" and _says_nothing(content):
            self._nameless[""] += 1
        return _encode(content)

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
            for each in content["fields"]:
                if each["value"]:
                    return str(each["value"][0])
        return f"#{identifier.key}"


def _says_nothing(content: Mapping[str, Any]) -> bool:
    names = [content["name"], content["firstname"], content["lastname"]]
    return not any(names) and not any(each["value"] for each in content["fields"])


class _Nested(NamedTuple):
    """The contacts inside a company's record."""

    list: Look
    common: _Common


def _company_role(common: _Common, nested: _Nested | None) -> Role:
    def role(record: Record) -> Iterator[Entity | Refusal]:
        if not common.concerns(record):
            return
        identifier = common.identifier(record)
        key = identifier.key
        deleted = common.deleted(record, key)
        modified = common.modified(record, key)
        yield Company(key, None if deleted else common.body(record, identifier), modified, deleted)
        if nested is not None:
            yield from _nested_contacts(nested, record, key, modified, deleted=deleted)

    return role


def _nested_contacts(
    nested: _Nested, record: Record, company: str, modified: float | None, *, deleted: bool
) -> Iterator[Contact | Refusal]:
    try:
        elements = list(flat(nested.list(record)))
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
    common: _Common, element: Record, company: str, modified: float | None, *, deleted: bool
) -> Contact | None:
    if not common.concerns(element):
        return None
    identifier = common.identifier(element)
    gone = deleted or common.deleted(element, identifier.key)
    body = None if gone else common.body(element, identifier)
    own = common.modified(element, identifier.key)
    return Contact(identifier.key, body, company, own if own is not None else modified, gone)


def _contact_role(common: _Common, company: Look | None, columns: frozenset[str]) -> Role:
    def role(record: Record) -> Iterator[Entity]:
        if not common.concerns(record):
            return
        identifier = common.identifier(record)
        key = identifier.key
        deleted = common.deleted(record, key)
        body = None if deleted else common.body(record, identifier)
        own = None if company is None else optional_id("company", company, record, key)
        told = not columns or not columns.isdisjoint(record)
        yield Contact(key, body, own, common.modified(record, key), deleted, told)

    return role


def _columns(company: object) -> frozenset[str]:
    """Return the columns that tell a contact's company, as far as they are names; none where that cannot be said.

    A record without any of them comes from a selection without them, or tells a part only: the contact is not
    taken from its company for that (crm-taps.md §4.1, key absent and key null).
    """
    paths = [plain_path(text) for text in (company if isinstance(company, list) else [company])]
    if None in paths:
        return frozenset()
    names = [[path[0], "__".join(path), "_".join(path)] for path in paths if path]
    return frozenset(name for several in names for name in several)


def _link_role(looks: Mapping[str, Look]) -> Role:
    def flag(name: str, record: Record, key: str | None) -> bool:
        return name in looks and bool(read_value(name, read_flag, looks[name], record, key))

    def role(record: Record) -> Iterator[Entity]:
        if "when" in looks and not flag("when", record, None):
            return
        own = optional_id("id", looks["id"], record, None) if "id" in looks else None
        deleted = flag("deleted", record, own)
        if deleted and own is not None:
            # A deleted row may be a stub that does not tell its ends any more.
            contact = optional_id("contact", looks["contact"], record, own) or ""
            company = optional_id("company", looks["company"], record, own) or ""
        else:
            contact = required_id("contact", looks["contact"], record, own).key
            company = required_id("company", looks["company"], record, own).key
        # Without an id of its own, a link is the pair.
        key = own if own is not None else f"{len(contact)}:{contact}:{company}"
        yield Link(key, contact, company, flag("primary", record, key), deleted)

    return role


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
        if not is_empty(value):
            return read_id(value)
    except UnreadableError as error:
        raise MappingError(f"{name}: {error}", identifier) from None
    raise MappingError(f"{name}: is missing", identifier)


def optional_id(name: str, look: Look, record: Record, identifier: str | None) -> str | None:
    """Return the key of an id that may be missing."""
    try:
        value = look(record)
        # What a condition leaves behind that is not met.
        return None if value is False or is_empty(value) else read_id(value).key
    except UnreadableError as error:
        raise MappingError(f"{name}: {error}", identifier) from None


# Fields.


def _mapped_fields(looks: Mapping[str, Look], style: Style) -> Callable[[Record], list[dict[str, Any]]]:
    readers = tuple((key, look, _reader(key, style)) for key, look in looks.items())

    def read(record: Record) -> list[dict[str, Any]]:
        # A key without values is sent as well, or Daktela would keep those that the CRM has given up.
        return [
            {
                "key": key,
                "value": reader(value for value in flat(look(record)) if not is_empty(value, style.nulls)),
            }
            for key, look, reader in readers
        ]

    return read


def _reader(key: str, style: Style) -> Callable[[Iterator[Any]], list[str]]:
    """Return what makes a field's values out of a CRM's: Daktela's own fields are called `number` and `email`."""
    if not style.raw and key == "number":
        return lambda values: _phones(values, style)
    if not style.raw and key == "email":
        return lambda values: _emails(values, style)
    if style.raw:
        return lambda values: [text for value in values if (text := read_text(value)) is not None]
    return lambda values: list(dict.fromkeys(text for value in values if (text := clean_text(value)) is not None))


def _parts(values: Iterator[Any]) -> Iterator[str]:
    """Yield texts; people put several numbers or addresses into one column."""
    for value in values:
        for part in re.split(r"[;,\n]", read_written(value)):
            if text := part.strip():
                yield text


def _phones(values: Iterator[Any], style: Style) -> list[str]:
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


def _emails(values: Iterator[Any], style: Style) -> list[str]:
    found: dict[str, None] = {}
    for text in _parts(values):
        email = read_email(text)
        if email is None:
            style.left_out["e-mail"] += 1
        else:
            found[email] = None
    return list(found)


def _given_fields(look: Look, style: Style) -> Callable[[Record], list[dict[str, Any]]]:
    """Return what reads fields that the record holds as such: a list of `{key, value}`, or values by key."""

    def read(record: Record) -> list[dict[str, Any]]:
        content = look(record)
        if content is None:
            return []
        if isinstance(content, dict):
            content = [{"key": key, "value": value} for key, value in content.items()]
        if not isinstance(content, list):
            raise UnreadableError("is neither a list of {key, value} nor an object")
        return [_given_field(element, style) for element in content]

    return read


def _given_field(element: object, style: Style) -> dict[str, Any]:
    key = element.get("key") if isinstance(element, dict) else None
    key = read_text(key) if isinstance(key, str) else None
    if not key or not isinstance(element, dict):
        raise UnreadableError("has an element without a key")
    texts: Collection[Any] = [value for value in flat(element.get("value")) if value is not None]
    if any(isinstance(value, dict) for value in texts):
        raise UnreadableError(f"{key} has a value that is neither a text nor a number")
    return {"key": key, "value": _reader(key, style)(iter(texts))}
