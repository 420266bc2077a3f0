"""Files with personal data: modes, and symbolic links."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from target_daktela_crm.private_file import open_private
from tests.target_daktela_crm.running import Crm, contact, feed, run_target

if TYPE_CHECKING:
    from pathlib import Path


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.promise("S8")
@pytest.mark.parametrize("name", ["acme.sqlite3", "acme.rejects.jsonl"])
def test_a_file_that_others_could_read_becomes_private(crm: Crm, tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch(mode=0o644)
    (tmp_path / name).chmod(0o644)

    crm.run(feed(contact(7), contact("")))

    files = {path.name: _mode(path) for path in tmp_path.iterdir() if path.name.startswith("acme")}
    assert files == dict.fromkeys(("acme.sqlite3", "acme.sqlite3.journal.json", "acme.rejects.jsonl"), 0o600)


@pytest.mark.promise("S8")
def test_the_log_of_an_interrupted_run_becomes_private(tmp_path: Path) -> None:
    from target_daktela_crm.store.schema import connect  # noqa: PLC0415

    path, copied = tmp_path / "acme.sqlite3", tmp_path / "copy.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")
        connection.commit()
        # As a plain `cp` of all files of a run that was killed.
        copied.write_bytes(path.read_bytes())
        log = copied.with_name("copy.sqlite3-wal")
        log.write_bytes(path.with_name("acme.sqlite3-wal").read_bytes())
        log.chmod(0o644)
    with closing(connect(copied)):
        assert {_mode(copied), _mode(log)} == {0o600}


@pytest.mark.promise("S8")
@pytest.mark.parametrize("setting", ["store_path", "rejects_path"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_symbolic_link_is_refused_and_what_it_leads_to_stays_as_it_is(
    crm: Crm, tmp_path: Path, setting: str, *, exists: bool
) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    if exists:
        target.write_text("something else", "utf-8")
        target.chmod(0o644)

    run = crm.run(feed(contact(7)), **{setting: str(link)})

    assert run.code == 1
    [line] = run.errors
    assert setting in line
    assert "symbolic link" in line
    assert "Traceback" not in run.log
    assert target.exists() == exists
    if exists:
        assert (_mode(target), target.read_text("utf-8")) == (0o644, "something else")
    assert not crm.requests()


def test_a_folder_may_be_a_symbolic_link(crm: Crm, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    assert crm.run(feed(contact(7)), store_path=str(tmp_path / "link" / "acme.sqlite3")).code == 0
    assert (tmp_path / "folder" / "acme.sqlite3").exists()


def test_status_and_deliveries_refuse_a_symbolic_link(crm: Crm, tmp_path: Path) -> None:
    crm.run(feed(contact(7)))
    link = tmp_path / "link.sqlite3"
    link.symlink_to(crm.store)
    for command in ("--status", "--deliver"):
        [line] = run_target({**crm.settings, "store_path": str(link)}, b"", command).errors
        assert "symbolic link" in line


def test_the_mode_of_a_device_is_not_changed() -> None:
    before = os.stat(os.devnull).st_mode  # noqa: PTH116 - a device
    file = open_private(_path(os.devnull), os.O_WRONLY)
    os.close(file)
    assert os.stat(os.devnull).st_mode == before  # noqa: PTH116 - as above


def _path(text: str) -> Path:
    from pathlib import Path  # noqa: PLC0415

    return Path(text)


def test_a_file_of_another_user_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.touch(mode=0o644)
    path.chmod(0o644)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", refuse)
    with pytest.raises(OSError, match="belongs to"):
        open_private(path, os.O_WRONLY)
