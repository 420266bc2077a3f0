"""What cannot be delivered: a record with its reason in, a line of a file and a count out.

The file is JSON lines with `stream`, `id`, `reason`, `time` and `record`, for its owner only. Lines are durable
before any state is: a record that is in here is accounted for.
"""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tap_daktela.api.command import RunError
from tap_daktela.api.redaction import redact

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
        self._counted = 0
        self._file: int | None = None

    def __len__(self) -> int:
        return self.reasons.total()

    def check(self) -> None:
        """Make sure that the file could be written.

        Raises:
            RunError: it could not.
        """
        self._open()
        self.close()
        # One that has just been made would be taken for rejects.
        if self.path.is_file() and not self.path.stat().st_size:
            self.path.unlink()

    def add(
        self,
        stream: str | None,
        identifier: str | None,
        reason: str,
        record: Any,  # noqa: ANN401 - JSON
        *,
        follows: bool = False,
    ) -> None:
        """Write a record to the file and count it; one that only follows from another does not stop the run.

        Raises:
            TooManyRejectsError: it is one more than `max_rejects`. The record is in the file all the same.
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
        if len(examples) < EXAMPLES:
            examples.append(identifier if identifier is not None else "without an id")
        self._counted += not follows
        if self._counted > self._most:
            raise TooManyRejectsError(
                f"more than {self._most} records were rejected, the last one since {reason}: the mapping or the "
                f"endpoint is wrong rather than the records, so nothing more is sent. They are in {self.path}; "
                "max_rejects allows more"
            )

    def settle(self) -> None:
        """Make all that was written durable.

        Raises:
            RunError: that cannot be done.
        """
        if self._file is not None:
            try:
                os.fsync(self._file)
            except OSError as error:
                # Devices and pipes have nothing to make durable.
                if error.errno != errno.EINVAL:
                    raise self._failure(error) from None

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, line: dict[str, Any]) -> None:
        # Half characters, which some taps let through, cannot be written as UTF-8.
        text = json.dumps(line, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace")
        file = self._open()
        left = memoryview(text + b"\n")
        try:
            # A disk that has become full takes a part, without an error.
            while left:
                left = left[os.write(file, left) :]
        except OSError as error:
            raise self._failure(error) from None

    def _open(self) -> int:
        if self._file is None:
            try:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                if _breaks_off(self.path):
                    os.write(self._file, b"\n")
            except OSError as error:
                raise self._failure(error) from None
        return self._file

    def _failure(self, error: OSError) -> RunError:
        return RunError(
            f"rejects_path: {self.path} cannot be written ({error.strerror}), and a record that is rejected must "
            "be kept somewhere. Nothing more is sent, and no state is put out"
        )


def _breaks_off(path: Path) -> bool:
    """Return whether a file ends in the middle of a line, as a full disk or a crash leaves it."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"
