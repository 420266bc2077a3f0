"""What a stream and a field are: the words in which `streams.py` is written.

In: the declarations of `streams.py`. Out: `Stream` and `Field` values, which discovery turns into a catalog, and
`shape.py` into the fields to ask for and a function from row to record.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Kind(Enum):
    """How a value of the API becomes a value of a record; `converters.py` has a converter for each."""

    KEY = "key"
    """A key, as text, with the instance's prefix. The API sends integers for tickets and queues."""
    PREFIXED = "prefixed text"
    """Text that is no key, to which the original extractor gave the prefix of one (daktela-api.md §5.2)."""
    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    """An instant in RFC 3339. The API sends local times of the instance, without an offset."""
    OBJECT = "object"
    """An object of no fixed shape. PHP spells an empty one `[]`."""
    KEYS = "keys"
    """The keys of a list of related objects. Entries without a key are left out."""
    TITLES = "titles"
    """The titles of a list of related objects, in the order of the keys; an empty text where there is none."""
    SCALAR = "scalar"
    """Text where the API sends a scalar, null where it sends an object: all that the original extractor kept
    of a relation that it asked for by its bare name (daktela-api.md §5.3)."""
    ANY_AS_TEXT = "loose"
    """Text of whatever comes: a scalar as it is, a list of one as its element, an empty list as null,
    anything else as JSON. Custom fields are lists of texts (daktela-api.md §3)."""
    PART = "part"
    """As `LOOSE`, for a part of an object or of each object of a list, at any depth: of a list, the list of the
    parts."""
    SERVER = "server"
    """The instance's name; nothing is asked for it."""
    UNIQUE_ID = "unique_id"
    """The hash of an item stream's two keys; nothing is asked for it."""


_STRING: dict[str, Any] = {"type": ["string", "null"]}
_SCHEMAS: dict[Kind, dict[str, Any]] = {
    Kind.INTEGER: {"type": ["integer", "null"]},
    Kind.NUMBER: {"type": ["number", "null"]},
    Kind.BOOLEAN: {"type": ["boolean", "null"]},
    Kind.DATETIME: {"type": ["string", "null"], "format": "date-time"},
    Kind.OBJECT: {"type": ["object", "null"], "additionalProperties": True},
    # BigQuery's REPEATED columns hold no null.
    Kind.KEYS: {"type": ["array", "null"], "items": {"type": ["string"]}},
    Kind.TITLES: {"type": ["array", "null"], "items": {"type": ["string"]}},
    Kind.SERVER: {"type": ["string"]},
    Kind.UNIQUE_ID: {"type": ["string"]},
}


@dataclass(frozen=True)
class Field:
    """One column of a stream."""

    name: str
    """The column's name."""
    kind: Kind
    description: str
    source: str = ""
    """Where the value stands in a row of the API, dotted (`queue.name`)."""
    request: str = ""
    """What to ask the server for, as a value of `fields` (daktela-api.md §2); empty for computed columns."""
    official: bool = True
    """Whether today's official read schema has the field. The others are asked for all the same, since older
    builds send them, and given up if a server refuses them (daktela-api.md §9, question 1)."""
    to_catalog: Callable[[Any], Any] | None = None
    """Converts a value that is not null to the type that the catalog gives the column, if that is another one."""
    extra: bool = False
    """Whether the setting `extra_fields` adds the column."""

    def schema(self, *, required: bool) -> dict[str, Any]:
        """Return the column's JSON Schema; `required` takes null out of its types."""
        schema = {**_SCHEMAS.get(self.kind, _STRING), "description": self.description}
        if required:
            schema["type"] = [name for name in schema["type"] if name != "null"]
        return schema


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One stream: where its rows come from and what becomes of them."""

    name: str
    endpoint: str
    """The API's endpoint, without `.json`."""
    description: str
    keys: tuple[str, ...] = ("name",)
    """The columns of the primary key."""
    fields: tuple[Field, ...]
    replication_key: str | None = None
    """The column of the bookmark, of the same name in the API; None for a full table."""
    closed: str | None = None
    """The API's field with the time of closing, where closing a row moves no replication key."""
    activity_type: str | None = None
    """Only activities of this type; such a stream holds the activity together with its item."""
    item_keys: dict[str, str] = field(default_factory=dict)
    """Activity type -> API field with its item's key. A row of such a type without this key is an orphan."""
    left_out: frozenset[str] = frozenset()
    """Fields of the API that are known and that no column takes (daktela-api.md §4); of the item, where rows have
    one."""
    selected_by_default: bool = True

    def field(self, name: str) -> Field:
        """Return the column called `name`; KeyError where there is none."""
        for column in self.fields:
            if column.name == name:
                return column
        raise KeyError(name)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the stream's records: keys are never null."""
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
    """Return a column for a key of this or of another stream."""
    return _declare(Kind.KEY, name, description, source, official=official)


def prefixed(name: str, description: str) -> Field:
    """Return a column of text that begins with the instance's prefix, as keys do."""
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
    """Return a column of objects without a fixed shape."""
    return _declare(Kind.OBJECT, name, description, source, official=official)


def any_as_text(name: str, description: str, source: str = "", *, official: bool = False) -> Field:
    """Return a column of text for a value of any shape, such as a custom field."""
    return _declare(Kind.ANY_AS_TEXT, name, description, source, official=official)


def relation(name: str, what: str, *, joins: str = "", titled: bool = True) -> tuple[Field, ...]:
    """Return the columns `{name}_name`, a prefixed key, and `{name}_title` of a related object.

    `what` says what is related ("the queue of the activity"), `joins` names the stream that holds it, if any
    does; `titled` is False for an object to which the API gives no title.
    """
    description = f"Key of {what}; joins {joins}.name." if joins else f"Key of {what}."
    columns = [key(f"{name}_name", description, f"{name}.name")]
    if titled:
        columns.append(text(f"{name}_title", f"Title of {what}.", f"{name}.title"))
    return tuple(columns)


def relations(name: str, what: str) -> tuple[Field, ...]:
    """Return the columns `{name}_name` and `{name}_title` of a list of related objects, a list each.

    The list is asked for by its bare name: whether a dotted field reaches into a list is nowhere recorded.
    """
    return (
        Field(f"{name}_name", Kind.KEYS, f"Keys of {what}.", f"{name}.name", name),
        Field(
            f"{name}_title",
            Kind.TITLES,
            f"Titles of {what}, in the order of the keys; an empty text for none.",
            f"{name}.title",
            name,
        ),
    )


def scalar_relation(name: str, description: str, *, official: bool = True) -> Field:
    """Return a column with what the original extractor kept of a relation asked for by its bare name.

    Only the relation's name is asked for, since its whole object can be very large; the scalar that a build
    may send in its place is kept.
    """
    return Field(name, Kind.SCALAR, description, name, f"{name}.name", official)


def in_item(columns: tuple[Field, ...]) -> tuple[Field, ...]:
    """Return an item's columns as a row of activities has them: `clid` becomes `item_clid`, at `item.clid`."""
    return tuple(
        replace(
            column,
            name=f"item_{column.name}",
            source=f"item.{column.source}",
            request=f"item.{column.request}",
        )
        for column in columns
    )


SERVER = Field("server", Kind.SERVER, "Name of the Daktela instance, the prefix of all keys.")
UNIQUE_ID = Field(
    "unique_id",
    Kind.UNIQUE_ID,
    "MD5, in lower-case hexadecimal, of the activity's key, a hyphen and the item's key.",
)
