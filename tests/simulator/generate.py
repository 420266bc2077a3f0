"""Generate a complete invented instance. The same arguments give the same instance.

Most calls and e-mails take place from 8 to 18 on weekdays, few at weekends, and almost none at night.
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
"""The last activities are less than this many seconds old, which is less than a usual `settle_minutes`."""

_WORKING = (0, 0, 0, 0, 0, 1, 4, 20, 80, 110, 120, 110, 80, 95, 110, 100, 85, 60, 25, 12, 8, 4, 1, 0)
_WEEKEND = tuple(weight // 8 for weight in _WORKING)
_NIGHT_ROWS = (HOUR // 2, HOUR * 3 // 2, HOUR * 5 // 2, HOUR * 5 // 2 + 600, HOUR * 7 // 2)
"""Times of activities in the nights of clock changes, in seconds after midnight."""


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
    """Return an invented instance.

    Args:
        activities: Number of activities, including transfers and orphans.
        tickets: Number of tickets.
        accounts: Number of accounts.
        contacts: Number of contacts.
        users: Number of users.
        templates: Number of templates.
        crm_records: Number of CRM records.
        campaign_records: Number of campaign records.
        seed: Another seed gives another instance.
        timezone: IANA zone of the instance. All its times are local to it.
        now: Local time at which the data ends.
        days: Number of days before `now` at which the data begins.
        open_share: Share of open activities, except calls.
        postponed_share: Share of postponed activities, except calls.
        orphans: Share of calls, e-mails and chats whose item is missing.
        burst: A second (`YYYY-MM-DD HH:MM:SS`) and the number of additional activities in it.
        long_text: Length of the longest e-mail in characters.
        build: `2026`, or `2021` with the fields that current builds no longer have.
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
        # Each type occurs at least once, unless there are very few activities.
        kinds = sorted(set(KINDS)) if activities >= len(KINDS) else []
        for moment in [*nights.working(random, start, end, activities), *_burst(burst)]:
            switchboard.activity(moment, kinds.pop() if kinds else None)
        _finish(dataset, random, long_text)
    return dataset


def _burst(burst: tuple[str, int] | None) -> list[int]:
    return [moment_of(burst[0])] * burst[1] if burst else []


@contextmanager
def _without_collector() -> Iterator[None]:
    """Switch the garbage collector off while millions of objects are created, none of which is garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Nights:
    """Random local times that exist: a spring clock change skips an hour."""

    def __init__(self, start: int, end: int, zone: ZoneInfo) -> None:
        days = range(start // DAY, end // DAY + 1)
        self.zone = zone
        self.changes = {day * DAY: shift for day in days if (shift := shift_of(day, zone))}

    def anytime(self, random: Random, start: int, end: int, count: int) -> list[int]:
        """Return evenly distributed times, in order."""
        return sorted(self._existing(start + int(random.random() * (end - start))) for _ in range(count))

    def working(self, random: Random, start: int, end: int, count: int) -> list[int]:
        """Return times in working hours, in the nights of clock changes, and shortly before `end`, in order."""
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
        """Return the time, or the same minutes an hour later if a clock change skips it."""
        if self.changes.get(moment - moment % DAY, 0) > 0 and not exists(moment, self.zone):
            return moment + HOUR
        return moment


def _finish(dataset: Dataset, random: Random, long_text: int) -> None:
    """Set the relations to rows that were created later."""
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
    # A call that was missed itself is not used, so that no call is its own callback.
    return call if call["missed_call"] is None else None
