"""Receiving records: check that they come from the preset's CRM, map them, and store what they are mapped to."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from tap_daktela.cli.errors import RunError
from tap_daktela.cli.progress import reporter
from target_daktela_crm.entities import (
    Company,
    Contact,
    CustomDefinition,
    CustomValue,
    RejectedPart,
    UnsettledRecord,
)
from target_daktela_crm.mapping.column_reader import missing_columns
from target_daktela_crm.mapping.columns import MissingColumns
from target_daktela_crm.mapping.roles import CompanyRole, ContactRole, MappingError
from target_daktela_crm.summary import pluralize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_daktela_crm.delivery.rejects import Rejects
    from target_daktela_crm.entities import Link
    from target_daktela_crm.mapping.column_reader import ColumnReader
    from target_daktela_crm.mapping.compiled import CrmMapping, StreamMapping
    from target_daktela_crm.mapping.native import Native
    from target_daktela_crm.store.store import Store
    from target_daktela_crm.summary import Summary

logger = logging.getLogger("target-daktela-crm")

_RECORDS_PER_REPORT = 100
"""Records between two updates of the progress, which looks at the clock."""
_MAX_HELD = 1_000
"""Records of a stream without any identifying column, after which the preset is considered the wrong one."""
_COLUMNS = "columns"
"""Key of the store's metadata: by stream, the columns of each of its roles that arrived in any run."""
_NAMED = 8
"""Columns that an error names."""


