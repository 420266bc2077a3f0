"""Without PostgreSQL or a loader, the tests are skipped with a reason; in continuous integration they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from tests.loaders import postgresql
from tests.loaders.conftest import REQUIRED, give_up
from tests.loaders.pipeline import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_a_missing_server_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgresql, "_FOLDERS", f"{tmp_path}/*/bin")
    with pytest.raises(postgresql.MissingError, match="initdb, postgres and psql are neither on the PATH nor in"):
        postgresql.find_programs()


def test_the_newest_server_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgresql, "_FOLDERS", f"{tmp_path}/*/bin")
    for version in ("9.6", "15", "17"):
        (tmp_path / version / "bin").mkdir(parents=True)
    for version in ("9.6", "15"):
        for program in ("initdb", "postgres", "psql"):
            (tmp_path / version / "bin" / program).touch()
    assert postgresql.find_programs() == tmp_path / "15" / "bin"


def test_what_is_missing_skips_a_test_or_fails_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs a server"):
        give_up("needs a server")
    monkeypatch.setenv(REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="needs a server"):
        give_up("needs a server")


def test_nothing_may_be_missing_in_continuous_integration() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert script.index(".ci/postgresql\n") < script.index(f"{REQUIRED}=1 make test\n")
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))["jobs"]
    *_, install, test = jobs["meltano"]["steps"]
    assert install["run"] == ".ci/postgresql"
    assert (test["run"], test["env"][REQUIRED]) == ("make test", "1")
