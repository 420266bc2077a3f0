"""`--test`: which instances let us in, and which streams the account may read, in plain words.

In: instances and declarations. Out: lines for a person, and whether every stream that is selected by default can
be read. Each stream costs a request for one page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tap_daktela.instance import InstanceError
from tap_daktela.sync import StreamError, Sync

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
    except InstanceError as error:
        click.echo(f"{instance.server}: {error}")
        return False
    who = f", signed in as {instance.user}" if instance.user else ""
    click.echo(
        f"{instance.server}: {instance.settings.address.base}{who}; {clock.zone.key}, {clock.now:%F %T} UTC"
    )
    readable = True
    for stream in streams:
        try:
            finding, ok = Sync(stream, stream.fields, instance, None).probe(), True
        except StreamError as error:
            finding, ok = str(error), False
        mark = "ok" if ok else "FAILED" if stream.selected_by_default else "not readable"
        click.echo(f"  {stream.name:<20} {mark}: {finding}")
        readable &= ok or not stream.selected_by_default
    return readable
