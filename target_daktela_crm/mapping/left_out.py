"""Counts of the invalid phone numbers and e-mail addresses that are left out, with examples."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from target_daktela_crm.entities import Company, Contact

if TYPE_CHECKING:
    from target_daktela_crm.entities import Entity, RejectedPart

logger = logging.getLogger("target-daktela-crm")

MAX_EXAMPLES = 5
"""Ids of companies and contacts for each kind of values."""


class LeftOut:
    """The invalid values that were left out so far, by kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        """Ids of the first contacts; `company` stands before that of a company."""
        self.unassigned: Counter[str] = Counter()
        """The values of the record that is being mapped."""

    def note(self, kind: str, count: int) -> None:
        """Note values of the company or contact that is being mapped."""
        self.unassigned[kind] += count

    def assign(self, entity: Entity | RejectedPart) -> None:
        """Count the noted values as those of a company or contact, and log them."""
        if not self.unassigned:
            return
        if isinstance(entity, (Company, Contact)):
            role = "contact" if isinstance(entity, Contact) else "company"
            for kind, count in self.unassigned.items():
                logger.debug("%s %s: invalid %s left out (%d)", role, entity.key, kind, count)
                self.counts[kind] += count
                self._add_example(kind, entity.key if role == "contact" else f"company {entity.key}")
        self.unassigned.clear()

    def _add_example(self, kind: str, owner: str) -> None:
        examples = self.examples.setdefault(kind, [])
        if owner not in examples and len(examples) < MAX_EXAMPLES:
            examples.append(owner)
