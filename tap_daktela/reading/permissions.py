"""Explain what an account may not read, and what was left out of a stream.

Missing rights rarely look like an error: relations come without their name, and items do not come at all. Each is
reported, so that a null or a missing row never goes unnoticed.
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
"""A type of which an instance has no more activities than this may well consist of orphans."""


def type_condition(stream: Stream) -> tuple[Condition, ...]:
    """Return the condition that only the stream's own type of activity meets, if it has one."""
    return (Condition("type", "eq", stream.activity_type),) if stream.activity_type else ()


def hint_for(error: RequestError, stream: Stream) -> str:
    """Return what to do about a refusal, to be read after it; empty where there is nothing to add."""
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
    """Return what is wrong where all rows of a type lack their item, empty if they are but a few orphans.

    The latest rows of the type tell: if none of those has its item either, the account may not see items.
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
                f"none of {stats.orphans[kind]} activities of type {kind} came with its item: the account may see "
                f"these activities, but lacks the right to read what is in them: grant it in Daktela ({latest})"
            )
    return ""


def data_warnings(stats: RowStats) -> Iterator[str]:
    """Yield what was left out of the rows of one stream, or became null, and why."""
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
    """Yield what was left out of the rows of one stream, or became null, for other reasons than rights."""
    for column, count in stats.mismatches.items():
        yield f"{count} values of {column} did not fit its type and became null"
    if stats.keyless:
        yield f"{stats.keyless} rows were left out because their key is null"
