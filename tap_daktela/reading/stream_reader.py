"""Read one stream of one instance.

`plan_range` determines the range of time from the settings, the bookmark and the clock of the instance.
`StreamReader` reads it and yields records, and between them checkpoints that can become bookmarks. If the stream
cannot be read to its end, it raises a `StreamError` after the records that could be read.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tap_daktela.api.auth import SignInError
from tap_daktela.api.local_time import earliest_instant, lower_text, upper_text
from tap_daktela.api.outcome import RequestError
from tap_daktela.api.query import Condition
from tap_daktela.paging.pages import PageSource, read_by_name, read_windows
from tap_daktela.paging.plan import ReadError
from tap_daktela.paging.windows import Window
from tap_daktela.reading.permissions import hint_for, losses, missing_items
from tap_daktela.reading.requested_fields import RequestedFields
from tap_daktela.records.row_mapper import MismatchError, RecordBatch, RowMapper
from tap_daktela.records.row_stats import InstanceFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_daktela.api.envelope import Page
    from tap_daktela.paging.plan import Batch
    from tap_daktela.reading.instance import Instance
    from tap_daktela.reading.server_clock import Clock
    from tap_daktela.streams.fields import Field, Stream

logger = logging.getLogger(__name__)

_FIRST = datetime.min.replace(tzinfo=UTC)
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
"""A clock change can make the end of a range precede its start by this much."""


class StreamError(Exception):
    """A stream of one instance cannot be read to its end. The message says why, and what to do."""


class RangeError(StreamError):
    """`start_date` or `end_date` prevents the incremental streams of an instance from being read."""


@dataclass(frozen=True)
class Checkpoint:
    """All rows of the run's range before `instant`, in UTC, have been read."""

    instant: datetime
    replaces_bookmark: bool = False
    """Whether an earlier bookmark replaces that of the state, which cannot be right."""


class _ClockChanged(Exception):  # noqa: N818 - not an error but a request to plan again
    """The first response with rows shows another zone or time than the range was planned with."""


@dataclass(frozen=True)
class ReadRange:
    """The range of time that an incremental stream reads in this run."""

    lower: str | None
    """Local time, inclusive; None for no lower bound."""
    upper: str
    """Local time, exclusive."""
    end: datetime
    """The instant of `upper`."""
    replaces_bookmark: bool = False
    """Whether the bookmark of the state cannot be right."""


def plan_range(instance: Instance, clock: Clock, bookmark: datetime | None) -> ReadRange | None:
    """Return what to read in this run, or None if there is nothing to read, which is logged as a warning.

    The upper bound is the clock of the instance less `settle_minutes`, or an earlier `end_date`. The lower bound
    is the bookmark less `lookback_minutes`, or `start_date` if there is no bookmark.

    Raises:
        RangeError: there is no bookmark, and `start_date` lies in the future or is not before `end_date`.
    """
    settings = instance.tap_settings
    end = clock.now - timedelta(minutes=settings.settle_minutes)
    if settings.end_date:
        end = min(end, settings.end_date.latest(clock.zone))
    resume = None if bookmark is None else clock.resume_from(bookmark)
    if resume != bookmark:
        _warn_of_bookmark(instance, clock, resume)
    start = _start(instance, clock, resume)
    if resume is None and start is not None:
        _check_start_date(instance, clock, start)
    upper = upper_text(end, clock.zone)
    lower = lower_text(start, clock.zone) if start else None
    if start is None or lower is None or lower < upper:
        return ReadRange(lower, upper, end, resume != bookmark)
    if resume is None:
        instance.warn_once(
            f"start_date, {settings.start_date}, leaves nothing to read yet: only records before {end:%F %T} UTC "
            f"are read (settle_minutes is {settings.settle_minutes}). A later run reads the others"
        )
    elif start > end + _HOUR:
        is_end_date = settings.end_date is not None and settings.end_date.latest(clock.zone) == end
        instance.warn_once(
            f"nothing to read: end_date, {settings.end_date}, is before {start:%F %T} UTC, and earlier runs have "
            "read everything up to then according to the state"
            if is_end_date
            else f"nothing to read: the range would begin at {start:%F %T} and end at {end:%F %T} UTC"
        )
    return None


def _start(instance: Instance, clock: Clock, resume: datetime | None) -> datetime | None:
    """Return the lower bound, None for no bound; `resume` is the bookmark that can be relied on."""
    settings = instance.tap_settings
    start = settings.start_date.earliest(clock.zone) if settings.start_date else None
    if resume is None:
        return start
    if start is not None and start > resume:
        instance.warn_once(
            f"start_date, {settings.start_date}, is later than a bookmark in the state and has no effect: streams "
            "are read from their bookmark on. To begin at start_date, use --full-refresh or remove the state"
        )
    lookback = timedelta(minutes=settings.lookback_minutes)
    # Python's calendar begins in the year 1.
    return resume - lookback if resume - _FIRST > lookback + _DAY else None


