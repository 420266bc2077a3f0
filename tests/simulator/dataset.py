"""The data of an instance: its tables, the values that new rows depend on, and helpers for creating rows."""

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
"""One of this many rows has a boolean or an integer as another type, as PHP sends it."""


@dataclass
class Dataset:
    """The tables of an instance. A relation is the row object of the other table, not a copy."""

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
        """Move the end of the data. New rows can have times until then."""
        self.now, self.moment_now = now, moment_of(now)

    def copy(self) -> Dataset:
        """Return a copy with rows of its own, so that changes by one simulator do not affect another one."""
        # Three times as fast as copy.deepcopy. It is safe, since the data was just written here.
        copied: Dataset = pickle.loads(pickle.dumps(self))  # noqa: S301
        return copied

    def next_serial(self) -> int:
        """Return a number that no other row has."""
        self.serial += 1
        return self.serial


def unique_name(prefix: str, random: Random, serial: int) -> str:
    """Return a key in the form of the server. The order of keys is not the order of creation."""
    return f"{prefix}_{random.getrandbits(52):013x}{serial:07d}"


def system(model: str) -> Row:
    """Return the `_sys` of a row."""
    return {"hash": None, "model": model}


def chosen(random: Random, rows: Sequence[Any], share: float = 1.0) -> Any:
    """Return a random row with a probability of `share`, otherwise null."""
    if not rows or random.random() >= share:
        return None
    return rows[int(random.random() * len(rows))]


def spell_oddly(row: Row, serial: int, integers: tuple[str, ...], booleans: tuple[str, ...]) -> None:
    """In some rows, replace an integer by a numeric text, or a boolean by another of PHP's spellings."""
    turn = serial % ODD_SPELLINGS
    if turn == 0:
        for name in integers:
            row[name] = None if row[name] is None else str(row[name])
    elif turn in (7, 14, 21):
        spelled: tuple[Any, Any] = {7: ("0", "1"), 14: (0, 1), 21: ("", "1")}[turn]
        for name in booleans:
            row[name] = None if row[name] is None else spelled[bool(row[name])]
