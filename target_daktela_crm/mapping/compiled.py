"""Compiled mappings: what the records of each stream are."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from target_daktela_crm.mapping.left_out import LeftOut
from target_daktela_crm.mapping.preset import find_stream
from target_daktela_crm.mapping.roles import MappingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_daktela_crm.mapping.column_reader import ColumnReader
    from target_daktela_crm.mapping.columns import Column
    from target_daktela_crm.mapping.field_values import StreamOptions
    from target_daktela_crm.mapping.native import Native
    from target_daktela_crm.mapping.roles import Attributes, Record, Role


@dataclass(frozen=True)
class ValueStream:
    """A stream whose records are custom values of companies and contacts."""

    name: str
    of: tuple[str, ...]
    """Names of the streams of these companies and contacts."""
    defined_in: str | None
    """Name of the stream that defines the meaning of the values."""


@dataclass(frozen=True)
class StreamMapping:
    """The mapping of one stream."""

    name: str
    options: StreamOptions
    roles: tuple[Role, ...]
    attributes: tuple[Attributes, ...]
    """Of the company and contact roles; empty for streams of links, values and definitions."""
    identifying_columns: tuple[str, ...]
    """Names of the columns by which the CRM of the preset is recognized."""
    identifying_keys: frozenset[str]
    """Keys that these columns may have in a record; empty if every record is accepted."""
    neutral_keys: frozenset[str]
    """Keys of further columns that the mapping reads. They are the same in many CRMs, such as `id`."""
    key_prefixes: tuple[str, ...]
    """Prefixes that keys of identifying columns may have."""
    wanted_columns: Mapping[str, frozenset[str]]
    """Columns that the setting `streams` names, each with the keys that it may have."""
    expected_fields: Mapping[str, frozenset[str]]
    """`names`, and each field that should occur, with the keys of all columns that it may come from."""
    native: Native | None
    """A shorter way to read records that already have the request's shape; None if there is none."""
    column_readers: tuple[ColumnReader, ...] = ()
    """Of its company and contact roles, and of the contacts inside the records of companies."""
    columns: tuple[Column, ...] = ()
    """All columns that the mapping reads."""
    same_ids_as: frozenset[str] = frozenset()
    """Streams whose records with the same id are of the same person."""

    def has_ids_of(self, other: StreamMapping) -> bool:
        """Return whether records with the same id, in this stream and in another one, are of the same person."""
        return self.name == other.name or other.name in self.same_ids_as or self.name in other.same_ids_as

    def fits(self, record: Mapping[str, Any]) -> bool:
        """Return whether a record, or the properties of a schema, has any identifying column."""
        keys = self.identifying_keys
        if not keys or not keys.isdisjoint(record) or self.neutral_keys.issuperset(record):
            return True
        return bool(self.key_prefixes) and any(key.startswith(self.key_prefixes) for key in record)

    def is_deleted_stub(self, record: Record) -> bool:
        """Return whether a record is marked as deleted. It may then lack all other columns."""
        try:
            return any(attributes.deleted(record, "") for attributes in self.attributes)
        except MappingError:
            return False

    def identify(self, record: Record) -> tuple[str, float | None]:
        """Return the id of a record's company or contact, and the time of its last change.

        Raises:
            MappingError: the record has no id.
        """
        # No role may apply yet: its condition may need custom values that have not arrived.
        attributes = next((each for each in self.attributes if each.apply_to(record)), self.attributes[0])
        key = attributes.identifier(record).key
        return key, attributes.modified(record, key)


@dataclass(frozen=True)
class CrmMapping:
    """The mapping of all streams of a CRM."""

    streams: tuple[StreamMapping, ...]
    by_name: Mapping[str, StreamMapping] = field(repr=False)
    value_streams: tuple[ValueStream, ...] = ()
    unique_ids: bool = False
    """Whether no company has the id of a contact."""
    left_out: LeftOut = field(default_factory=LeftOut)
    """The phone numbers and e-mail addresses that were left out so far."""

    def stream(self, name: str) -> StreamMapping | None:
        """Return the mapping of a stream by its name, alias or table, or None if the stream is not mapped."""
        return find_stream(self.by_name, name)

    @cached_property
    def with_values(self) -> frozenset[str]:
        """Names of the streams whose records have custom values in other streams."""
        return frozenset(name for values in self.value_streams for name in values.of)

    def values_of(self, name: str) -> Iterator[ValueStream]:
        """Yield the streams that hold custom values of a stream's records."""
        return (each for each in self.value_streams if name in each.of)
