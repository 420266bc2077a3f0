"""`--test`: which instances let us in, which streams the account may read, and what has changed, in plain words.

In: instances and declarations. Out: lines for a person, and whether every stream that is selected by default can
be read. Each stream costs a request for one page, and one for a few rows with all their fields. What these tell of
other fields than are declared stands below the stream's line, as notes that fail nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_daktela.api.redaction import echo
from tap_daktela.instance import InstanceError
from tap_daktela.probe import Probe
from tap_daktela.sync import StreamError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_daktela.fields import Stream
    from tap_daktela.instance import Instance


def check_up(instances: Iterable[Instance], streams: Iterable[Stream]) -> bool:
    """Print what can be read of each instance; return whether all of it that most users need can."""
    streams = tuple({stream.name: stream for stream in streams}.values())
    readable = [_check_instance(instance, streams) for instance in instances]
    return all(readable)


def _check_instance(instance: Instance, streams: tuple[Stream, ...]) -> bool:
    try:
        clock = instance.clock("users")
        who = f", signed in as {instance.user}" if instance.user else ""
        echo(f"{instance.server}: {instance.settings.address.base}{who}; {clock.zone.key}, {clock.now:%F %T} UTC")
        readable = [_check_stream(stream, instance) for stream in streams]
    except InstanceError as error:
        echo(f"{instance.server}: {error}")
        return False
    finally:
        instance.release()
    return all(readable)


def _check_stream(stream: Stream, instance: Instance) -> bool:
    """Print a stream's line, and notes below it; return whether it can be read, or is one that few users need."""
    probe = Probe(stream, instance)
    try:
        finding, ok = probe.finding(), True
    except StreamError as error:
        finding, ok = str(error), False
    mark = "ok" if ok else "FAILED" if stream.selected_by_default else "not readable"
    echo(f"  {stream.name:<20} {mark}: {finding}")
    for note in probe.drift():
        echo(f"  {'':<20} note: {note}")
    return ok or not stream.selected_by_default