def _check_start_date(instance: Instance, clock: Clock, start: datetime) -> None:
    """Raise a RangeError if no run before `start` would read anything."""
    settings = instance.tap_settings
    if settings.end_date and settings.end_date.latest(clock.zone) <= start:
        raise RangeError(
            f"end_date, {settings.end_date}, is not after start_date, {settings.start_date}, in the time zone of "
            f"the instance, {clock.zone.key}. Correct one of them"
        )
    # In the hour that a clock change repeats, the clock may be an hour ahead of its earlier reading.
    if start > clock.now + _HOUR:
        raise RangeError(
            f"start_date, {settings.start_date}, is in the future: the clock of the instance is at "
            f"{clock.now:%F %T} UTC. Until then, no incremental stream is read. Set start_date to an earlier date"
        )


def _warn_of_bookmark(instance: Instance, clock: Clock, resume: datetime | None) -> None:
    if resume is not None:
        instance.warn_once(
            f"the clock of the instance, {clock.now:%F %T} UTC, is behind bookmarks in the state, so it has gone "
            f"back; that of this machine is at {clock.machine_now:%F %T} UTC. These streams are read again from "
            "a time before their bookmarks"
        )
        return
    start = instance.tap_settings.start_date
    instance.warn_once(
        "bookmarks in the state lie in the future, so a clock was wrong when they were written. These streams are "
        f"read again from {f'start_date, {start},' if start else 'the beginning'} on"
    )


