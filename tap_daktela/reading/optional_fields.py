"""Find the optional fields that an instance refuses, and the optional fields that no row contains.

Two kinds of fields are optional: fields of older builds of Daktela that the current read schema does not contain,
and fields of the setting `extra_fields`. It is unknown whether the server ignores or refuses unknown fields. The
maximum length of a URL is also unknown (daktela-api.md §9, questions 1 and 10).
"""

from __future__ import annotations

import difflib
import re
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tap_daktela.streams.converters import is_php_list
from tap_daktela.streams.fields import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from tap_daktela.api.outcome import RequestError
    from tap_daktela.streams.fields import Field, Stream

MAX_LENGTH = 3_500
"""Maximum characters of the parameter `fields` in a URL. If it is longer, the tap requests whole `customFields`.

The rest of a URL has about 500 characters, and daktela-api.md §9 assumes that the server accepts 4,000.
"""
_MAX_REQUESTS = 60
"""Maximum number of requests in a search for the refused fields."""

_CUSTOM_FIELDS = "customFields"
_TOO_LONG = frozenset({HTTPStatus.REQUEST_URI_TOO_LONG, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE})
_REFUSALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, *_TOO_LONG})


def is_too_long(error: RequestError) -> bool:
    """Return whether the server refused a request because of its length."""
    return error.outcome.status in _TOO_LONG


def may_refuse_fields(error: RequestError) -> bool:
    """Return whether the server may have refused a request because of the fields that it names."""
    return error.outcome.status in _REFUSALS or error.outcome.reported


# The requested fields.


def requested_fields(stream: Stream, columns: Iterable[Field]) -> tuple[str, ...]:
    """Return the API fields that `columns` need.

    The result also contains the name of the row, the replication key, and the fields that show whether an activity
    has its item.
    """
    required = ["name"]
    if stream.replication_key:
        required.append(stream.replication_key)
    if stream.item_keys:
        required += [*([] if stream.activity_type else ["type"]), *stream.item_keys.values()]
    return without_covered([*required, *(column.request for column in columns if column.request)])


def without_covered(fields: Iterable[str]) -> tuple[str, ...]:
    """Return `fields` without duplicates, and without a field such as `a.b` if they also contain `a`."""
    unique = dict.fromkeys(fields)
    return tuple(field for field in unique if not any(parent in unique for parent in _parents(field)))


def shortened(fields: Sequence[str], limit: int = MAX_LENGTH) -> tuple[str, ...]:
    """Return `fields`. If the URL would be too long, whole `customFields` replace their parts."""
    if len(urlencode([(f"fields[{index}]", name) for index, name in enumerate(fields)])) <= limit:
        return tuple(fields)
    return without_covered(_with_custom_fields(field) for field in fields)


def _with_custom_fields(field: str) -> str:
    head, separator, _ = f"{field}.".partition(f"{_CUSTOM_FIELDS}.")
    is_part = separator and (not head or head.endswith("."))
    return head + _CUSTOM_FIELDS if is_part else field


def _parents(field: str) -> Iterator[str]:
    while "." in field:
        field = field.rpartition(".")[0]
        yield field


# The refused fields.


class _TooManyRequestsError(Exception):
    """The search has reached its maximum number of requests."""


@dataclass
class FieldSearch:
    """A search for the optional fields that a server accepts, with few requests.

    The search halves a refused group of fields until single fields are left. Each request includes all fields that
    the server has accepted before. So the server accepts the complete result, even if it limits the number of
    fields.
    """

    accepts: Callable[[tuple[str, ...]], bool]
    """Requests these fields, and returns whether the server accepts them."""
    required: tuple[str, ...]
    """Fields that every request includes."""
    is_length_refused: bool = False
    """Whether the server refused the length of the request. If so, the first refused field ends the search."""
    requests: int = 0
    """Number of requests that the search has sent."""

    def run(self, optional: Sequence[str], message: str) -> tuple[str, ...] | None:
        """Return the accepted fields of `optional`, or None if the server refuses even the required fields.

        `message` is the server's reason, in any language. The search tries the fields that it names last.
        """
        if not optional or not self._is_accepted([]):
            return None
        if self._is_accepted(optional):
            return tuple(optional)
        named = [field for field in optional if _is_named(field, message)]
        others = [field for field in optional if field not in named]
        half = len(optional) // 2
        groups = [others, named] if named and others else [optional[:half], optional[half:]]
        kept: list[str] = []
        with suppress(_TooManyRequestsError):
            for group in groups:
                self._add(group, kept)
        return tuple(field for field in optional if field in kept)

    def _add(self, group: Sequence[str], kept: list[str]) -> None:
        """Append the accepted fields of a group to `kept`."""
        if not group:
            return
        if self.requests >= _MAX_REQUESTS:
            raise _TooManyRequestsError
        if self._is_accepted([*kept, *group]):
            kept += group
        elif len(group) > 1:
            half = len(group) // 2
            self._add(group[:half], kept)
            self._add(group[half:], kept)
        elif self.is_length_refused:
            raise _TooManyRequestsError

    def _is_accepted(self, fields: Sequence[str]) -> bool:
        self.requests += 1
        return self.accepts(without_covered([*self.required, *fields]))


