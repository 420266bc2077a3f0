"""`--test`: print what can be read of each instance, and what differs from the tap's declarations.

Each stream costs a request for one page, and one for a few rows with all their fields. A line for each instance
and stream says whether it can be read. All of them are checked, even if some fail. Notes below the line of a
stream are not failures.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tap_daktela.api.auth import SignInError
from tap_daktela.api.outcome import RequestError
from tap_daktela.api.redaction import echo
from tap_daktela.connection_test.stream_check import StreamCheck
from tap_daktela.reading.failures import Failures, unexpected
from tap_daktela.reading.instance import InstanceError
from tap_daktela.reading.permissions import hint_for
from tap_daktela.reading.stream_reader import RangeError, StreamError, plan_range

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_daktela.reading.instance import Instance
    from tap_daktela.reading.server_clock import Clock
    from tap_daktela.streams.fields import Stream

logger = logging.getLogger(__name__)


def check_up(instances: Iterable[Instance], streams: Iterable[Stream]) -> Failures:
    """Print what can be read of each instance; return what cannot be read of the streams selected by default."""
    failures = Failures()
    streams = tuple({stream.name: stream for stream in streams}.values())
    for instance in instances:
        _check_instance(instance, streams, failures)
    return failures


def _check_instance(instance: Instance, streams: tuple[Stream, ...], failures: Failures) -> None:
    """Print the lines of an instance, and add what cannot be read of it to `failures`."""
    try:
        clock = _clock(instance, streams)
        user = f", signed in as {instance.user}" if instance.user else ""
        address = instance.settings.address.base
        echo(f"{instance.server}: {address}{user}; {clock.zone.key}, {clock.now:%F %T} UTC")
        _check_dates(instance, clock, failures)
        for stream in streams:
            _check_stream(stream, instance, failures)
    except InstanceError as error:
        _fail(instance, str(error), failures)
    except Exception as error:
        logger.debug("%s failed", instance.server, exc_info=True)
        _fail(instance, unexpected(error), failures)
    finally:
        instance.release()


def _fail(instance: Instance, reason: str, failures: Failures) -> None:
    echo(f"{instance.server}: {reason}")
    failures.add("", [instance.server], reason, of_instance=True)


def _check_dates(instance: Instance, clock: Clock, failures: Failures) -> None:
    """Check `start_date` and `end_date` against the clock of the instance."""
    try:
        plan_range(instance, clock, None)
    except RangeError as error:
        _fail(instance, str(error), failures)


def _clock(instance: Instance, streams: tuple[Stream, ...]) -> Clock:
    """Return the time of an instance, from the first stream that can be read if `whoim` does not answer.

    Raises:
        InstanceError: nothing of the instance can be read.
    """
    reasons = []
    for stream in streams:
        try:
            return instance.clock(stream.endpoint)
        except RequestError as error:
            reasons.append(f"{error}{hint_for(error, stream)}")
        except SignInError as error:
            raise InstanceError(str(error)) from None
    raise InstanceError(f"no stream can be read: {reasons[0]}")


def _check_stream(stream: Stream, instance: Instance, failures: Failures) -> None:
    """Print the line of a stream, with notes below it; if it cannot be read, add it to `failures`.

    A stream that is not selected by default does not count as a failure.
    """
    notes: list[str] = []
    try:
        check = StreamCheck(stream, instance)
        try:
            result, ok = check.run(), True
        except StreamError as error:
            result, ok = str(error), False
        notes = check.drift()
    except StreamError as error:
        result, ok = str(error), False
    except InstanceError:
        raise
    except Exception as error:
        logger.debug("%s of %s failed", stream.name, instance.server, exc_info=True)
        result, ok = unexpected(error), False
    mark = "ok" if ok else "FAILED" if stream.selected_by_default else "not readable"
    echo(f"  {stream.name:<20} {mark}: {result}")
    for note in notes:
        echo(f"  {'':<20} note: {note}")
    if not ok and stream.selected_by_default:
        failures.add(stream.name, [instance.server], result)
