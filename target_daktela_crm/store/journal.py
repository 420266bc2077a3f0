"""The journal: a second file beside the store, which shows whether the store was put back from a copy.

The store counts its runs and deliveries: its revision. The journal has the same number. Both are written before
anything is sent, the store first, so a store with a smaller revision than its journal is a copy from an earlier
time. Such a store does not know what was sent since then.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class JournalEntry(NamedTuple):
    """The content of a journal."""

    revision: int = 0
    """Number of runs and deliveries that the store has begun."""
    delivered: int = 0
    """Revision of the last staged load that was delivered."""


def journal_path(store: Path) -> Path:
    """Return the path of a store's journal."""
    return store.with_name(f"{store.name}.journal.json")


def read_journal(path: Path) -> JournalEntry | None:
    """Return the content of a journal, or None if there is none, or one that is damaged.

    Raises:
        OSError: it cannot be read.
    """
    try:
        content = json.loads(path.read_bytes())
        return JournalEntry(int(content["revision"]), int(content["delivered"]))
    except (FileNotFoundError, ValueError, TypeError, LookupError):
        return None


def write_journal(path: Path, entry: JournalEntry) -> None:
    """Replace the content of a journal. It is durable at the end, and a crash leaves the earlier content.

    Raises:
        OSError: it cannot be written.
    """
    draft = path.with_name(f"{path.name}.new")
    # Neither a link nor a file of another mode is written to.
    with suppress(FileNotFoundError):
        draft.unlink()
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(file, json.dumps(entry._asdict()).encode())
        os.fsync(file)
    finally:
        os.close(file)
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
