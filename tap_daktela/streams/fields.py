"""The types of streams and columns, and the functions with which `definitions.py` declares them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Kind(Enum):
    """The kinds of columns. `converters.py` has a converter for each kind that has a source in the API."""

    KEY = "key"
    """A key as text with the prefix of the instance. The API sends integers for tickets and queues."""
    PREFIXED = "prefixed text"
    """Text that is not a key but has the same prefix, as in the original extractor (daktela-api.md §5.2)."""
    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    """An instant in RFC 3339. The API sends local times of the instance without an offset."""
    OBJECT = "object"
    """An object without fixed properties. PHP sends `[]` for an empty object."""
    KEYS = "keys"
    """The keys of a list of related objects. Entries without a key are left out."""
    TITLES = "titles"
    """The titles of a list of related objects, in the order of the keys. A missing title is an empty text."""
    SCALAR = "scalar"
    """Text if the API sends a scalar, null if it sends an object. The original extractor kept the same of a
    relation that it requested by its name alone (daktela-api.md §5.3)."""
    ANY_AS_TEXT = "any value as text"
    """Text for any value: a scalar itself, the element of a list with one element, null for an empty list, JSON
    for everything else. Custom fields are lists of texts (daktela-api.md §3)."""
    PART = "part"
    """As `ANY_AS_TEXT`, for a part of an object or the list of the parts of a list of objects, at any depth."""
    SERVER = "server"
    """The name of the instance. It needs no field of the API."""
    UNIQUE_ID = "unique_id"
    """The hash of both keys of an item stream. It needs no further field of the API."""


_STRING: dict[str, Any] = {"type": ["string", "null"]}
_SCHEMAS: dict[Kind, dict[str, Any]] = {
    Kind.INTEGER: {"type": ["integer", "null"]},
    Kind.NUMBER: {"type": ["number", "null"]},
    Kind.BOOLEAN: {"type": ["boolean", "null"]},
    Kind.DATETIME: {"type": ["string", "null"], "format": "date-time"},
    Kind.OBJECT: {"type": ["object", "null"], "additionalProperties": True},
    # REPEATED columns of BigQuery cannot contain null.
    Kind.KEYS: {"type": ["array", "null"], "items": {"type": ["string"]}},
    Kind.TITLES: {"type": ["array", "null"], "items": {"type": ["string"]}},
    Kind.SERVER: {"type": ["string"]},
    Kind.UNIQUE_ID: {"type": ["string"]},
}


@dataclass(frozen=True)
class Field:
    """One column of a stream."""

    name: str
    """The name of the column."""
    kind: Kind
    description: str
    source: str = ""
    """The dotted path of the value in a row of the API (`queue.name`), empty for computed columns."""
    request: str = ""
    """The value for the parameter `fields` of a request (daktela-api.md §2), empty for computed columns."""
    official: bool = True
    """Whether the current official read schema has the field. Other fields are requested, too, since older builds
    send them, and left out if a server refuses them (daktela-api.md §9, question 1)."""
    to_catalog: Callable[[Any], Any] | None = None
    """Converts a value that is not null to the type of the column in the catalog, None for the same type."""
    extra: bool = False
    """Whether the setting `extra_fields` adds the column."""

    def schema(self, *, required: bool) -> dict[str, Any]:
        """Return the JSON Schema of the column. With `required`, it does not allow null."""
        schema = {**_SCHEMAS.get(self.kind, _STRING), "description": self.description}
        if required:
            schema["type"] = [name for name in schema["type"] if name != "null"]
        return schema


@dataclass(frozen=True, kw_only=True)
class Stream:
    """The declaration of a stream: its endpoint, its keys and its columns."""

    name: str
    endpoint: str
    """The endpoint of the API, without `.json`."""
    description: str
    keys: tuple[str, ...] = ("name",)
    """The columns of the primary key."""
    fields: tuple[Field, ...]
    replication_key: str | None = None
    """The column of the bookmark, which has the same name in the API. None for a full table."""
    closed: str | None = None
    """The API field with the time at which a row was closed, if closing it does not change the replication key."""
    activity_type: str | None = None
    """The type of activity that an item stream contains. None for all other streams."""
    item_keys: dict[str, str] = field(default_factory=dict)
    """Activity type -> API field with the key of its item. A row of such a type without this key is an orphan."""
    left_out: frozenset[str] = frozenset()
    """Known fields of the API without a column (daktela-api.md §4). For item streams, fields of the item."""
    selected_by_default: bool = True

    def field(self, name: str) -> Field:
        """Return the column with this name.

        Raises:
            KeyError: the stream has no such column.
        """
        for column in self.fields:
            if column.name == name:
                return column
        raise KeyError(name)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the records of the stream. Keys cannot be null."""
        return {
            "type": "object",
            "properties": {
                column.name: column.schema(required=column.name in self.keys) for column in self.fields
            },
        }


