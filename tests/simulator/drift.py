"""Change rows while they are read (`Drift`) or between two runs (`advance`).

Tables and indexes change together. Each change is recorded as a pair of table and name. The same seed makes the
same changes at the same requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.simulator.activities import Switchboard, closing, closing_item
from tests.simulator.clock import stamp
from tests.simulator.crm import make_account, make_campaign_record, make_contact, make_crm_record, make_ticket
from tests.simulator.dataset import Dataset, unique_name
from tests.simulator.reference import fill_templates, make_user
from tests.simulator.schema import ITEM_TABLES, MOVING, TABLES, Row, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.simulator.simulator import Simulator

Touched: TypeAlias = set[tuple[str, Any]]


@dataclass
class Drift:
    """Changes that happen after every `every` list requests.

    Of each of `tables`: `edit` rows are edited (`edited` jumps to now; without such a field the title
    changes), `close` open activities are closed, `insert` rows are created with a time up to `backdate`
    minutes before now, and `delete` rows are removed from tables that are read whole. `tick` is the number of
    seconds by which the clock moves each time.
    """

    every: int = 1
    edit: int = 0
    close: int = 0
    insert: int = 0
    delete: int = 0
    seed: int = 1
    tables: Sequence[str] = ("tickets", "activities", "accounts")
    backdate: float = 0
    tick: float = 0
    requests: int = 0
    steps: int = 0

    def __post_init__(self) -> None:
        # The items of activities change with them.
        unknown = set(self.tables) - set(TABLES) | set(self.tables) & set(ITEM_TABLES.values())
        if self.every < 1 or unknown:
            raise ValueError(f"every must be 1 or more, and {sorted(unknown)} are no tables to drift")


def drift_on(simulator: Simulator, drift: Drift) -> Touched:
    """Count a list request, and change rows if the next change is due."""
    drift.requests += 1
    if drift.requests % drift.every:
        return set()
    drift.steps += 1
    random = Random(f"{drift.seed}:{drift.steps}")
    simulator.move_clock(drift.tick)
    now = simulator.clock.moment
    touched: Touched = set()
    for table in drift.tables:
        if table != "activities":
            touched |= edit_rows(simulator, table, random, drift.edit, now)
        else:
            touched |= close_activities(simulator, random, drift.close, now)
        moments = [now - int(random.random() * drift.backdate * 60) for _ in range(drift.insert)]
        touched |= insert_rows(simulator, table, random, moments)
        if table not in MOVING:
            touched |= delete_rows(simulator, table, random, drift.delete)
    return touched


@dataclass
class Changes:
    """The changes between two runs; see `Simulator.advance`."""

    minutes: float = 0
    new_activities: int = 0
    new_tickets: int = 0
    edit_tickets: int = 0
    close_activities: int = 0
    close_postponed: int = 0


def advance(simulator: Simulator, changes: Changes, random: Random) -> Touched:
    """Move the clock forward, and make changes at times between the old and the new time."""
    then = simulator.clock.moment
    simulator.move_clock(changes.minutes * 60)
    now = simulator.clock.moment

    def moments(count: int) -> list[int]:
        # If an autumn clock change lies between both local times, the later one can be the smaller. Then only now
        # is left.
        return sorted(now - int(random.random() * max(now - then, 0)) for _ in range(count))

    touched = insert_rows(simulator, "tickets", random, moments(changes.new_tickets))
    touched |= insert_rows(simulator, "activities", random, moments(changes.new_activities))
    for moment in moments(changes.edit_tickets):
        touched |= edit_rows(simulator, "tickets", random, 1, moment)
    for moment in moments(changes.close_activities):
        touched |= close_activities(simulator, random, 1, moment)
    return touched | close_activities(simulator, random, changes.close_postponed, now, ("POSTPONE",))


def edit_rows(simulator: Simulator, table: str, random: Random, count: int, moment: int) -> Touched:
    """Edit rows: set `edited`, or change the title if the table has no such field."""
    touched: Touched = set()
    for row in _any(random, simulator.dataset.tables[table], count):
        changes: Row = {"title": f"{row.get('title') or ''} *"[-64:]}
        if "edited" in row:
            # An edit does not set an earlier time than the row has.
            changes = {"edited": max(stamp(moment), row["edited"])}
        if table == "tickets":
            changes |= {"unread": False, "stage": {"OPEN": "WAIT", "WAIT": "OPEN"}.get(row["stage"], row["stage"])}
        simulator.edit(table, row[key_of(table)], **changes)
        touched.add((table, row[key_of(table)]))
    return touched


def close_activities(
    simulator: Simulator, random: Random, count: int, moment: int, actions: tuple[str, ...] = ("OPEN", "WAIT")
) -> Touched:
    """Close open activities that began before the moment, and their items."""
    if not count:
        return set()
    index = simulator.stores["activities"].index(("action",))
    spans = [index.bounds([("eq", action.casefold())]) for action in actions]
    then = stamp(moment)
    rows = [row for low, high in spans for row in index.rows[low:high] if row["time"] <= then]
    touched: Touched = set()
    for row in _any(random, rows, count):
        simulator.edit("activities", row["name"], **closing(row, moment))
        touched.add(("activities", row["name"]))
        item = row["item"]
        if item is not None and (changes := closing_item(row["type"], item)):
            table = ITEM_TABLES[row["type"]]
            simulator.edit(table, item[key_of(table)], **changes)
            touched.add((table, item[key_of(table)]))
    return touched


def insert_rows(simulator: Simulator, table: str, random: Random, moments: Sequence[int]) -> Touched:
    """Create a row at each moment."""
    touched: Touched = set()
    for moment in moments:
        sizes = {name: len(rows) for name, rows in simulator.dataset.tables.items()}
        _MAKERS.get(table, _copy_of(table))(simulator.dataset, random, moment)
        for name, size in sizes.items():
            for row in simulator.dataset.tables[name][size:]:
                simulator.take_in(name, row)
                touched.add((name, row[key_of(name)]))
    return touched


def delete_rows(simulator: Simulator, table: str, random: Random, count: int) -> Touched:
    """Delete rows. Rows that embed them keep the copy."""
    names = [row[key_of(table)] for row in _any(random, simulator.dataset.tables[table], count)]
    for name in names:
        simulator.remove(table, name)
    return {(table, name) for name in names}


def _any(random: Random, rows: list[Row], count: int) -> list[Row]:
    return random.sample(rows, min(count, len(rows)))


def _new_user(dataset: Dataset, random: Random, _moment: int) -> None:
    row = make_user(dataset, random, dataset.next_serial())
    dataset.tables["users"].append(row)


def _copy_of(table: str) -> Callable[[Dataset, Random, int], Any]:
    """Return a function that creates a copy of the table's first row with a new name."""

    def make(dataset: Dataset, random: Random, _moment: int) -> None:
        rows = dataset.tables[table]
        serial = dataset.next_serial()
        name = max(row["name"] for row in rows) + 1 if table == "queues" else unique_name(table, random, serial)
        rows.append(rows[0] | {"name": name, "title": f"Nový {serial}"})

    return make


_MAKERS: dict[str, Callable[[Dataset, Random, int], Any]] = {
    "activities": lambda dataset, random, moment: Switchboard(dataset, random).activity(moment),
    "tickets": make_ticket,
    "accounts": make_account,
    "contacts": make_contact,
    "crmRecords": make_crm_record,
    "campaignsRecords": make_campaign_record,
    "templates": lambda dataset, random, _: fill_templates(dataset, random, 1),
    "users": _new_user,
}