@dataclass(eq=False)
class _StreamState:
    """What is known of a mapped stream so far, under all of its names."""

    mapping: StreamMapping
    missing_columns: MissingColumns
    missing_fields: MissingColumns
    is_confirmed: bool = False
    """Whether a record or schema has shown that the stream is that of the preset's CRM."""
    is_complete: bool = False
    """Whether all expected columns have occurred, so that further records need no checks."""
    held: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Names and records from before the stream was confirmed."""


class Receiver:
    """Receives the records of one run."""

    def __init__(self, mapping: CrmMapping, store: Store, rejects: Rejects, summary: Summary, preset: str) -> None:
        self.mapping = mapping
        self._store = store
        self._rejects = rejects
        self._summary = summary
        self._preset = preset
        self._states = {
            each.name: _StreamState(
                each, MissingColumns(each.wanted_columns), MissingColumns(each.expected_fields)
            )
            for each in mapping.streams
        }
        self._by_stream: dict[str, _StreamState | None] = {}
        self._recalls = {each.name: partial(self._last_known, each) for each in mapping.streams}
        known = store.get(_COLUMNS) or {}
        for each in mapping.streams:
            for reader, names in zip(each.column_readers, known.get(each.name, ()), strict=False):
                reader.expect(names)
        self._has_schemas = False
        self._received = 0
        # A tap may draw its own progress bar on the same terminal.
        self._reporter = reporter(logger, may_draw=False)
        self._reporter.begin("receiving", "records")

    @property
    def is_empty(self) -> bool:
        """Whether neither a schema nor a record of a mapped stream has been received."""
        return not self._summary.received and not self._has_schemas

    def is_mapped(self, stream: str) -> bool:
        """Return whether the mapping has a stream of this name."""
        return self._state(stream) is not None

    def announce(self, stream: str, properties: Mapping[str, Any]) -> None:
        """Note the properties of a stream's schema."""
        state = self._state(stream)
        if state is None:
            return
        self._has_schemas = True
        for reader in state.mapping.column_readers:
            reader.announced.update(properties)
        if state.mapping.fits(properties):
            self._confirm(state)
            self._note_columns(state, properties)

    def receive(self, stream: str, record: dict[str, Any]) -> None:
        """Map and store a record.

        Raises:
            RunError: many records, and none of them has an identifying column of the preset.
        """
        state = self._state(stream)
        if state is None:
            self._ignore(stream)
            return
        self._count(stream)
        if state.is_complete:
            self._map(state.mapping, stream, record, self._store.run_number)
        elif state.is_confirmed:
            self._process(state, stream, record)
        elif state.mapping.fits(record) or state.mapping.is_deleted_stub(record):
            self._confirm(state)
            self._process(state, stream, record)
        else:
            state.held.append((stream, record))
            if len(state.held) >= _MAX_HELD:
                self._stop_for_wrong_preset(state)

    def native(self, stream: str) -> Native | None:
        """Return the shorter way to read a stream's records, once they need no checks; None if there is none."""
        state = self._state(stream)
        return state.mapping.native if state is not None and state.is_complete else None

    def receive_native(self, stream: str, entity: Company | Contact) -> None:
        """Store a company or contact that was read without its mapping."""
        self._store.put(entity, stream, self._store.run_number)
        self._count(stream)

    def finish(self) -> None:
        """Process the records that need the whole input, after the last record.

        Raises:
            RunError: no record has an identifying column of the preset, or no stream is mapped.
        """
        self._check_streams()
        self._check_held()
        self._note_missing_columns()
        self._store.flush()

    def settle(self) -> None:
        """Map the unsettled records again, now that it is known which columns the records of the run have."""
        for each in self._store.unsettled():
            mapping = self.mapping.stream(each.stream)
            if mapping is not None:
                self._map_again(mapping, each)
        self._store.flush()

    def _map_again(self, mapping: StreamMapping, unsettled: UnsettledRecord) -> None:
        """Replace the company or contact of an unsettled record. Contacts inside the record are not unsettled."""
        stream, record = unsettled.stream, unsettled.record
        self.mapping.left_out.unassigned.clear()
        for role in mapping.roles:
            if not isinstance(role, (CompanyRole, ContactRole)) or role.attributes.role != unsettled.role:
                continue
            try:
                entity = next(iter(role.entities(record, self._recalls[mapping.name])), None)
            except MappingError as error:
                self._rejects.add(stream, error.identifier, str(error), record)
                continue
            if isinstance(entity, (Company, Contact)):
                self.mapping.left_out.assign(entity)
                self._store.put(entity, stream, unsettled.run_number)

    def drop_excluded(self) -> None:
        """Withdraw what records that `when` excludes have brought earlier, after all records are mapped."""
        self._summary.withdrawn = self._store.drop_excluded()

    def map_with_custom_values(self, since: int) -> None:
        """Map the records whose custom values are in other streams; only those of run number `since` or later."""
        for complete in self._store.custom_fields.stale_records(self.mapping, since):
            mapping = self.mapping.stream(complete.stream)
            if mapping is not None:
                self._map(mapping, complete.stream, complete.record, complete.run_number)
        self._store.flush()

    def reject_line(self, line: bytes, number: int, reason: str) -> None:
        """Reject a line of the input that is not a message."""
        logger.error("line %d of the input %s", number, reason)
        self._rejects.add(
            None, None, f"a line of the input {reason}", line.decode("utf-8", "replace").rstrip("\n")
        )

    def reject_record(self, stream: str | None, reason: str, record: object) -> None:
        """Reject a record before it is mapped."""
        self._rejects.add(stream, None, reason, record)

    # One record.

    def _state(self, stream: str) -> _StreamState | None:
        """Return the state of a stream, or None if it is not mapped."""
        if stream not in self._by_stream:
            mapping = self.mapping.stream(stream)
            self._by_stream[stream] = None if mapping is None else self._states[mapping.name]
        return self._by_stream[stream]

    def _ignore(self, stream: str) -> None:
        """Count a record of a stream that is not mapped; the first one is logged."""
        if stream not in self._summary.unmapped:
            logger.warning("%s: the mapping has no such stream, so its records are ignored", stream)
        self._summary.unmapped[stream] += 1

    def _count(self, stream: str) -> None:
        self._summary.received[stream] += 1
        self._received += 1
        if self._received % _RECORDS_PER_REPORT == 0:
            self._reporter.update(self._received)

    def _confirm(self, state: _StreamState) -> None:
        """Note that the stream is that of the preset's CRM, and process the records that were held until now."""
        state.is_confirmed = True
        held, state.held = state.held, []
        for stream, record in held:
            self._process(state, stream, record)

    def _note_columns(self, state: _StreamState, record: Mapping[str, Any]) -> None:
        """Note which of the expected columns a record, or the properties of a schema, has."""
        state.missing_columns.note(record)
        state.missing_fields.note(record)

    def _process(self, state: _StreamState, stream: str, record: dict[str, Any]) -> None:
        """Map a record, or keep it until all of its custom values have been received."""
        self._note_columns(state, record)
        mapping = state.mapping
        if mapping.name not in self.mapping.with_values:
            state.is_complete = not state.missing_columns and not state.missing_fields
            self._map(mapping, stream, record, self._store.run_number)
            return
        try:
            key, modified = mapping.identify(record)
        except MappingError as error:
            self._rejects.add(stream, error.identifier, str(error), record)
        else:
            self._store.keep_record(mapping.name, key, record, modified)
            self._store.note_stream(stream)

    def _map(self, mapping: StreamMapping, stream: str, record: dict[str, Any], run_number: int) -> None:
        """Store what a record is mapped to, or reject the record."""
        recall = self._recalls[mapping.name]
        is_excluded = True
        # Those of a record that was rejected.
        self.mapping.left_out.unassigned.clear()
        for role in mapping.roles:
            is_mapped = False
            try:
                for entity in role.entities(record, recall):
                    is_mapped = True
                    if isinstance(entity, (Company, Contact)):
                        self._store.put(entity, stream, run_number)
                        self._note_unsettled(entity, stream, record, run_number)
                    else:
                        self._put(entity, mapping, stream, run_number)
                for excluded in role.excluded(record, recall, is_mapped=is_mapped):
                    self._store.exclude(excluded, stream, run_number)
                    self._store.drop_unsettled(stream, excluded.role, excluded.key)
            except MappingError as error:
                is_mapped = True
                self._rejects.add(stream, error.identifier, str(error), record)
            except RecursionError:
                is_mapped = True
                self._rejects.add(stream, None, "a text contains JSON that is nested too deeply", record)
            is_excluded = is_excluded and not is_mapped
        if is_excluded:
            self._summary.passed_over += 1

    def _put(
        self,
        entity: Link | CustomValue | CustomDefinition | RejectedPart,
        mapping: StreamMapping,
        stream: str,
        run_number: int,
    ) -> None:
        """Store a link, a custom value or a definition, or reject a part of a record."""
        self.mapping.left_out.assign(entity)
        if isinstance(entity, RejectedPart):
            self._rejects.add(stream, entity.identifier, entity.reason, entity.part)
        elif isinstance(entity, (CustomValue, CustomDefinition)):
            self._store.put(entity, mapping.name, run_number)
        else:
            self._store.put(entity, stream, run_number)

    def _note_unsettled(
        self, entity: Company | Contact, stream: str, record: dict[str, Any], run_number: int
    ) -> None:
        """Keep a record whose columns are not settled before the end of the run, and drop an earlier one."""
        left_out = self.mapping.left_out
        role = "contact" if isinstance(entity, Contact) else "company"
        if entity.is_unsettled:
            # Its invalid values are counted when it is mapped again.
            left_out.unassigned.clear()
            self._store.keep_unsettled(UnsettledRecord(stream, role, entity.key, record, run_number))
        else:
            left_out.assign(entity)
            self._store.drop_unsettled(stream, role, entity.key)

    def _last_known(self, mapping: StreamMapping, role: str, key: str) -> Mapping[str, Any]:
        """Return the last known columns of a company or contact."""
        known = self._store.known(role, key)
        if known is None:
            return {}
        if known.columns is not None:
            return known.columns
        # Of records that were read without their mapping, the columns are those of the request.
        columns = mapping.native.columns if mapping.native is not None else {}
        return {column: known.body[name] for name, column in columns.items() if name in known.body}

    # After the last record.

    def _check_streams(self) -> None:
        """Stop if the input has records, but none of a mapped stream."""
        if self._summary.unmapped and self.is_empty:
            records = pluralize(self._summary.unmapped.total(), "record", "records")
            raise RunError(
                f"nothing matched in {records}: the input has the streams "
                f"{', '.join(sorted(self._summary.unmapped))}, but preset {self._preset} with the setting streams "
                f"reads {self._mapped_streams()}. Nothing was sent"
            )

    def _check_held(self) -> None:
        """Stop if a stream has records, but none with an identifying column of the preset."""
        with_held = [state for state in self._by_stream.values() if state is not None and state.held]
        if with_held:
            self._stop_for_wrong_preset(max(with_held, key=lambda state: len(state.held)))

    def _stop_for_wrong_preset(self, state: _StreamState) -> None:
        mapping = state.mapping
        columns = ", ".join(sorted({key for _, record in state.held for key in record})[:_NAMED])
        records = pluralize(len(state.held), "record", "records")
        streams = ", ".join(sorted({*self._summary.received, *self._summary.unmapped}))
        raise RunError(
            f"{mapping.name}: nothing matched in {records}: they have {columns}, and preset {self._preset} "
            f"reads {', '.join(mapping.identifying_columns[:_NAMED])}. Streams on the input: {streams}; "
            f"read: {self._mapped_streams()}. Does the preset match the tap? Nothing was sent"
        )

    def _mapped_streams(self) -> str:
        return ", ".join(sorted(each.name for each in self.mapping.streams))

    def _note_missing_columns(self) -> None:
        """Note the expected columns that no record had."""
        received = [state for state in self._states.values() if self._has_received(state)]
        for state in received:
            stream = state.mapping.name
            for column in state.missing_columns.names():
                text = f"no record has the column {column}: is it selected, and spelled as the tap spells it?"
                logger.warning("streams.%s: %s", stream, text)
                self._summary.notes.append(f"streams.{stream}: {text}")
        self._summary.notes += [
            f"{state.mapping.name}: no record has a column for {name}: "
            "are they selected, and does the preset match the tap?"
            for state in received
            for name in state.missing_fields.names()
        ]

    def check_columns(self, *, may_be_missing: bool) -> None:
        """Stop if names, or all columns of a field that was delivered before, do not arrive.

        With `may_be_missing`, this is only noted. The store then expects the columns in later runs as well.

        Raises:
            RunError: they are missing.
        """
        problems = [
            f"{mapping.name}: {problem}"
            for mapping in self.mapping.streams
            for reader in mapping.column_readers
            for problem in missing_columns(mapping.name, reader, self._store.has_values)
        ]
        if problems and not may_be_missing:
            self._store.forget_run()
            raise RunError(
                f"{'; '.join(problems)}. Or permit it with allow_missing_columns: the last known values are then "
                "sent again. Nothing was sent"
            )
        self._summary.notes += problems
        for mapping in self.mapping.streams:
            for reader in mapping.column_readers:
                self._note_kept_columns(mapping.name, reader)
        expected = {
            mapping.name: [sorted(reader.expected) for reader in mapping.column_readers]
            for mapping in self.mapping.streams
            if mapping.column_readers
        }
        self._store.set(_COLUMNS, {**(self._store.get(_COLUMNS) or {}), **expected})

    def note_same_ids(self) -> None:
        """Note streams whose records replace each other, unless they are of the same people by their mapping."""
        for stream, other, count, example in self._store.same_ids():
            mapping, other_mapping = self.mapping.stream(stream), self.mapping.stream(other)
            if mapping is None or other_mapping is None or mapping.has_ids_of(other_mapping):
                continue
            records = pluralize(count, "record has", "records have")
            text = (
                f"{stream}: {records} the id of a record of {other} ({example}), and replaced it: give the "
                f"records of one stream other ids, such as id: \"joined('-', '{stream}', id)\""
            )
            logger.warning("%s", text)
            self._summary.notes.append(text)

    def _note_kept_columns(self, stream: str, reader: ColumnReader) -> None:
        """Note the columns of earlier runs that no record of this run has."""
        kept = sorted(reader.expected - reader.arrived) if reader.has_records and not reader.is_sparse else []
        if kept:
            columns = pluralize(len(kept), "column", "columns")
            names = ", ".join(kept[:_NAMED]) + (", …" if len(kept) > _NAMED else "")
            self._summary.notes.append(
                f"{stream}: {columns} of earlier runs did not arrive ({names}): the last known values are kept"
            )

    def _has_received(self, state: _StreamState) -> bool:
        return any(self._state(stream) is state for stream in self._summary.received)
