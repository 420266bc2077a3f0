"""`--explain`: show what the mapping makes of the first records of each stream.

Each value that would be sent is shown with the expression that it comes from, as is each value that is left out.
Nothing is stored or sent, and no instance is needed.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from target_daktela_crm.entities import (
    Company,
    Contact,
    CustomDefinition,
    CustomValue,
    Link,
    RejectedPart,
)
from target_daktela_crm.exact_json import decode, encode
from target_daktela_crm.mapping.columns import MissingColumns
from target_daktela_crm.mapping.compiler import Trace, compile_mapping
from target_daktela_crm.mapping.field_values import field_values
from target_daktela_crm.mapping.roles import MappingError
from target_daktela_crm.mapping.values import clean_name, flatten, is_empty, read_text
from target_daktela_crm.store.custom_fields import CustomFields
from target_daktela_crm.summary import pluralize

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from target_daktela_crm.entities import Entity
    from target_daktela_crm.mapping.compiled import StreamMapping
    from target_daktela_crm.mapping.roles import Record

_SHOWN_RECORDS = 3
"""Records of each stream that are shown."""
_MAX_LENGTH = 100
"""Characters of a value that are shown."""
_RUN_NUMBER = 1
"""There is no store, so that all records belong to one run."""


class Explanation:
    """Describes the first records of each stream."""

    def __init__(self, preset: str, streams: Mapping[str, Any] | None, phone_region: str | None) -> None:
        self._traces: list[Trace] = []
        self._mapping = compile_mapping(preset, streams, phone_region, self._traces.append)
        self._counts: Counter[str] = Counter()
        self._missing = {each.name: MissingColumns(each.wanted_columns) for each in self._mapping.streams}
        self._unconfirmed = {each.name for each in self._mapping.streams}
        self._custom_fields = CustomFields.in_memory()

    def of_record(self, stream: str, record: Record) -> Iterator[str]:
        """Yield the lines on a record, or nothing if enough records of its stream have been shown."""
        self._counts[stream] += 1
        count = self._counts[stream]
        mapping = self._mapping.stream(stream)
        if mapping is None:
            if count == 1:
                yield f"{stream}: the mapping has no such stream, so its records are ignored"
            return
        self._missing[mapping.name].note(record)
        if mapping.fits(record) or mapping.is_deleted_stub(record):
            self._unconfirmed.discard(mapping.name)
        self._keep_custom_fields(mapping, record)
        if count > _SHOWN_RECORDS:
            return
        yield f"{stream}, record {count}: {_shown(record, len(encode(record)))}"
        if mapping.name in self._mapping.with_values:
            yield from self._keep_record(mapping, record)
        else:
            yield from self._entities(mapping, record)

    def _keep_custom_fields(self, mapping: StreamMapping, record: Record) -> None:
        """Keep a custom value or definition, which a record that is shown later may need."""
        for role in mapping.roles if not mapping.attributes else ():
            try:
                for entity in role.entities(record):
                    if isinstance(entity, CustomValue):
                        self._custom_fields.add_value(mapping.name, entity, _RUN_NUMBER)
                    elif isinstance(entity, CustomDefinition):
                        self._custom_fields.add_definition(mapping.name, entity)
            except MappingError:
                # Shown if the record is one of the first.
                continue

    def _keep_record(self, mapping: StreamMapping, record: Record) -> Iterator[str]:
        """Keep a record until all of its custom values have been read."""
        try:
            key, modified = mapping.identify(record)
        except MappingError as error:
            yield f"  -> rejected: {error}"
            return
        self._custom_fields.keep(mapping.name, key, record, modified, _RUN_NUMBER)
        streams = " and ".join(values.name for values in self._mapping.values_of(mapping.name))
        yield f"  -> shown at the end, with its values of {streams}"

    def _entities(self, mapping: StreamMapping, record: Record) -> Iterator[str]:
        """Yield the lines on what a record is mapped to."""
        is_excluded = True
        for role in mapping.roles:
            self._traces.clear()
            try:
                for entity in role.entities(record):
                    is_excluded = False
                    self._mapping.left_out.assign(entity)
                    yield f"  -> {_head(entity)}"
                    if isinstance(entity, (Company, Contact)) and entity.body is not None:
                        yield from _attributes(entity, mapping, self._traces)
                    self._traces.clear()
            except MappingError as error:
                is_excluded = False
                yield f"  -> rejected: {error}"
        if is_excluded:
            yield "  -> nothing: no condition (when) is met"

    def end(self) -> Iterator[str]:
        """Yield the lines after the last record: records with custom values, and an overview."""
        for complete in self._custom_fields.stale_records(self._mapping, 0):
            mapping = self._mapping.stream(complete.stream)
            if mapping is not None:
                record = complete.record
                yield f"{complete.stream}, with its values: {_shown(record, len(encode(record)))}"
                yield from self._entities(mapping, record)
        yield from self._overview()

    def _overview(self) -> Iterator[str]:
        yield f"the first {_SHOWN_RECORDS} records of each stream are shown; the input has: " + (
            ", ".join(f"{name} {count:,}" for name, count in self._counts.items()) or "none"
        )
        received = {mapping.name for name in self._counts if (mapping := self._mapping.stream(name))}
        missing = [each.name for each in self._mapping.streams if each.name not in received]
        if missing:
            yield f"mapped, but not on the input: {', '.join(missing)}"
        if self._counts and not received:
            yield "none of these streams is mapped; does the preset match the tap?"
        for name in sorted(received & self._unconfirmed):
            yield f"{name}: no record has a column that the mapping reads; does the preset match the tap?"
        for name, missing_columns in self._missing.items():
            for column in missing_columns.names() if name in received else ():
                yield f"streams.{name}: no record has the column {column}"
        for kind, count in self._mapping.left_out.counts.items():
            yield f"left out: {pluralize(count, f'invalid {kind}')}"


def _head(entity: Entity | RejectedPart) -> str:
    """Return a description of a part of a record."""
    match entity:
        case RejectedPart():
            return f"a part rejected: {entity.reason}"
        case Company() | Contact():
            kind = "company" if isinstance(entity, Company) else "contact"
            under = f" under company {entity.company}" if isinstance(entity, Contact) and entity.company else ""
            return f"{kind} {entity.key}{under}{': deleted in the CRM' if entity.body is None else ''}"
        case Link(contact=""):
            return f"link {entity.key}: deleted in the CRM"
        case Link():
            state = "deleted" if entity.deleted else "primary" if entity.primary else "not primary"
            return f"link of contact {entity.contact} to company {entity.company} ({state})"
        case CustomValue():
            return f"value {entity.key} of {entity.owner}{': deleted in the CRM' if entity.deleted else ''}"
        case CustomDefinition():
            return f"definition {entity.key}"


def _attributes(entity: Company | Contact, mapping: StreamMapping, traces: list[Trace]) -> Iterator[str]:
    """Yield a line for each value of a company or contact, with the expression that it comes from."""
    content = decode(entity.body or b"{}")
    if isinstance(entity, Contact) and any(each.place.endswith(".company") for each in traces):
        content["company"] = entity.company
    fields = {each["key"]: each["value"] for each in content.pop("fields")}
    # Of fields that the record holds itself.
    given_by = next((each.expression for each in reversed(traces) if each.place.endswith(".fields")), None)
    for name, value in content.items():
        own = [each for each in traces if each.place.endswith(f".{name}") and ".fields." not in each.place]
        if own and value is not None:
            yield _line(name, value, _origin(name, value, own[-1]))
        elif value is not None:
            yield _line(name, value, "substituted")
        else:
            tried = ", ".join(dict.fromkeys(each.expression for each in own))
            yield _line(name, None, f"nothing in {tried}" if tried else "not mapped")
    for key, values in fields.items():
        if given_by is None:
            own = [each for each in traces if each.place.endswith(f".fields.{key}")]
            yield from _values(key, values, own, mapping)
        else:
            yield from (_line(key, value, f"from {given_by}") for value in values)
    yield from _unknown_fields(mapping, "company" if isinstance(entity, Company) else "contact", fields)


def _unknown_fields(mapping: StreamMapping, role: str, known: Collection[str]) -> Iterator[str]:
    """Yield a line for each field that is not sent, since none of its columns is known."""
    for reader in mapping.column_readers:
        fields = reader.columns.fields if reader.role == role else {}
        for key, columns in fields.items():
            if key not in known and columns:
                tried = ", ".join(name for name in reader.columns.all if name in columns)
                yield _line(key, None, f"nothing in {tried}")


def _origin(name: str, value: object, trace: Trace) -> str:
    given = read_text(next(flatten(trace.value), None))
    if name == "name" and clean_name(given) != clean_name(value):
        return "substituted"
    return f"from {trace.expression}" + ("" if given == read_text(value) else f" {_shown(trace.value)}")


def _values(key: str, values: list[str], traces: list[Trace], mapping: StreamMapping) -> Iterator[str]:
    """Yield a line for each value of a field, and for each value that is left out."""
    is_empty_field = True
    left = list(values)
    for trace in traces:
        options = mapping.options
        given = [value for value in flatten(trace.value) if not is_empty(value, options.null_values)]
        found = field_values(key, given, options)
        for value in found.texts:
            is_empty_field = False
            if value in left:
                left.remove(value)
                yield _line(key, value, f"from {trace.expression}")
            else:
                yield _line(key, None, f"{_shown(value)} of {trace.expression} repeats another one")
        if found.left_out:
            is_empty_field = False
            yield _line(key, None, f"{_shown(given)} of {trace.expression}: invalid values are left out")
    if is_empty_field:
        tried = ", ".join(each.expression for each in traces)
        yield _line(key, None, f"nothing in {tried}" if traces else "not mapped")


def _line(name: str, value: object, origin: str) -> str:
    return f"       {name:<12} {'-' if value is None else _shown(value):<34} {origin}"


def _shown(value: object, max_length: int = _MAX_LENGTH) -> str:
    text = encode(value).decode()
    return text if len(text) <= max_length else f"{text[:max_length]}…"