def _declare(kind: Kind, name: str, description: str, source: str, *, official: bool) -> Field:
    source = source or name
    return Field(name, kind, description, source, source, official)


def key(name: str, description: str, source: str = "", *, official: bool = True) -> Field:
    """Return a column for a key of this stream or of another one."""
    return _declare(Kind.KEY, name, description, source, official=official)


def prefixed(name: str, description: str) -> Field:
    """Return a column of text that begins with the prefix of the instance, as keys do."""
    return _declare(Kind.PREFIXED, name, description, "", official=True)


def text(name: str, description: str, source: str = "", *, official: bool = True) -> Field:
    """Return a column of text."""
    return _declare(Kind.TEXT, name, description, source, official=official)


def integer(name: str, description: str, source: str = "", *, official: bool = True) -> Field:
    """Return a column of whole numbers."""
    return _declare(Kind.INTEGER, name, description, source, official=official)


def number(name: str, description: str, source: str = "", *, official: bool = True) -> Field:
    """Return a column of numbers."""
    return _declare(Kind.NUMBER, name, description, source, official=official)


def boolean(name: str, description: str, source: str = "", *, official: bool = True) -> Field:
    """Return a column of true and false."""
    return _declare(Kind.BOOLEAN, name, description, source, official=official)


def moment(name: str, description: str, source: str = "", *, official: bool = True) -> Field:
    """Return a column of datetimes."""
    return _declare(Kind.DATETIME, name, description, source, official=official)


def mapping(name: str, description: str, source: str = "", *, official: bool = True) -> Field:
    """Return a column of objects without fixed properties."""
    return _declare(Kind.OBJECT, name, description, source, official=official)


def any_as_text(name: str, description: str, source: str = "", *, official: bool = False) -> Field:
    """Return a column of text for values of any type, such as custom fields."""
    return _declare(Kind.ANY_AS_TEXT, name, description, source, official=official)


def relation(name: str, what: str, *, joins: str = "", titled: bool = True) -> tuple[Field, ...]:
    """Return the columns `{name}_name`, a prefixed key, and `{name}_title` of a related object.

    `what` describes the related object ("the queue of the activity"). `joins` is the stream that contains it, if
    there is one. `titled` is False for an object that has no title in the API.
    """
    description = f"Key of {what}; joins {joins}.name." if joins else f"Key of {what}."
    columns = [key(f"{name}_name", description, f"{name}.name")]
    if titled:
        columns.append(text(f"{name}_title", f"Title of {what}.", f"{name}.title"))
    return tuple(columns)


def relations(name: str, what: str, *, joins: str = "") -> tuple[Field, ...]:
    """Return the columns `{name}_name` and `{name}_title` for a list of related objects. Both columns are lists.

    The whole list is requested by its name, since it is not known whether dotted fields work inside a list.
    `joins` is the stream that contains the objects, if there is one.
    """
    description = f"Keys of {what}; joins {joins}.name." if joins else f"Keys of {what}."
    return (
        Field(f"{name}_name", Kind.KEYS, description, f"{name}.name", name),
        Field(
            f"{name}_title",
            Kind.TITLES,
            f"Titles of {what}, in the order of the keys. A missing title is an empty text.",
            f"{name}.title",
            name,
        ),
    )


def scalar_relation(name: str, description: str, *, official: bool = True) -> Field:
    """Return a column for a relation that some builds send as a scalar; see `Kind.SCALAR`.

    Only the name of the relation is requested, since the whole object can be very large.
    """
    return Field(name, Kind.SCALAR, description, name, f"{name}.name", official)


def in_item(columns: tuple[Field, ...]) -> tuple[Field, ...]:
    """Return columns of an item as columns of its activity: `clid` becomes `item_clid` at `item.clid`."""
    return tuple(
        replace(
            column,
            name=f"item_{column.name}",
            source=f"item.{column.source}",
            request=f"item.{column.request}",
        )
        for column in columns
    )


SERVER = Field("server", Kind.SERVER, "Name of the Daktela instance, which is the prefix of all keys.")
UNIQUE_ID = Field(
    "unique_id",
    Kind.UNIQUE_ID,
    "MD5, in lower-case hexadecimal, of the activity's key, a hyphen and the item's key.",
)
