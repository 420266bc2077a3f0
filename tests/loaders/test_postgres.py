"""target-postgres with a real server: rows, cells and instants are those of the source."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.loaders.pipeline import extract
from tests.loaders.source import differences
from tests.simulator import Simulator, generate
from tests.tap_daktela import original
from tests.tap_daktela.running import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.loaders.pipeline import Loader
    from tests.loaders.postgresql import Database, Server

SCHEMA = "daktela"
NEW_YORK = "America/New_York"
ODD_TEXTS = (
    *("a\x00b", "\\N", "\\.", "\\x41", "ends with \\", "\t\n\r\x0b\x0c", "NULL", "null", "{}", '{"a,b"}', "", " "),
    *(
        "\u2028\u2029\x85",
        "\x01\x1f\x7f",
        "'; DROP TABLE tickets; --",
        "%s %(x)s :name",
        "\ufeff",
        "\U0001f600" * 50,
    ),
)
"""Texts that COPY, SQL, JSON or a driver could take for something else."""
_names = count()


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    # Over both clock changes of a year, with texts of every kind.
    dataset = generate(activities=400, tickets=100, seed=5, now="2026-10-28 12:00:00", days=230)
    for row, text in zip(dataset.tables["tickets"], ODD_TEXTS, strict=False):
        row["title"] = text
        # PostgreSQL has no NUL, so the tap drops it; in texts, the comparison knows that.
        text = text.replace("\x00", "")  # noqa: PLW2901 - in objects, it does not
        row["customFields"] = {text: [text, None, 1.5, {"x": text}]}
    with Simulator(dataset) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def target(loader: Callable[[str], Loader]) -> Loader:
    return loader("target-postgres")


@pytest.fixture
def create(postgres: Server) -> Callable[..., Database]:
    return lambda **options: postgres.create_database(f"daktela_{next(_names)}", **options)


def config(database: Database, **more: Any) -> dict[str, Any]:
    return {"sqlalchemy_url": database.url, "default_target_schema": SCHEMA, **more}


def loaded(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all tables of the streams that are selected by default."""
    tables = database.tables(SCHEMA)
    return {
        stream: database.rows(f"SELECT * FROM {SCHEMA}.{stream}") if stream in tables else []  # noqa: S608
        for stream in original.DEFAULT
    }


@pytest.mark.parametrize(
    ("use_copy", "timezone", "environment"),
    [
        (False, "UTC", {}),
        # The columns are of the type `timestamp`, which inserts fill with the local time of the session.
        (False, NEW_YORK, {"PGTZ": "UTC"}),
        (True, "UTC", {}),
        (True, NEW_YORK, {}),
    ],
    ids=["insert", "insert in New York", "copy", "copy in New York"],
)
@pytest.mark.promise("T8")
def test_a_first_load_equals_the_source(
    simulator: Simulator,
    target: Loader,
    create: Callable[..., Database],
    tmp_path: Path,
    *,
    use_copy: bool,
    timezone: str,
    environment: dict[str, str],
) -> None:
    database = create(timezone=timezone)
    state = target.load(
        extract(settings(simulator)),
        config(database, use_copy=use_copy),
        tmp_path,
        environment=environment,
    )
    tables = loaded(database)
    assert all(tables.values())
    assert not differences(simulator.dataset, tables)
    assert state


@pytest.mark.parametrize("use_copy", [False, True], ids=["insert", "copy"])
@pytest.mark.promise("T1")
def test_incremental_loads_end_at_the_source(
    simulator: Simulator,
    target: Loader,
    create: Callable[..., Database],
    tmp_path: Path,
    *,
    use_copy: bool,
) -> None:
    database = create()
    state = None
    sizes = []
    for _ in range(3):
        lines = extract(settings(simulator), state=state)
        sizes.append(len(lines))
        state = target.load(lines, config(database, use_copy=use_copy), tmp_path)
        if state and len(sizes) == 1:
            simulator.advance(minutes=180, new_activities=40, new_tickets=8, edit_tickets=15, close_activities=12)
        else:
            # Until all of that has settled.
            simulator.advance(minutes=1500)
    assert not differences(simulator.dataset, loaded(database))
    assert sizes[2] < sizes[0] / 2, "the last run was not incremental"


@pytest.mark.parametrize("batches", [1, 7])
@pytest.mark.promise("T1")
def test_the_next_run_completes_that_of_a_killed_loader(
    simulator: Simulator, target: Loader, create: Callable[..., Database], tmp_path: Path, batches: int
) -> None:
    database = create()
    given = config(database, batch_size_rows=100)
    begun = count(1)
    state = target.load(
        extract(settings(simulator)),
        given,
        tmp_path,
        kill=lambda line: "Inserting with SQL" in line and next(begun) == batches,
    )
    before = differences(simulator.dataset, loaded(database))
    assert before, "the loader was killed too late"
    assert all(line.endswith(": missing") for line in before)

    target.load(extract(settings(simulator), state=state), given, tmp_path)
    assert not differences(simulator.dataset, loaded(database))
