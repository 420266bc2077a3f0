"""The rejects file: records that cannot be delivered, each with its reason.

The file has JSON lines with `stream`, `id`, `reason`, `time` and `record`, and only its owner can read it. Its
lines are durable before a state is written.
"""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tap_daktela.api.redaction import redact
from tap_daktela.cli.errors import RunError
from target_daktela_crm.private_file import open_private

if TYPE_CHECKING:
    from pathlib import Path

MAX_EXAMPLES = 5
"""Ids in the summary for each reason."""


class TooManyRejectsError(RunError):
    """A run has rejected more records than `max_rejects`."""


class Rejects:
    """The rejects of one run."""

    def __init__(self, path: Path, max_rejects: int) -> None:
        self.path = path
        self.reasons: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self._max_rejects = max_rejects
        self._counted = 0
        self._file: int | None = None

    def __len__(self) -> int:
        return self.reasons.total()

    def check(self) -> None:
        """Check that the file can be written.

        Raises:
            RunError: it cannot.
        """
        self._open()
        self.close()
        # An empty file would look as if there were rejects.
        if self.path.is_file() and not self.path.stat().st_size:
            self.path.unlink()

    def add(
        self,
        stream: str | None,
        identifier: str | None,
        reason: str,
        record: Any,  # noqa: ANN401 - JSON
        *,
        is_consequence: bool = False,
    ) -> None:
        """Write a record to the file and count it; the consequence of another reject does not stop the run.

        Raises:
            TooManyRejectsError: there are more rejects than `max_rejects`. The record has been written.
            RunError: the file cannot be written.
        """
        reason = redact(reason)
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
        if len(examples) < MAX_EXAMPLES:
            examples.append(identifier if identifier is not None else "without an id")
        self._counted += not is_consequence
        if self._counted > self._max_rejects:
            raise TooManyRejectsError(
                f"more than {self._max_rejects} records were rejected, the last one because {reason}: the mapping "
                "or the endpoint is wrong rather than the records, so nothing more is sent. "
                f"They are in {self.path}; max_rejects allows more"
            )

    def make_durable(self) -> None:
        """Flush all written lines to the disk.

        Raises:
            RunError: they cannot be flushed.
        """
        if self._file is not None:
            try:
                os.fsync(self._file)
            except OSError as error:
                # Devices and pipes cannot be flushed.
                if error.errno != errno.EINVAL:
                    raise self._failure(error) from None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, line: dict[str, Any]) -> None:
        # Lone surrogates, which some taps write, cannot be encoded as UTF-8.
        text = json.dumps(line, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace")
        file = self._open()
        left = memoryview(text + b"\n")
        try:
            # On a full disk, a part of the line may be written without an error.
            while left:
                left = left[os.write(file, left) :]
        except OSError as error:
            raise self._failure(error) from None

    def _open(self) -> int:
        if self._file is None:
            try:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._file = open_private(self.path, os.O_WRONLY | os.O_APPEND)
                if _ends_within_line(self.path):
                    os.write(self._file, b"\n")
            except OSError as error:
                raise self._failure(error) from None
        return self._file

    def _failure(self, error: OSError) -> RunError:
        return RunError(
            f"rejects_path: {self.path} cannot be written ({error.strerror}), and rejected records must be kept. "
            "Nothing more is sent, and no STATE message was written"
        )


def _ends_within_line(path: Path) -> bool:
    """Return whether a file ends in the middle of a line, because of a full disk or a crash."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"
