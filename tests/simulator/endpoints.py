"""The list endpoints and the endpoints of single rows. An invalid request gets status 400 with the reason."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from tests.simulator.drift import drift_on
from tests.simulator.envelope import enclose, enclose_rows
from tests.simulator.exchange import Answer, Request, empty
from tests.simulator.projection import Restrictions, check_fields
from tests.simulator.query import MAX_TAKE, BadQuery, Condition, Query, as_data, parse_query
from tests.simulator.schema import FIELDS, Row, key_of

if TYPE_CHECKING:
    from tests.simulator.simulator import Simulator


def answer_table(simulator: Simulator, request: Request, table: str, name: str | None) -> Answer:
    """Answer a request for a page of a table, or for the row that the URL names."""
    try:
        query = parse_query(request.query_string)
        request.query = as_data(query)
        _check_fields(simulator, table, query.fields or ())
        return _page(simulator, table, query) if name is None else _single(simulator, table, query, name)
    except BadQuery as refusal:
        return enclose(simulator, None, 400, [str(refusal)])


def _check_fields(simulator: Simulator, table: str, fields: tuple[str, ...]) -> None:
    """Refuse unknown fields or too many fields, if the options say so."""
    if simulator.unknown_fields == "refuse":
        check_fields(table, fields, simulator.dataset.build)
    if not simulator.refused_fields.isdisjoint(fields):
        raise BadQuery("Neplatný požadavek")
    if simulator.field_limit is not None and len(fields) > simulator.field_limit:
        raise BadQuery("Příliš mnoho polí")


def _page(simulator: Simulator, table: str, query: Query) -> Answer:
    break_ties = simulator.tie_break == "name"
    query = _obeyed(simulator, query)
    rows, total = simulator.stores[table].select(query, simulator.random, break_ties=break_ties)
    encoded = _encoded(simulator, table, query, rows)
    key = key_of(table)
    names = [row[key] for row in rows]
    answer = enclose_rows(simulator, names, encoded, total if query.total else None)
    if simulator.drift is not None:
        simulator.touched |= drift_on(simulator, simulator.drift)
    return answer


def _obeyed(simulator: Simulator, query: Query) -> Query:
    """Return the query without the parts that this instance ignores, and with the page size that it supports."""
    ignored = simulator.ignored
    take = MAX_TAKE if "take" in ignored else query.take
    return replace(
        query,
        filters=tuple(
            each for each in query.filters if not (isinstance(each, Condition) and each.operator in ignored)
        ),
        sort=() if "sort" in ignored else query.sort,
        skip=0 if "skip" in ignored else query.skip,
        take=take if simulator.page_cap is None else min(take, simulator.page_cap),
    )


def _single(simulator: Simulator, table: str, query: Query, name: str) -> Answer:
    row = simulator.stores[table].find(name)
    if row is None:
        return empty(404)
    return enclose(simulator, msgspec.Raw(_encoded(simulator, table, query, [row])[0]))


def _encoded(simulator: Simulator, table: str, query: Query, rows: list[Row]) -> list[bytes]:
    restrictions = Restrictions(frozenset(simulator.strip_relations), frozenset(simulator.strip_items))
    view = simulator.views.view(table, query.fields, restrictions)
    fields = query.fields
    wanted = fields is None or any(path.partition(".")[0] == "activities" for path in fields)
    if not wanted or "activities" not in FIELDS[table]:
        return view.encode(rows, _as_is)
    return view.encode(rows, lambda row: row | {"activities": _activities(simulator, table, row)})


def _as_is(row: Row) -> Row:
    return row


def _activities(simulator: Simulator, table: str, item: Row) -> list[Row]:
    """Return the activities of an item. Their `item` is an internal number that joins nothing."""
    name: Any = item[key_of(table)]
    number = zlib.crc32(str(name).encode()) % 1_000_000
    return [row | {"item": number} for row in simulator.activities_of(table, name)]
