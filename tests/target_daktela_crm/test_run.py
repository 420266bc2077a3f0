"""One run, from the first record to the last request."""

from __future__ import annotations

import gzip
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.target_daktela_crm.running import (
    COMMAND,
    Crm,
    bookmark,
    contact,
    encoded,
    feed,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_an_input_that_is_cut_off_is_delivered_up_to_its_last_complete_line(crm: Crm) -> None:
    run = crm.run(encoded([*feed(contact(7)), contact(8)])[:-9])

    assert run.code == 1
    assert bookmark(run) == 1
    assert set(crm.contacts()) == {"7"}
    [error] = run.errors
    assert error == (
        "the input ends in the middle of a line: the tap was cut off. "
        "All complete lines were delivered, stored or rejected"
    )


@pytest.mark.parametrize(
    ("content", "dry_run", "rest"),
    [
        (b"Traceback\n", False, "Nothing else was received"),
        (b"Traceback\n" + encoded(feed(contact(7))), False, "All other records were delivered or stored"),
        (b"Traceback\n", True, "Nothing was sent, since this was a dry run"),
        (b"Traceback\n" + encoded(feed(contact(7))), True, "Nothing was sent, since this was a dry run"),
    ],
)
def test_the_last_line_says_what_became_of_the_rest(
    crm: Crm, tmp_path: Path, content: bytes, rest: str, *, dry_run: bool
) -> None:
    run = crm.run(content, **({"dry_run": str(tmp_path / "preview")} if dry_run else {}))
    assert run.code == 1
    assert run.errors[-1].startswith("1 record was rejected, see ")
    assert run.errors[-1].endswith(f". {rest}")
    assert ("no record was received" in run.summary["notes"]) is (content == b"Traceback\n")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (gzip.compress(b"{}\n", mtime=0), "compressed with gzip; decompress it first"),
        ("{}\n".encode("utf-16"), "encoded in UTF-16; save it as UTF-8"),
    ],
)
def test_an_input_of_another_kind_is_one_line(crm: Crm, content: bytes, problem: str) -> None:
    run = crm.run(content)
    assert (run.code, run.errors) == (1, [f"input: {problem}. Nothing was sent"])
    assert not crm.requests()


def test_an_input_file_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    result = subprocess.run([*COMMAND, "--input", str(tmp_path)], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.endswith(f"| input: {tmp_path}: cannot be read: Is a directory\n")


def test_an_empty_input_sends_nothing_and_succeeds(crm: Crm) -> None:
    run = crm.run(b"")
    assert (run.code, run.states, crm.requests()) == (0, [], 0)


def test_the_summary_notes_a_new_store_and_a_changed_mapping(crm: Crm) -> None:
    assert any("is new" in note for note in crm.run(feed(contact(7))).summary["notes"])
    assert not crm.run(feed(contact(7))).summary["notes"]
    changed = crm.run(feed(contact(7)), streams={"contacts": {"contact": {"description": "name"}}})
    assert any("--full-refresh" in note for note in changed.summary["notes"])
    assert crm.contacts()["7"]["description"] == "Contact 7"


def test_the_summary_notes_bytes_that_are_not_utf_8(crm: Crm) -> None:
    run = crm.run(encoded(feed(contact(7, name="B?ta"))).replace(b"B?ta", b"B\xe9ta"))
    assert crm.contacts()["7"]["name"] == "B\ufffdta"
    assert any("not UTF-8" in note for note in run.summary["notes"])
