"""The data of an instance: its tables, and the few facts that new rows depend on.

In: nothing. Out: `Dataset`, and the helpers that every maker of rows uses.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.simulator.clock import moment_of
from tests.simulator.schema import TABLES, Row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

ODD_SPELLINGS = 31
"""Every so many rows spell a boolean or an integer as another type, as PHP does."""


@dataclass
class Dataset:
    """Every table as the server holds it; a relation is the very row of the other table, not a copy."""

    tables: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in TABLES})
    now: str = "2026-03-10 12:00:00"
    timezone: str = "Europe/Prague"
    build: str = "2026"
    seed: int = 1
    orphans: float = 0.01
    open_share: float = 0.02
    postponed_share: float = 0.005
    serial: int = 0
    moment_now: int = 0

    def __post_init__(self) -> None:
        self.set_now(self.now)

    def set_now(self, now: str) -> None:
        """Move the end of the data; rows made from then on may lie up to it."""
        self.now, self.moment_now = now, moment_of(now)

    def copy(self) -> Dataset:
        """A dataset of its own with the same rows, so that one simulator's drift is not the next one's."""
        # Three times as fast as copy.deepcopy, and nothing but this very object is read.
        copied: Dataset = pickle.loads(pickle.dumps(self))  # noqa: S301
        return copied

    def next_serial(self) -> int:
        """A number that no other row has."""
        self.serial += 1
        return self.serial


def unique_name(prefix: str, random: Random, serial: int) -> str:
    """A name as the server makes them; its order tells nothing about the row's age."""
    return f"{prefix}_{random.getrandbits(52):013x}{serial:07d}"


def system(model: str) -> Row:
    """The `_sys` of a row."""
    return {"hash": None, "model": model}


def chosen(random: Random, rows: Sequence[Any], share: float = 1.0) -> Any:
    """Any of the rows, or null with the rest of the share."""
    if not rows or random.random() >= share:
        return None
    return rows[int(random.random() * len(rows))]


def spell_oddly(row: Row, serial: int, integers: tuple[str, ...], booleans: tuple[str, ...]) -> None:
    """Give some rows a numeric string for an integer, or another of PHP's booleans for true or false."""
    turn = serial % ODD_SPELLINGS
    if turn == 0:
        for name in integers:
            row[name] = None if row[name] is None else str(row[name])
    elif turn in (7, 14, 21):
        spelled: tuple[Any, Any] = {7: ("0", "1"), 14: (0, 1), 21: ("", "1")}[turn]
        for name in booleans:
            row[name] = None if row[name] is None else spelled[bool(row[name])]