class StreamReader:
    """Reads one stream of one instance once."""

    def __init__(
        self, stream: Stream, columns: Iterable[Field], instance: Instance, bookmark: datetime | None
    ) -> None:
        """Prepare to read `columns`; `bookmark` is None if the state has none.

        Raises:
            InstanceError: no stream of the instance can be read.
            StreamError: this stream cannot be read.
        """
        self._stream = stream
        self._columns = tuple(columns)
        self._instance = instance
        self._bookmark = bookmark
        self._source = PageSource(instance.fetcher, instance.page_limits[stream.endpoint], self._observe)
        self._is_confirmed = False
        """Whether a response of the stream has confirmed its clock."""
        self.rows = 0
        """Number of rows read."""
        self.expected: int | None = None
        """Number of rows according to the server, None if it has not sent a total."""
        self._is_partial = False
        self._take = instance.tap_settings.page_size
        """Number of rows that the server can send in a page, according to its responses."""
        self._label = f"{stream.name} ({instance.server})"
        with self._as_stream_error():
            self._clock = instance.clock(stream.endpoint)
        self._compile()
        self._fields = RequestedFields(stream, self._columns, instance)

    def read(self) -> Iterator[RecordBatch | Checkpoint]:
        """Yield batches of records, and checkpoints between them.

        Raises:
            StreamError: the stream cannot be read to its end.
        """
        with self._as_stream_error():
            is_read = False
            while not is_read:
                try:
                    yield from self._read_by_clock()
                    is_read = True
                except RequestError as error:
                    if not self._fields.adapt(error):
                        raise
                    self._compile()
                    self._log(self._fields.take_warnings())
            if self.rows:
                self._fields.check(self._without_value)
        self._report()

    def why_incomplete(self) -> str:
        """Return why the records of the instance may be incomplete, an empty text if they are complete.

        Call it after `read`. An instance that returns no rows counts as incomplete, since missing permissions look
        like an empty table.
        """
        stats = self._mapper.stats
        if stats.keyless:
            return f"returned {stats.keyless} rows without a key"
        if self._is_partial:
            return "added or deleted rows during each attempt to read them"
        return "" if stats.records else "returned no rows"

    def _read_by_clock(self) -> Iterator[RecordBatch | Checkpoint]:
        """Read the stream, and plan its range again if the first response shows another zone or time."""
        try:
            yield from self._read()
        except _ClockChanged:
            self._instance.fetcher.cancel_all()
            yield from self._read()

    def _observe(self, page: Page) -> None:
        """Compare the clock of a response with that of the stream, and use the clock of the first one.

        Raises:
            _ClockChanged: the range has to be planned again.
            StreamError: responses of the stream are in different zones.
        """
        self._note_take(page)
        clock = self._instance.server_clock.observe(page.time, page.timezone)
        is_confirmed, self._is_confirmed = self._is_confirmed, True
        if clock == self._clock:
            return
        if is_confirmed:
            raise StreamError(
                f"responses of {self._stream.endpoint} are in {self._clock.zone.key} and in {clock.zone.key}, so "
                "the times of its rows are ambiguous: set timezone to the zone of the instance"
            )
        self._clock = clock
        self._compile()
        if self._stream.replication_key is not None:
            raise _ClockChanged

    def _note_take(self, page: Page) -> None:
        """Warn, once for each size, if the server could not send pages as large as requested."""
        if page.take is not None and page.take < self._take:
            self._take = page.take
            logger.warning(
                "%s: pages of %d rows are too large for the server; reading pages of %d rows. Set page_size to %d "
                "to avoid the failed requests",
                self._label,
                self._instance.tap_settings.page_size,
                page.take,
                page.take,
            )

    def _read(self) -> Iterator[RecordBatch | Checkpoint]:
        cursor = self._stream.replication_key
        if cursor is None:
            yield from self._batches(read_by_name(self._source, self._fields.query))
            return
        wanted = plan_range(self._instance, self._clock, self._bookmark)
        if wanted is None:
            return
        if self._bookmark is not None:
            yield from self._read_late_closures(cursor, wanted)
        yield from self._read_range(cursor, wanted)

    def _read_late_closures(self, cursor: str, wanted: ReadRange) -> Iterator[RecordBatch]:
        """Read again the rows from before the range that were closed in it: closing changes no replication key.

        Rows that were postponed before they were closed, or changed without being closed, are not found
        (daktela-api.md §4.2).
        """
        closed = self._stream.closed
        if closed is None or wanted.lower is None:
            return
        query = replace(
            self._fields.query,
            fields=tuple(dict.fromkeys([*self._fields.query.fields, closed])),
            conditions=(*self._fields.query.conditions, Condition(cursor, "lt", wanted.lower)),
        )
        window = Window(wanted.lower, wanted.upper)
        yield from self._batches(read_windows(self._source, query, closed, window))

    def _read_range(self, cursor: str, wanted: ReadRange) -> Iterator[RecordBatch | Checkpoint]:
        stats = self._mapper.stats
        window = Window(wanted.lower, wanted.upper)
        for batch in self._counted(read_windows(self._source, self._fields.query, cursor, window)):
            yield self._records(batch.rows)
            # If all rows of a type lack their item, a permission may be missing. The bookmark stays before them.
            if batch.end and not stats.itemless:
                at_end = batch.end == wanted.upper
                yield self._checkpoint(
                    wanted, wanted.end if at_end else earliest_instant(batch.end, self._clock.zone)
                )
            del batch
        if stats.itemless:
            if problem := missing_items(self._stream, self._instance, stats):
                raise StreamError(problem)
            yield self._checkpoint(wanted, wanted.end)

    def _checkpoint(self, wanted: ReadRange, instant: datetime) -> Checkpoint:
        """Return the checkpoint for rows that have been read up to `instant`; it is later than neither clock."""
        settled = self._instance.server_clock.latest_bookmark - timedelta(
            minutes=self._instance.tap_settings.settle_minutes
        )
        return Checkpoint(min(instant, settled), wanted.replaces_bookmark)

    def _batches(self, batches: Iterator[Batch]) -> Iterator[RecordBatch]:
        """Yield the records of batches of rows, and update the progress."""
        for batch in self._counted(batches):
            yield self._records(batch.rows)
            del batch

    def _counted(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield batches of rows, and update the progress."""
        before, rows = self.expected or 0, 0
        for batch in batches:
            rows += len(batch.rows)
            self.rows += len(batch.rows)
            if batch.total is not None:
                self.expected = before + max(batch.total, rows)
            self._is_partial = self._is_partial or batch.is_partial
            yield batch
            # Free these rows before the next ones are fetched.
            del batch

    def _compile(self) -> None:
        settings, instance = self._instance.tap_settings, self._instance
        instance_format = InstanceFormat(
            server=instance.server,
            prefix=instance.prefix,
            zone=self._clock.zone,
            local_datetimes=settings.local_datetimes,
            nulls_for_mismatches=settings.nulls_for_mismatches,
        )
        self._mapper = RowMapper(self._stream, self._columns, instance_format)
        self._without_value = {column.name for column in self._columns if column.extra}

    def _records(self, rows: list[Any]) -> RecordBatch:
        """Return the records of a page, and note which extra fields have values."""
        records = self._mapper(rows)
        if self._without_value:
            self._without_value = {name for name in self._without_value if not records.has_value(name)}
        return records

    @contextmanager
    def _as_stream_error(self) -> Iterator[None]:
        try:
            yield
        except RequestError as error:
            raise StreamError(f"{error}{hint_for(error, self._stream)}") from None
        except SignInError as error:
            raise self._instance.mark_failed(str(error)) from None
        except (ReadError, MismatchError) as error:
            raise StreamError(str(error)) from None

    def _report(self) -> None:
        stats, label = self._mapper.stats, self._label
        logger.info("%s: %d records", label, stats.records)
        for kind, count in stats.orphans.items():
            logger.info("%s: left out %d activities of type %s without their item (orphans)", label, count, kind)
        if self._is_partial:
            logger.warning(
                "%s: rows were added or deleted during each attempt to read them, so rows that were added "
                "meanwhile may be missing until a later run reads them",
                label,
            )
        self._log([*losses(stats), *self._fields.take_warnings()])
        self._instance.nameless.add(self._stream.name, stats)

    def _log(self, warnings: Iterable[str]) -> None:
        for warning in warnings:
            logger.warning("%s: %s", self._label, warning)
