"""The settings that are paths: `store_path`, `rejects_path` and `dry_run`."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FOLDERS_OF_SYSTEM = ("/dev", "/proc", "/sys")
_FOLDERS_IN_MEMORY = ("/dev/shm", "/run")  # noqa: S108 - nothing is written there
"""Folders whose files are lost when the machine restarts. The next run finds them, so they are allowed."""
_SUFFIXES = ("", "-wal", "-journal", "-shm", ".journal.json")
"""Of the files that a store consists of."""


def store_path(values: Mapping[str, Any], server: str) -> Path:
    """Return the path of the store."""
    return Path(values["store_path"].replace("{server}", server)).expanduser()


def rejects_path(values: Mapping[str, Any], server: str) -> Path:
    """Return the path of the rejects file, which is beside the store unless it is set."""
    store = store_path(values, server)
    given = values.get("rejects_path")
    return Path(given).expanduser() if given else store.with_name(f"{store.stem}.rejects.jsonl")


def is_in_memory(path: Path) -> bool:
    """Return whether a file is lost when the machine restarts, as far as its path shows."""
    return _is_in(path, _FOLDERS_IN_MEMORY)


def path_problems(values: Mapping[str, Any], server: str) -> Iterator[str]:
    """Yield a line for each path that cannot be used, or whose file would not be kept until the next run."""
    texts = {name: values[name] for name in ("store_path", "rejects_path", "dry_run") if name in values}
    wrong = [(name, problem) for name, text in texts.items() if (problem := _text_problem(text)) is not None]
    # The files can be checked only if all paths are valid.
    for name, problem in wrong or _file_problems(values, server):
        yield f"{name}: {problem}"


def _text_problem(text: str) -> str | None:
    if "$" in text:
        return f"{text!r} contains a variable without a value"
    if not text.isprintable():
        return "contains characters that a path cannot contain"
    try:
        Path(text).expanduser()
    except RuntimeError:
        return f"{text!r} is in the home directory of an unknown user"
    return None


def _file_problems(values: Mapping[str, Any], server: str) -> Iterator[tuple[str, str]]:
    store, given = store_path(values, server), values.get("rejects_path", "")
    if (problem := _store_problem(store, values["store_path"])) is not None:
        yield "store_path", f"{values['store_path']!r} {problem}"
        return
    rejects = rejects_path(values, server)
    if rejects.absolute() in {store.absolute().with_name(f"{store.name}{suffix}") for suffix in _SUFFIXES}:
        yield "rejects_path", f"{given!r} is the store, or one of its files"
    elif _is_folder(rejects, given):
        yield "rejects_path", f"{given or str(rejects)!r} is a folder: give the path of a file"
    elif str(rejects) == os.devnull:
        yield "rejects_path", f"{given!r} keeps nothing, and rejected records must be kept"


def _store_problem(path: Path, text: str) -> str | None:
    # Of SQLite, which keeps such a database in memory, or reads it as a URI.
    if text.startswith("file:") or "?mode=" in text or path.name == ":memory:":
        return "is a database in memory or a URI: give the path of a file"
    if _is_folder(path, text):
        return "is a folder: give the path of a file"
    kind = _file_type(path)
    is_of_system = _is_in(path, _FOLDERS_OF_SYSTEM) and not is_in_memory(path)
    if is_of_system or (kind and not stat.S_ISREG(kind)):
        return "is no file on a disk, so nothing would be kept until the next run"
    return None


def _is_folder(path: Path, text: str) -> bool:
    return text.endswith("/") or path.name in {"", "."} or stat.S_ISDIR(_file_type(path))


def _file_type(path: Path) -> int:
    """Return the type of a file as in `stat`, or 0 if there is no file."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except OSError:
        return 0


def _is_in(path: Path, folders: tuple[str, ...]) -> bool:
    """Return whether a path is inside one of the folders."""
    folder = path.absolute().parent
    with suppress(OSError, RuntimeError):
        folder = folder.resolve()
    return any(folder.is_relative_to(each) for each in folders)
