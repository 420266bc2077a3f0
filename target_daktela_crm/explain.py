"""What the mapping makes of the first records of each stream, for `--explain`: records in, lines to read out.

Nothing is stored or sent, and no instance is needed.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from target_daktela_crm.entities import Company, Contact, MappingError, Refusal
from target_daktela_crm.summary import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_daktela_crm.entities import Entity
    from target_daktela_crm.mapping import CrmMapping, StreamMapping

_encode = msgspec.json.Encoder(decimal_format="number").encode

SHOWN = 3
"""Records of each stream."""


class Explanation:
    """Tells about the first records of each stream."""

    def __init__(self, mapping: CrmMapping) -> None:
        self.mapping = mapping
        self._counts: Counter[str] = Counter()

    def of_record(self, stream: str, mapping: StreamMapping | None, record: dict[str, Any]) -> Iterator[str]:
        """Yield what there is to tell about a record, nothing after the first few of its stream."""
        self._counts[stream] += 1
        count = self._counts[stream]
        if mapping is None:
            if count == 1:
                yield f"{stream}: no stream of the mapping, its records are ignored"
            return
        if count > SHOWN:
            return
        yield f"{stream}, record {count}: {_encode(record).decode()}"
        told = False
        for role in mapping.roles:
            try:
                for entity in role(record):
                    told = True
                    yield f"  -> {_entity(entity)}"
            except MappingError as error:
                told = True
                yield f"  -> rejected: {error}"
        if not told:
            yield "  -> nothing: no condition (when) is met"

    def end(self) -> Iterator[str]:
        """Yield what there is to tell after the last record."""
        yield f"the first {SHOWN} records of each stream were shown; there are: " + (
            ", ".join(f"{name} {count:,}" for name, count in self._counts.items()) or "none"
        )
        missing = [
            mapping.name
            for mapping in self.mapping.streams
            if not any(self.mapping.stream(name) is mapping for name in self._counts)
        ]
        if missing:
            yield f"mapped, but not on the input: {', '.join(missing)}"
        for what, count in self.mapping.left_out.items():
            yield f"left out: {counted(count, what, f'{what}s')}, which are none"


def _entity(entity: Entity | Refusal) -> str:
    if isinstance(entity, Refusal):
        return f"a part of it rejected: {entity.reason}"
    if isinstance(entity, (Company, Contact)):
        kind = "company" if isinstance(entity, Company) else "contact"
        body = "deleted in the CRM" if entity.body is None else entity.body.decode()
        under = f" under company {entity.company}" if isinstance(entity, Contact) and entity.company else ""
        return f"{kind} {entity.key}{under}: {body}"
    if not entity.contact:
        return f"link {entity.key}: deleted in the CRM"
    state = "deleted" if entity.deleted else "primary" if entity.primary else "one of several"
    return f"link of contact {entity.contact} to company {entity.company} ({state})"
