"""What the mapping makes of the first records of each stream, for `--explain`: records in, lines to read out.

Each value that would be sent stands beside the expression that gave it, and so does what is left out. Nothing is
stored or sent, and no instance is needed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
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
from target_daktela_crm.mapping.values import clean_name, flat, is_empty, read_text
from target_daktela_crm.store.custom_fields import CustomFields
from target_daktela_crm.summary import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_daktela_crm.entities import Entity
    from target_daktela_crm.mapping.compiled import StreamMapping
    from target_daktela_crm.mapping.roles import Record

SHOWN = 3
"""Records of each stream."""
_LONGEST = 100
"""Characters of a value that are shown."""


class Explanation:
    """Tells about the first records of each stream."""

    def __init__(self, preset: str, streams: Mapping[str, Any] | None, phone_region: str | None) -> None:
        self._traces: list[Trace] = []
        self.mapping = compile_mapping(preset, streams, phone_region, self._traces.append)
        self._counts: Counter[str] = Counter()
        self._missing = {each.name: MissingColumns(each.wanted_columns) for each in self.mapping.streams}
        self._strange = {each.name for each in self.mapping.streams}
        self._custom_fields = CustomFields.in_memory()

    def of_record(self, stream: str, record: Record) -> Iterator[str]:
        """Yield what there is to tell about a record, nothing after the first few of its stream."""
        self._counts[stream] += 1
        count = self._counts[stream]
        mapping = self.mapping.stream(stream)
        if mapping is None:
            if count == 1:
                yield f"{stream}: no stream of the mapping, its records are ignored"
            return
        self._missing[mapping.name].note(record)
        if mapping.fits(record) or mapping.is_deleted_stub(record):
            self._strange.discard(mapping.name)
        self._keep_row(mapping, record)
        if count > SHOWN:
            return
        yield f"{stream}, record {count}: {_shown(record, len(encode(record)))}"
        if mapping.name in self.mapping.with_values:
            yield from self._keep(mapping, record)
        else:
            yield from self._told(mapping, record)

    def _keep_row(self, mapping: StreamMapping, record: Record) -> None:
        """Remember what a record says of others, which may be shown later."""
        for role in mapping.roles if not mapping.attributes else ():
            try:
                for entity in role.entities(record):
                    if isinstance(entity, CustomValue):
                        self._custom_fields.add_value(mapping.name, entity, 1)
                    elif isinstance(entity, CustomDefinition):
                        self._custom_fields.add_definition(mapping.name, entity)
            except MappingError:
                # Told, if the record is among the first.
                continue

    def _keep(self, mapping: StreamMapping, record: Record) -> Iterator[str]:
        try:
            key, modified = mapping.identify(record)
        except MappingError as error:
            yield f"  -> rejected: {error}"
            return
        self._custom_fields.keep(mapping.name, key, record, modified, 1)
        streams = " and ".join(values.name for values in self.mapping.values_of(mapping.name))
        yield f"  -> told at the end, with its values of {streams}"

    def _told(self, mapping: StreamMapping, record: Record) -> Iterator[str]:
        told = False
        for role in mapping.roles:
            self._traces.clear()
            try:
                for entity in role.entities(record):
                    told = True
                    yield f"  -> {_head(entity)}"
                    if isinstance(entity, (Company, Contact)) and entity.body is not None:
                        yield from _attributes(entity, mapping, self._traces)
                    self._traces.clear()
            except MappingError as error:
                told = True
                yield f"  -> rejected: {error}"
        if not told:
            yield "  -> nothing: no condition (when) is met"

    def end(self) -> Iterator[str]:
        """Yield what there is to tell after the last record."""
        for complete in self._custom_fields.stale_records(self.mapping, 0):
            mapping = self.mapping.stream(complete.stream)
            if mapping is not None:
                record = complete.record
                yield f"{complete.stream}, with its values: {_shown(record, len(encode(record)))}"
                yield from self._told(mapping, complete.record)
        yield from self._overview()

    def _overview(self) -> Iterator[str]:
        yield f"the first {SHOWN} records of each stream were shown; there are: " + (
            ", ".join(f"{name} {count:,}" for name, count in self._counts.items()) or "none"
        )
        came = {mapping.name for name in self._counts if (mapping := self.mapping.stream(name))}
        missing = [each.name for each in self.mapping.streams if each.name not in came]
        if missing:
            yield f"mapped, but not on the input: {', '.join(missing)}"
        if self._counts and not came:
            yield "none of these streams is mapped; is the preset that of the tap?"
        for name in sorted(came & self._strange):
            yield f"{name}: no record has a column that the mapping reads; is the preset that of the tap?"
        for name, missing_columns in self._missing.items():
            for column in missing_columns.names() if name in came else ():
                yield f"streams.{name}: no record has the column {column}"
        for what, count in self.mapping.invalid_values.items():
            yield f"left out: {counted(count, what, f'{what}s')}, not valid"


def _head(entity: Entity | RejectedPart) -> str:
    """Return what a part of a record is."""
    match entity:
        case RejectedPart():
            return f"a part of it rejected: {entity.reason}"
        case Company() | Contact():
            kind = "company" if isinstance(entity, Company) else "contact"
            under = f" under company {entity.company}" if isinstance(entity, Contact) and entity.company else ""
            return f"{kind} {entity.key}{under}{': deleted in the CRM' if entity.body is None else ''}"
        case Link(contact=""):
            return f"link {entity.key}: deleted in the CRM"
        case Link():
            state = "deleted" if entity.deleted else "primary" if entity.primary else "one of several"
            return f"link of contact {entity.contact} to company {entity.company} ({state})"
        case CustomValue():
            return f"value {entity.key} of {entity.owner}{': deleted in the CRM' if entity.deleted else ''}"
        case CustomDefinition():
            return f"definition {entity.key}"


def _attributes(entity: Company | Contact, mapping: StreamMapping, traces: list[Trace]) -> Iterator[str]:
    """Yield a line for each value of a company or contact, with the expression that gave it."""
    content = decode(entity.body or b"{}")
    if isinstance(entity, Contact) and any(each.place.endswith(".company") for each in traces):
        content["company"] = entity.company
    fields = {each["key"]: each["value"] for each in content.pop("fields")}
    for name, value in content.items():
        seen = [each for each in traces if each.place.endswith(f".{name}") and ".fields." not in each.place]
        if seen and value is not None:
            yield _line(name, value, _origin(name, value, seen[-1]))
        elif value is not None:
            yield _line(name, value, "made of what there is")
        else:
            tried = ", ".join(dict.fromkeys(each.expression for each in seen))
            yield _line(name, None, f"nothing in {tried}" if tried else "not mapped")
    for key, values in fields.items():
        seen = [each for each in traces if each.place.endswith(f".fields.{key}")]
        yield from _values(key, values, seen, mapping)


def _origin(name: str, value: object, trace: Trace) -> str:
    given = read_text(next(flat(trace.value), None))
    if name == "name" and clean_name(given) != clean_name(value):
        return "made of what there is"
    return f"from {trace.expression}" + ("" if given == read_text(value) else f" {_shown(trace.value)}")


def _values(key: str, values: list[str], seen: list[Trace], mapping: StreamMapping) -> Iterator[str]:
    """Yield a line for each value of a field, and for each one that is left out."""
    told = 0
    left = list(values)
    for trace in seen:
        options = replace(mapping.options, invalid_values=Counter())
        given = [value for value in flat(trace.value) if not is_empty(value, options.null_values)]
        for value in field_values(key, given, options):
            told += 1
            if value in left:
                left.remove(value)
                yield _line(key, value, f"from {trace.expression}")
            else:
                yield _line(key, None, f"{_shown(value)} of {trace.expression} repeats an earlier one")
        if options.invalid_values:
            told += 1
            yield _line(key, None, f"{_shown(given)} of {trace.expression}: left out what is not valid")
    for value in left:
        told += 1
        yield _line(key, value, "from fields")
    if not told:
        yield _line(
            key, None, f"nothing in {', '.join(each.expression for each in seen)}" if seen else "not mapped"
        )


def _line(name: str, value: object, origin: str) -> str:
    return f"       {name:<12} {'-' if value is None else _shown(value):<34} {origin}"


def _shown(value: object, most: int = _LONGEST) -> str:
    text = encode(value).decode()
    return text if len(text) <= most else f"{text[:most]}…"
