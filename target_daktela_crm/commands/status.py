"""`--status`: show what the store contains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_daktela_crm.summary import pluralize

if TYPE_CHECKING:
    from pathlib import Path

    from target_daktela_crm.store.store import Store

_WIDTH = 30
_MAX_EXAMPLES = 20


def describe(store: Store, path: Path, rejects_path: Path) -> str:
    """Return lines on the last delivery, on what is known, on hold and staged, and on the rejects."""
    lines = [
        ("store", str(path)),
        ("runs", f"{store.run_number:,}"),
        ("last delivery", _last_delivery(store)),
    ]
    lines += [(name, f"{count:,}") for name, count in store.counts().items()]
    if examples := store.examples_on_hold(_MAX_EXAMPLES):
        lines.append(("first ones on hold", ", ".join(examples)))
    lines += [("rejects", _rejects(rejects_path)), ("staged", _stage(store))]
    return "\n".join(f"{name:<{_WIDTH}}{value}" for name, value in lines)


def _last_delivery(store: Store) -> str:
    last = store.get("last_delivery")
    if last is None:
        return "none yet"
    contacts = pluralize(last["contacts"], "contact")
    return f"{last['time']}, {contacts} and {pluralize(last['companies'], 'company', 'companies')}"


def _stage(store: Store) -> str:
    stage = store.get("stage")
    if stage is None:
        return "nothing"
    if stage["delivered"]:
        return f"nothing; the load of {stage['time']} was delivered"
    outdated = "" if stage["run"] == store.run_number else ", and no longer that of the last run"
    return f"a load of {stage['time']}, not delivered{outdated}"


def _rejects(path: Path) -> str:
    if not path.exists():
        return "none"
    with path.open("rb") as file:
        return f"{pluralize(sum(1 for _ in file), 'line')} in {path}"
