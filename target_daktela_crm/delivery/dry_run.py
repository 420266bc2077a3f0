"""A dry run: requests are written to files instead of being sent."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from tap_daktela.cli.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

    from tap_daktela.api.retry import RetryLimits


class RequestFolder:
    """The folder of a dry run, in place of the endpoint."""

    retries = 0

    def __init__(self, path: Path) -> None:
        """Remove the requests of an earlier dry run."""
        create_folder(path)
        for old in path.glob(f"request-{'[0-9]' * 5}.json"):
            old.unlink()
        self._path = path
        self._numbers = count(1)

    def check(self) -> None:
        """A request may always be written."""

    def post(self, body: bytes, limits: RetryLimits) -> None:  # noqa: ARG002 - there are no retries
        """Write a request.

        Raises:
            RunError: the file cannot be written.
        """
        path = self._path / f"request-{next(self._numbers):05}.json"
        try:
            path.touch(mode=0o600)
            path.write_bytes(body)
        except OSError as error:
            raise RunError(f"dry_run: {path} cannot be written ({error.strerror})") from None


def create_folder(path: Path) -> None:
    """Create the folder for the requests, unless it exists.

    Raises:
        RunError: it cannot be created.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"dry_run: the folder {path} cannot be created ({error.strerror})") from None
