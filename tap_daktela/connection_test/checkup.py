"""`--test`: print what can be read of each instance, and what differs from the tap's declarations.

Each stream costs a request for one page, and one for a few rows with all their fields. A line for each instance
and stream says whether it can be read, and a failure of one does not keep the others from being checked. Notes
below the line of a stream are no failures.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tap_daktela.api.auth import SignInError
from tap_daktela.api.outcome import RequestError
from tap_daktela.api.redaction import echo
from tap_daktela.connection_test.stream_check import StreamCheck
from tap_daktela.reading.failures import unexpected
from tap_daktela.reading.instance import InstanceError
from tap_daktela.reading.permissions import hint_for
from tap_daktela.reading.stream_reader import StreamError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_daktela.reading.instance import Instance
    from tap_daktela.reading.server_clock import Clock
    from tap_daktela.streams.fields import Stream

logger = logging.getLogger(__name__)


def check_up(instances: Iterable[Instance], streams: Iterable[Stream]) -> bool:
    """Print what can be read of each instance; return whether all of it that most users need can."""
    streams = tuple({stream.name: stream for stream in streams}.values())
    readable = [_check_instance(instance, streams) for instance in instances]
    return all(readable)


def _check_instance(instance: Instance, streams: tuple[Stream, ...]) -> bool:
    """Print the lines of an instance; return whether all of its streams that most users need can be read."""
    try:
        clock = _clock(instance, streams)
        who = f", signed in as {instance.user}" if instance.user else ""
        echo(f"{instance.server}: {instance.settings.address.base}{who}; {clock.zone.key}, {clock.now:%F %T} UTC")
        readable = [_check_stream(stream, instance) for stream in streams]
    except InstanceError as error:
        echo(f"{instance.server}: {error}")
        return False
    except Exception as error:
        logger.debug("%s failed", instance.server, exc_info=True)
        echo(f"{instance.server}: {unexpected(error)}")
        return False
    finally:
        instance.release()
    return all(readable)


def _clock(instance: Instance, streams: tuple[Stream, ...]) -> Clock:
    """Return the time of an instance, from the first stream that can be read if `whoim` does not tell it.

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


def _check_stream(stream: Stream, instance: Instance) -> bool:
    """Print a stream's line, and notes below it; return whether it can be read, or is one that few users need."""
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
    return ok or not stream.selected_by_default
