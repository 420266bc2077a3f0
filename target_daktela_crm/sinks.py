"""Records of one stream in, into the run; a sink is all that the SDK wants to have for each stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk.sinks import RecordSink
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable


class CrmSink(RecordSink):
    """Hands each record on. What it means is told by the mapping, not by its schema.

    CRM taps' schemas say one thing and their records another (crm-taps.md §1, 8), so records are not validated
    against them: what the mapping cannot read is rejected alone, with its reason.
    """

    take: Callable[[dict[str, Any]], None]
    """Set by the target."""

    @override
    def get_validator(self) -> None:
        """Return no validator."""

    @override
    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        """Take in a record."""
        self.take(record)
