"""All generators, and the files that they write.

A generator is a module with a function `files`, which returns the text of each of its files. A page that is partly
written by hand keeps the text outside its markers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools import catalogs, diagrams, meltano, plugins, promises, reference, schemas, tables

if TYPE_CHECKING:
    from pathlib import Path

GENERATORS = (tables, reference, diagrams, schemas, plugins, meltano, catalogs, promises)
FOLDERS = (schemas.FOLDER, plugins.FOLDER, catalogs.FOLDER, diagrams.IMAGES)
"""Folders that contain generated files only."""


def files() -> dict[Path, str]:
    """Return the text of each generated file."""
    return {path: text for generator in GENERATORS for path, text in generator.files().items()}
