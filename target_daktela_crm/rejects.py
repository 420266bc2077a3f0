"""What cannot be delivered: a record with its reason in, a line of a file and a count out.

The file is JSON lines with `stream`, `id`, `reason`, `time` and `record`, for its owner only. Lines are durable
before any state is: a record that is in here is accounted for.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tap_daktela.api.command import RunError

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = 5
"""Ids that are told for each reason."""


class TooManyRejectsError(RunError):
    """More records were rejected than a run may reject."""


class Rejects:
    """The rejects of one run."""

    def __init__(self, path: Path, most: int) -> None:
        self.path = path
        self.reasons: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self._most = most

    def __len__(self) -> int:
        return self.reasons.total()

    def add(self, stream: str | None, identifier: str | None, reason: str, record: Any) -> None:  # noqa: ANN401
        """Write a record to the file and count it.

        Raises:
            TooManyRejectsError: it is one more than `max_rejects`. The record is in the file all the same.
        """
        self._write(
            {
                "stream": stream,
                "id": identifier,
                "reason": reason,
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "record": record,
            }
        )
        self.reasons[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(identifier if identifier is not None else "without an id")
        if len(self) > self._most:
            raise TooManyRejectsError(
                f"more than {self._most} records were rejected, the last one since {reason}: the mapping or the "
                f"endpoint is wrong rather than the records, so nothing more is sent. They are in {self.path}; "
                "max_rejects allows more"
            )

    def _write(self, line: dict[str, Any]) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            text = json.dumps(line, ensure_ascii=False, default=str)
            # Half characters, which some taps let through, cannot be written as UTF-8.
            file.write(text.encode("utf-8", "backslashreplace") + b"\n")
            file.flush()
            os.fsync(descriptor)
