"""Where the store and the rejects are, and paths that would not keep them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from target_daktela_crm.inputs.paths import is_in_memory, path_problems, rejects_path, store_path
from tests.target_daktela_crm.running import Crm, contact, feed

DEFAULT: dict[str, Any] = {"store_path": "stores/{server}.db"}


def _problems(**values: Any) -> list[str]:
    return list(path_problems({**DEFAULT, **values}, "acme"))


def test_the_rejects_are_beside_the_store() -> None:
    assert store_path(DEFAULT, "acme") == Path("stores/acme.db")
    assert rejects_path(DEFAULT, "acme") == Path("stores/acme.rejects.jsonl")
    assert rejects_path({**DEFAULT, "rejects_path": "r"}, "acme") == Path("r")


@pytest.mark.parametrize("path", ["/run/acme.db", "/dev/shm/x/acme.db"])  # noqa: S108 - nothing is written
def test_a_store_that_is_lost_at_a_restart_is_allowed(path: str) -> None:
    assert is_in_memory(Path(path))
    assert not _problems(store_path=path)


def test_a_run_warns_about_a_store_that_is_lost_at_a_restart(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_in_memory(crm.store) or str(crm.store).startswith(("/dev", "/run"))
    folder = Path("/dev/shm")  # noqa: S108 - see above
    if not folder.is_dir():
        pytest.skip("this system has no /dev/shm")
    store = folder / f"{os.getpid()}.sqlite3"
    try:
        run = crm.run(feed(contact(7)), store_path=str(store))
    finally:
        for path in folder.glob(f"{os.getpid()}.*"):
            path.unlink()
    assert run.code == 0
    assert [warning for warning in run.warnings if "lost when the machine restarts" in warning]
    monkeypatch.chdir(crm.folder)
    assert not _problems(store_path="acme.sqlite3")


@pytest.mark.parametrize(
    "path", [":memory:", "file::memory:?cache=shared", "file:acme.db", "x/", "", ".", "/dev/null"]
)
def test_a_store_that_is_not_kept_is_refused_before_anything_is_sent(crm: Crm, path: str) -> None:
    # An empty setting is not set, so the path is given with a blank.
    run = crm.run(feed(contact(7, of=1)), store_path=path or "./")
    assert run.code == 1
    [line] = run.errors
    assert line.startswith("store_path: ")
    assert not run.states
    assert not crm.requests()


def test_a_folder_that_is_a_link_into_devices_is_found(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev")
    [line] = _problems(store_path=str(tmp_path / "link" / "acme.db"))
    assert "no file on a disk" in line
