"""A dry run: request bodies in, a file of each in a folder out, and nothing sent."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from tap_daktela.api.command import RunError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tap_daktela.api.retry import Patience


def folder_poster(folder: Path) -> Callable[[bytes, Patience], None]:
    """Return what writes requests into a folder instead of sending them; those of an earlier run are removed."""
    make_folder(folder)
    for old in folder.glob(f"request-{'[0-9]' * 5}.json"):
        old.unlink()
    numbers = count(1)

    def post(body: bytes, _patience: Patience) -> None:
        path = folder / f"request-{next(numbers):05}.json"
        try:
            path.touch(mode=0o600)
            path.write_bytes(body)
        except OSError as error:
            raise RunError(f"dry_run: {path} cannot be written ({error.strerror})") from None

    return post


def make_folder(folder: Path) -> None:
    """Make the folder for the requests, if need be.

    Raises:
        RunError: it cannot be had.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"dry_run: {folder} is no folder to write to ({error.strerror})") from None
