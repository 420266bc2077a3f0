"""The sink that the SDK creates for each stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk.sinks import RecordSink
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Sequence

    from singer_sdk import Target

    from target_daktela_crm.receiver import Receiver


class CrmSink(RecordSink):
    """Passes each record of a stream to the receiver.

    Records are not validated against their schemas, which those of many CRM taps contradict (crm-taps.md §1, 8).
    A record that cannot be mapped is rejected with its reason instead.
    """

    def __init__(
        self, target: Target, stream_name: str, schema: dict[str, Any], key_properties: Sequence[str] | None
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        # Only TargetDaktelaCrm, which has a receiver, uses this sink.
        self._receiver: Receiver = target.receiver  # type: ignore[attr-defined]

    @override
    def get_validator(self) -> None:
        """Return no validator."""

    @override
    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        """Pass a record to the receiver."""
        self._receiver.receive(self.stream_name, record)
