"""Format values of columns for people.

The end of the column name is the unit, as in the SQL: `_share`, `_seconds`, `_hours`.
"""

from __future__ import annotations

from datetime import date, time

NOTHING = "-"
"""The text for null."""


def figure(column: str, value: object) -> str:
    """Return a value with the unit of its column."""
    if value is None:
        return "all day" if column == "half_hour" else NOTHING
    if isinstance(value, time):
        return f"{value:%H:%M}"
    if isinstance(value, date):
        return f"{value.day} {value:%b %Y}"
    if isinstance(value, int | float):
        return _quantity(column, value)
    return str(value)


def heading(column: str) -> str:
    """Return the heading of a column."""
    name = column.removesuffix("_seconds").removesuffix("_hours").replace("_", " ")
    return name.replace("sla", "SLA")


def _quantity(column: str, value: float) -> str:
    if column.endswith(("_share", "service_level", "occupancy")):
        return f"{value:.1%}"
    if column.endswith("_seconds"):
        return _duration(round(value))
    if column.endswith("_hours"):
        return f"{value:,.1f} h"
    return f"{value:,}"


def _duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    units = [(hours, "h"), (minutes, "min"), (seconds, "s")]
    # Show only the two largest units.
    said = [f"{count:,} {unit}" for count, unit in units if count][:2]
    return " ".join(said) or "0 s"