def _is_named(field: str, message: str) -> bool:
    """Return whether a message contains a field, or the last part of its name, as a word."""
    words = set(re.findall(r"[\w.]+", message))
    return any(word.rstrip(".") in {field, field.rpartition(".")[2]} for word in words)


def refused_columns(columns: Iterable[Field], refused: frozenset[str]) -> list[Field]:
    """Return the columns whose field is a refused field or a part of one."""
    return [
        column
        for column in columns
        if column.request and not refused.isdisjoint({column.request, *_parents(column.request)})
    ]


# The fields that no row contains.


def absent_columns(stream: Stream, columns: Iterable[Field], rows: Iterable[Any]) -> list[Field]:
    """Return the columns whose field no row contains, not even as null.

    `rows` are JSON objects as the server sent them. If an object is null or a list of related objects is empty, it
    is unknown whether its parts exist. PHP sends `[]` for an object without any field.
    """
    rows = list(rows)
    lists = {column.request for column in stream.fields if column.kind is Kind.KEYS}
    absent = []
    for column in columns:
        steps = column.source.split(".")
        states = [_contains(row, steps, lists, "") for row in rows]
        if False in states and True not in states:
            absent.append(column)
    return absent


def _contains(value: object, steps: Sequence[str], lists: Collection[str], path: str) -> bool | None:
    """Return whether a value contains the field at the path `steps`, or None if that is unknown.

    `path` is the path of the value in its row.
    """
    if not steps:
        return True
    if isinstance(value, dict) and (steps[0] in value or not is_php_list(value)):
        inner = f"{path}.{steps[0]}".removeprefix(".")
        return _contains(value[steps[0]], steps[1:], lists, inner) if steps[0] in value else False
    if isinstance(value, (dict, list)):
        entries = list(value.values()) if isinstance(value, dict) else value
        states = [_contains(entry, steps, lists, path) for entry in entries]
        if True in states or False in states:
            return True in states
        return None if path in lists or entries else False
    return None if value is None or value == "" else False


def with_suggestions(columns: Iterable[Field], whole_rows: Iterable[Any]) -> str:
    """Return the API fields of columns as a text, each with the most similar field of `whole_rows`."""
    return ", ".join(column.source + _suggestion(column.source, whole_rows) for column in columns)


def _suggestion(field: str, rows: Iterable[Any]) -> str:
    names = {name for row in rows for name in _names(row, field.count(".") + 1)}
    parent, dot, last = field.rpartition(".")
    siblings = {name.rpartition(".")[2] for name in names if name.rpartition(".")[0] == parent}
    if siblings:
        similar = [parent + dot + name for name in difflib.get_close_matches(last, sorted(siblings), n=1)]
    else:
        similar = difflib.get_close_matches(field, sorted(names), n=1, cutoff=0.75)
    return f" (did you mean {similar[0]}?)" if similar else ""


def _names(value: object, depth: int) -> Iterator[str]:
    """Yield the dotted names of the fields in a value, down to `depth` levels."""
    if isinstance(value, list):
        for entry in value[:1]:
            yield from _names(entry, depth)
    elif isinstance(value, dict) and depth:
        for name, inner in value.items():
            yield name
            yield from (f"{name}.{part}" for part in _names(inner, depth - 1))
