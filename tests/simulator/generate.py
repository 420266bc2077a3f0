"""A whole invented instance, the same for the same arguments.

In: how much of what, and the span of time. Out: a `Dataset`. Calls and e-mails follow the working day: busy
from 8 to 18 on weekdays, quiet at weekends, next to nothing at night.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tests.simulator.activities import KINDS, Switchboard
from tests.simulator.clock import DAY, exists, moment_of, shift_of, stamp, weekday
from tests.simulator.crm import make_account, make_campaign_record, make_contact, make_crm_record, make_ticket
from tests.simulator.dataset import Dataset, chosen
from tests.simulator.reference import fill_reference
from tests.simulator.texts import PARAGRAPHS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.schema import Row

HOUR = 3600
LATE = 25 * 60
"""The last activities lie this close to now: younger than any sensible settle time."""

_WORKING = (0, 0, 0, 0, 0, 1, 4, 20, 80, 110, 120, 110, 80, 95, 110, 100, 85, 60, 25, 12, 8, 4, 1, 0)
_WEEKEND = tuple(weight // 8 for weight in _WORKING)
_NIGHT_ROWS = (HOUR // 2, HOUR * 3 // 2, HOUR * 5 // 2, HOUR * 5 // 2 + 600, HOUR * 7 // 2)
"""Seconds after midnight at which something happens on the nights when the clocks change."""


def generate(
    *,
    activities: int = 2000,
    tickets: int = 300,
    accounts: int = 60,
    contacts: int = 200,
    users: int = 24,
    templates: int = 20,
    crm_records: int = 40,
    campaign_records: int = 40,
    seed: int = 1,
    timezone: str = "Europe/Prague",
    now: str = "2026-03-10 12:00:00",
    days: int = 30,
    open_share: float = 0.02,
    postponed_share: float = 0.005,
    orphans: float = 0.01,
    burst: tuple[str, int] | None = None,
    long_text: int = 0,
    build: str = "2026",
) -> Dataset:
    """Invent an instance.

    Args:
        activities: How many there are in all, transfers and orphans among them.
        tickets: How many.
        accounts: How many.
        contacts: How many.
        users: How many.
        templates: How many.
        crm_records: How many.
        campaign_records: How many.
        seed: Another seed, another instance.
        timezone: IANA zone of the instance; all its times are local to it.
        now: Local time at which the data ends.
        days: How far back it goes.
        open_share: Part of the activities, calls apart, that nobody has closed yet.
        postponed_share: Part of the activities, calls apart, that are postponed.
        orphans: Part of the calls, e-mails and chats whose item is missing.
        burst: A second (`YYYY-MM-DD HH:MM:SS`) and a number of further activities in it.
        long_text: Length in characters of the longest e-mail.
        build: `2026`, or `2021` with the fields that are gone since.
    """
    random = Random(f"{seed}:generate")
    dataset = Dataset(
        now=now,
        timezone=timezone,
        build=build,
        seed=seed,
        orphans=orphans,
        open_share=open_share,
        postponed_share=postponed_share,
    )
    end = dataset.moment_now
    start = end - days * DAY
    earlier = end - 4 * days * DAY
    nights = _Nights(earlier, end, ZoneInfo(timezone))
    with _without_collector():
        fill_reference(dataset, random, users=users, templates=templates)
        for make, count, first in (
            (make_account, accounts, earlier),
            (make_contact, contacts, earlier),
            (make_ticket, tickets, start),
            (make_crm_record, crm_records, start),
            (make_campaign_record, campaign_records, start),
        ):
            for created in nights.anytime(random, first, end, count):
                make(dataset, random, created)
        switchboard = Switchboard(dataset, random)
        # Of each type there is one at least, unless there are hardly any activities.
        kinds = sorted(set(KINDS)) if activities >= len(KINDS) else []
        for moment in [*nights.working(random, start, end, activities), *_burst(burst)]:
            switchboard.activity(moment, kinds.pop() if kinds else None)
        _finish(dataset, random, long_text)
    return dataset


def _burst(burst: tuple[str, int] | None) -> list[int]:
    return [moment_of(burst[0])] * burst[1] if burst else []


@contextmanager
def _without_collector() -> Iterator[None]:
    """Millions of new objects and no garbage among them: the collector would only look through them all."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Nights:
    """Draws times on the wall clock, of which one hour in spring does not exist."""

    def __init__(self, start: int, end: int, zone: ZoneInfo) -> None:
        days = range(start // DAY, end // DAY + 1)
        self.zone = zone
        self.changes = {day * DAY: shift for day in days if (shift := shift_of(day, zone))}

    def anytime(self, random: Random, start: int, end: int, count: int) -> list[int]:
        """Times spread evenly, in order."""
        return sorted(self._existing(start + int(random.random() * (end - start))) for _ in range(count))

    def working(self, random: Random, start: int, end: int, count: int) -> list[int]:
        """Times in working hours, on the nights of a clock change, and some just now, in order."""
        cells = range(start - start % HOUR, end, HOUR)
        weights = [(_WORKING, _WEEKEND)[weekday(cell) > 4][cell % DAY // HOUR] for cell in cells]
        moments = [night + second for night in self.changes for second in _NIGHT_ROWS]
        moments += [end - int(random.random() * LATE) for _ in range(min(count // 50, 40) + 1)]
        usable = [moment for moment in moments if start <= moment <= end][:count]
        total = list(accumulate(weights))
        while len(usable) < count:
            drawn = random.choices(cells, cum_weights=total, k=count - len(usable)) if total[-1] else [end - HOUR]
            within = (cell + int(random.random() * HOUR) for cell in drawn)
            usable += [moment for moment in within if start <= moment <= end]
        return sorted(map(self._existing, usable))

    def _existing(self, moment: int) -> int:
        """The moment, or the same minutes an hour later if spring skips it."""
        if self.changes.get(moment - moment % DAY, 0) > 0 and not exists(moment, self.zone):
            return moment + HOUR
        return moment


def _finish(dataset: Dataset, random: Random, long_text: int) -> None:
    """Link what could not be linked when it was made."""
    for ticket in dataset.tables["tickets"][-3:]:
        ticket["edited"] = max(ticket["created"], stamp(dataset.moment_now - int(random.random() * LATE)))
    calls = dataset.tables["activitiesCall"]
    for call in calls:
        if call["missed_call"] == 0:
            call["missed_callback"] = _answered(chosen(random, calls))
    emails = dataset.tables["activitiesEmail"]
    if long_text and emails:
        paragraph = PARAGRAPHS[0]
        emails[len(emails) // 2]["text"] = (paragraph * (long_text // len(paragraph) + 1))[:long_text]
    for record in dataset.tables["campaignsRecords"]:
        call = chosen(random, calls, 0.5)
        record["call_id"] = None if call is None else call["id_call"]


def _answered(call: Row) -> Row | None:
    # Only calls that need no callback themselves, so that no call is its own callback.
    return call if call["missed_call"] is None else None
