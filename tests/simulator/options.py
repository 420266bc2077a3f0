"""Options with a fixed set of values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

CHOICES: dict[str, tuple[str, ...] | tuple[int, ...]] = {
    "login_shape": ("object", "string"),
    "total_as": ("int", "string", "none", "page", "zero", "negative"),
    "data_as": ("list", "dict"),
    "unknown_fields": ("ignore", "refuse"),
    "tie_break": ("random", "name"),
    "sync_contacts": ("merge", "replace"),
    "sync_answer": ("json", "empty", "text"),
    "sync_poison_status": (400, 422, 200),
}
"""Option -> its values, the default first."""


IGNORABLE = frozenset({"skip", "take", "sort", "gte", "lt"})
"""Parts of a list request that the option `ignored` can contain: three parameters and two operators of filters."""


def check_options(options: Mapping[str, Any]) -> None:
    """Raise an error for an invalid value of an option."""
    if unknown := set(options.get("ignored", ())) - IGNORABLE:
        raise ValueError(f"ignored must be of {', '.join(sorted(IGNORABLE))}, not {', '.join(sorted(unknown))}")
    for option, values in CHOICES.items():
        if options.get(option, values[0]) not in values:
            raise ValueError(f"{option} must be one of {', '.join(map(str, values))}")
