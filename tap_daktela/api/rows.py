"""Rows of a page as objects that have exactly the fields asked for: half the time and memory of dictionaries.

In: the fields of a query, and bodies. Out: pages. What is anything else than was asked for, such as a list where
an object should be, has no place in these objects: `envelope.py` reads such a body as it is.
"""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from tap_daktela.api.envelope import Page, error_text, read_page, read_total
from tap_daktela.api.json_text import strip_nul

if TYPE_CHECKING:
    from collections.abc import Sequence

_ATTRIBUTE = "field_"
"""What an attribute's name begins with: a field may be called anything."""


_NAME = "name"
"""The field that is not null where it was not sent."""


class Row(msgspec.Struct, gc=False):
    """A row, or an object in it, with the part of a dictionary's ways that reading pages needs."""

    objects: ClassVar[dict[str, type[Row]]] = {}
    """Field -> class of the object that it contains."""

    def get(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """Return the value of a field, None if the row lacks it."""
        value = getattr(self, _ATTRIBUTE + name, None)
        return None if value is msgspec.UNSET else value

    __getitem__ = get


def attribute(name: str) -> str:
    """Return what a field is called as an attribute of a row."""
    return _ATTRIBUTE + name


def column(rows: Sequence[Any], name: str) -> list[Any]:
    """Return the value of a field in each row of a page, None where a row lacks it."""
    if not rows or not isinstance(rows[0], Row):
        return [row.get(name) for row in rows]
    field = attribute(name)
    if field not in rows[0].__struct_fields__:
        return [None] * len(rows)
    values = [*map(attrgetter(field), rows)]
    # Nothing else is ever unset, and to compare rows with it takes longer than to find them.
    if name == _NAME and msgspec.UNSET in values:
        return [None if value is msgspec.UNSET else value for value in values]
    return values


def as_dictionary(row: Row | dict[str, Any]) -> dict[str, Any]:
    """Return a row as the server sent it, with null for what it did not send, names apart."""
    content: dict[str, Any] = row if isinstance(row, dict) else msgspec.to_builtins(row)
    return content


class PageReader:
    """Reads the pages of queries for the same fields."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        self._decode = _decoder(fields).decode

    def __call__(self, body: bytes) -> Page:
        """Return the rows that `body` lists.

        Raises:
            ReportedError, EnvelopeError: as `read_page` does.
        """
        try:
            answer: Any = self._decode(strip_nul(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return read_page(body)
        if error_text(answer.error):
            return read_page(body)
        return Page(answer.result.data, read_total(answer.result.total), answer.time, answer.timezone)


def from_dict(kind: type[Row], content: dict[str, Any]) -> Row:
    """Return an object of a class of rows with the content of a dictionary, without the fields that it lacks."""
    values = {}
    for name, value in content.items():
        field = attribute(name)
        if field in kind.__struct_fields__:
            inner = kind.objects.get(name)
            values[field] = from_dict(inner, value) if inner and isinstance(value, dict) else value
    return kind(**values)


@lru_cache(maxsize=64)
def row_class(fields: tuple[str, ...]) -> type[Row]:
    """Return the class of rows with these fields, dotted where they are parts of objects."""
    return _class_of(_tree(fields))


@lru_cache(maxsize=64)
def _decoder(fields: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    row = row_class(fields)
    result = msgspec.defstruct("Result", [("data", list[row]), ("total", Any, None)])  # type: ignore[valid-type]
    rename = {"time": "_time", "timezone": "_timezone"}
    texts = [(name, str | None, None) for name in rename]
    return msgspec.json.Decoder(
        msgspec.defstruct("Answer", [("result", result), ("error", Any, None), *texts], rename=rename)
    )


def _tree(fields: tuple[str, ...]) -> dict[str, Any]:
    """Return fields as a tree, with None for those that are asked for as a whole, whatever else of them is."""
    tree: dict[str, Any] = {}
    for path in fields:
        node: dict[str, Any] | None = tree
        *steps, last = path.split(".")
        for step in steps:
            node = None if node is None else node.setdefault(step, {})
        if node is not None:
            node[last] = None
    return tree


def _class_of(tree: dict[str, Any]) -> type[Row]:
    objects = {name: _class_of(inner) for name, inner in tree.items() if inner}
    # An object without its name, which is what missing permissions look like, is not one whose name is null.
    fields: list[tuple[str, Any, Any]] = [
        (
            attribute(name),
            # PHP's empty object is a list.
            (objects[name] | list[Any] | None) if name in objects else Any,
            msgspec.UNSET if name == _NAME else None,
        )
        for name in tree
    ]
    names = {attribute(name): name for name in tree}
    made: Any = msgspec.defstruct(
        "Row", fields, bases=(Row,), rename=names, gc=False, namespace={"objects": objects}
    )
    return made  # type: ignore[no-any-return]
