"""The fields that a stream requests from an instance, without those that the instance refuses.

`optional_fields.py` contains the decisions. This module sends their requests and words their warnings.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tap_daktela.api.outcome import RequestError
from tap_daktela.api.query import Condition, Query
from tap_daktela.api.retry import RetryLimits
from tap_daktela.reading.optional_fields import (
    FieldSearch,
    absent_columns,
    is_too_long,
    may_refuse_fields,
    refused_columns,
    requested_fields,
    shortened,
    with_suggestions,
    without_covered,
)
from tap_daktela.reading.permissions import type_condition

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from tap_daktela.api.envelope import Page
    from tap_daktela.reading.instance import Instance
    from tap_daktela.streams.fields import Field, Stream

_SAMPLE = 100
"""Number of the newest rows that are searched for fields without a value."""
_ALL_TIME = ("1970-01-01 00:00:00", "2999-12-31 23:59:59")


class RequestedFields:
    """The fields that one stream requests from one instance."""

    def __init__(self, stream: Stream, columns: Iterable[Field], instance: Instance) -> None:
        """Start with all fields that `columns` need."""
        self._stream = stream
        self._columns = tuple(columns)
        self._instance = instance
        self._is_final = False
        self._refused: list[Field] = []
        self._warnings: list[str] = []
        self.query = Query(
            endpoint=stream.endpoint,
            fields=shortened(requested_fields(stream, self._columns)),
            conditions=type_condition(stream),
            sort=("name",),
            take=instance.tap_settings.page_size,
        )
        """The query for all rows of the stream, sorted by name."""

    def adapt(self, error: RequestError) -> bool:
        """Remove refused fields from `query` after `error`, and return whether to read the stream again.

        Raises:
            RequestError, SignInError: a request of the search for refused fields failed.
        """
        self._instance.fetcher.cancel_all()
        if self._is_final or not may_refuse_fields(error):
            return False
        fields = shortened(self.query.fields, 0)
        if not is_too_long(error) or fields == self.query.fields:
            self._is_final = True
            fields = self._accepted(error)
        self.query = replace(self.query, fields=fields or self.query.fields)
        return bool(fields)

    def check(self, without_value: Collection[str]) -> None:
        """Warn about fields of `extra_fields` that no row contains.

        `without_value` contains the columns that were null in all records of this run.

        Raises:
            SignInError: the token expired, and signing in again failed.
        """
        if not without_value:
            return
        try:
            rows = self._page_without_retries(self.newest()).rows
        except RequestError:
            # The stream has been read completely, so a failed check is no failure of the stream.
            return
        self.warn_of_absent(rows, without_value)

    def warn_of_absent(self, rows: Sequence[Any], names: Collection[str]) -> None:
        """Warn about fields of `extra_fields` that none of `rows` contains; `names` are their columns.

        `rows` are JSON objects as the server sent them.
        """
        extra = [column for column in self._columns if column.extra and column not in self._refused]
        columns = [column for column in extra if column.name in names]
        if missing := absent_columns(self._stream, columns, rows):
            self._warnings.append(
                f"extra_fields: no row contains {with_suggestions(missing, self._any_row())}; check the spelling, "
                "and that the account may read it"
            )

    def take_warnings(self) -> list[str]:
        """Return the warnings about optional fields since the last call."""
        warnings, self._warnings = self._warnings, []
        return warnings

    def newest(self) -> Query:
        """Return the query for the newest rows as JSON objects."""
        cursor = self._stream.replication_key
        sort = (f"-{cursor}", "name") if cursor else ("name",)
        return replace(self.query, sort=sort, take=_SAMPLE, as_sent=True)

    def _accepted(self, error: RequestError) -> tuple[str, ...]:
        """Return the fields that the server accepts, none if it refuses the required fields alone."""
        required = requested_fields(self._stream, [column for column in self._columns if column.official])
        optional = [field for field in self.query.fields if field not in required]
        search = FieldSearch(self._is_accepted, required, is_length_refused=is_too_long(error))
        accepted = search.run(optional, error.outcome.reason)
        if accepted is None:
            return ()
        self._refused = refused_columns(self._columns, frozenset(optional).difference(accepted))
        if extra := [column for column in self._refused if column.extra]:
            self._warnings.append(
                f"extra_fields: the server refuses {with_suggestions(extra, self._any_row())}; "
                "check the spelling, or remove what it refuses"
            )
        if others := [column.name for column in self._refused if not column.extra]:
            self._warnings.append(
                "this instance refuses fields that its build does not have; these columns stay null: "
                + ", ".join(others)
            )
        return without_covered([*required, *accepted])

    def _is_accepted(self, fields: tuple[str, ...]) -> bool:
        conditions = self.query.conditions
        if cursor := self._stream.replication_key:
            # These conditions make the URL as long as those of the run.
            first, last = _ALL_TIME
            conditions = (*conditions, Condition(cursor, "gte", first), Condition(cursor, "lt", last))
        query = replace(self.query, fields=fields, conditions=conditions, take=1)
        request = partial(self._instance.client.page, query, limits=RetryLimits(reports=1))
        try:
            self._instance.fetcher.run(request)
        except RequestError as error:
            if not may_refuse_fields(error):
                raise
            return False
        return True

    def _any_row(self) -> list[Any]:
        """Return one row with all of its fields, none if the first request for it fails."""
        try:
            return self._page_without_retries(replace(self.newest(), fields=(), take=1)).rows
        except RequestError:
            return []

    def _page_without_retries(self, query: Query) -> Page:
        """Return a page, without retries."""
        request = partial(self._instance.client.page, query, limits=RetryLimits(attempts=1))
        return self._instance.fetcher.run(request)
