"""Explain which permissions an account lacks, and which data is therefore missing.

A missing right rarely causes an error. The server sends relations without their name, and activities without their
item. The tap reports each of these cases.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from tap_daktela.api.query import Condition, Query
from tap_daktela.api.rows import Row
from tap_daktela.reading.optional_fields import is_too_long

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_daktela.api.outcome import RequestError
    from tap_daktela.reading.instance import Instance
    from tap_daktela.records.row_stats import RowStats
    from tap_daktela.streams.fields import Stream

_FEW = 2
"""If an instance has at most this many activities of a type, all of them may be orphans."""


def type_condition(stream: Stream) -> tuple[Condition, ...]:
    """Return the condition that selects the stream's type of activity, none for a stream of all types."""
    return (Condition("type", "eq", stream.activity_type),) if stream.activity_type else ()


def hint_for(error: RequestError, stream: Stream) -> str:
    """Return what to do about a refused request, as the end of its message. It is empty for other errors."""
    if is_too_long(error):
        return f"; the request names too many fields: deselect columns of {stream.name}"
    if error.outcome.from_gateway:
        return ""
    if error.outcome.status == HTTPStatus.FORBIDDEN:
        return (
            f"; the account lacks the right to read {stream.endpoint}: grant it in Daktela, or deselect the stream"
        )
    if error.outcome.status == HTTPStatus.NOT_FOUND:
        return f"; this instance has no {stream.endpoint}: check the url, or deselect the stream"
    return ""


def missing_items(stream: Stream, instance: Instance, stats: RowStats) -> str:
    """Return the message about a missing right if all rows of a type lack their item, otherwise an empty text.

    The rows of this run may all be orphans. So the newest rows of the type are requested: if none of them has its
    item either, the account lacks the right to read items.

    Raises:
        RequestError, SignInError: the request for the newest rows failed.
    """
    for kind in stats.itemless:
        *_, part = stream.item_keys[kind].split(".")
        latest = Query(
            endpoint=stream.endpoint,
            fields=("name", stream.item_keys[kind]),
            conditions=(Condition("type", "eq", kind),),
            sort=("-time", "name"),
            take=instance.tap_settings.page_size,
        )
        items = [row.get("item") for row in instance.fetcher.page(latest).rows]
        if len(items) > _FEW and not any(isinstance(item, (dict, Row)) and item.get(part) for item in items):
            return (
                f"none of {stats.orphans[kind]} activities of type {kind} came with its item: the account may "
                f"read these activities, but lacks the right to read their items: grant it in Daktela ({latest})"
            )
    return ""


def data_warnings(stats: RowStats) -> Iterator[str]:
    """Yield a line for each kind of data that was left out of a stream or became null."""
    for relation, count in stats.nameless.items():
        yield (
            f"{count} of {stats.records} records came with {relation} but without its name, so its key is null: "
            "the account lacks the right to read it; grant it in Daktela"
        )
    for relation, count in stats.nameless_entries.items():
        yield (
            f"{count} entries of {relation} came without their name, so {relation}_name and {relation}_title lack "
            "them: the account lacks the right to read them; grant it in Daktela"
        )
    yield from losses(stats)


def losses(stats: RowStats) -> Iterator[str]:
    """Yield a line for each kind of data that was left out or became null, except for missing rights."""
    for column, count in stats.mismatches.items():
        yield f"{count} values of {column} did not fit its type and became null"
    if stats.keyless:
        yield f"{stats.keyless} rows were left out because their key is null"
