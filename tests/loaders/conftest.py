"""What the tests of loaders share: a PostgreSQL server, and the loaders' environments."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.loaders import postgresql
from tests.loaders.pipeline import ROOT, Loader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REQUIRED = "REQUIRE_LOADERS"
"""The environment variable with which a missing server or loader fails the tests instead of skipping them."""


def give_up(reason: str) -> NoReturn:
    """Skip the test, or let it fail in continuous integration, where nothing may be missing."""
    if os.environ.get(REQUIRED):
        pytest.fail(f"{reason}, and {REQUIRED} is set")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgresql.Server]:
    """Return a PostgreSQL server that runs as long as the tests."""
    try:
        postgresql.find_programs()
    except postgresql.MissingError as error:
        give_up(f"needs a PostgreSQL server: {error}")
    with postgresql.serve() as server:
        yield server


@pytest.fixture(scope="session")
def loader() -> Callable[[str], Loader]:
    """Return the function from the name of a loader to the loader."""

    def find(name: str) -> Loader:
        command = ROOT / ".venv-loaders" / name / "bin" / name
        if not command.exists():
            give_up(f"needs {name}: run make test")
        return Loader(command)

    return find
