"""The published wheel and source distribution, and both commands with only their dependencies.

The environment is filled from the one that runs the tests, so that no index is needed. It contains no development
tools, so an import of one fails.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from email import message_from_bytes
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterable
    from email.message import Message

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = ("tap_daktela", "target_daktela_crm")
_RUN = """
import sys
from importlib.metadata import entry_points
[command] = entry_points(group="console_scripts", name=sys.argv[1])
sys.argv = sys.argv[1:]
command.load()()
"""


@dataclass(frozen=True)
class Built:
    """The built distributions."""

    wheel: Path
    source: Path

    def contents(self) -> dict[str, bytes]:
        """Return the files of the wheel without its metadata."""
        with zipfile.ZipFile(self.wheel) as archive:
            return {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}

    def metadata(self) -> Message:
        """Return the metadata of the wheel."""
        with zipfile.ZipFile(self.wheel) as archive:
            [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            return message_from_bytes(archive.read(name))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def python(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment with only the wheel and its dependencies."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    for name in needed([Requirement(text) for text in built.metadata().get_all("Requires-Dist", [])]):
        installed = distribution(name)
        tops = {path.parts[0] for path in installed.files or [] if path.parts[0] not in {"..", "__pycache__"}}
        for top in tops:
            (packages / top).symlink_to(str(installed.locate_file(top)))
    with zipfile.ZipFile(built.wheel) as archive:
        archive.extractall(packages)  # noqa: S202 - the wheel that has just been built
    return folder / "bin" / "python"


def build(folder: Path, target: Path) -> Built:
    """Build the distributions from a folder."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(target)],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    [wheel], [source] = target.glob("*.whl"), target.glob("*.tar.gz")
    return Built(wheel, source)


def needed(requirements: Iterable[Requirement]) -> set[str]:
    """Return the names of all dependencies, including indirect ones."""
    found: set[tuple[str, str]] = set()
    waiting = [
        (requirement.name, requirement.extras | {""}) for requirement in requirements if _applies(requirement)
    ]
    while waiting:
        name, extras = waiting.pop()
        for extra in extras - {known for each, known in found if each == name}:
            found.add((name, extra))
            asked = [Requirement(text) for text in distribution(name).requires or []]
            waiting += [(each.name, each.extras | {""}) for each in asked if _applies(each, extra)]
    return {name for name, _ in found}


def _applies(requirement: Requirement, extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def test_the_wheel_holds_both_packages_and_nothing_else(built: Built) -> None:
    paths = [path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.*")]
    files = {path for path in paths if (ROOT / path).is_file()}
    # The linter and Python store caches there.
    published = {path for path in files if not any(part.startswith((".", "__py")) for part in path.parts)}
    assert {*built.contents()} == {path.as_posix() for path in published}
    assert {"tap_daktela/py.typed", "target_daktela_crm/sync_request.schema.json"} <= {*built.contents()}


def test_the_source_distribution_makes_the_same_wheel(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.source) as archive:
        archive.extractall(tmp_path, filter="data")
    [folder] = tmp_path.iterdir()
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"} <= {path.name for path in folder.iterdir()}

    again = build(folder, tmp_path / "dist")

    assert again.contents() == built.contents()
    assert again.metadata().as_string() == built.metadata().as_string()


def test_the_wheel_asks_for_what_pyproject_says_and_no_development_tools(built: Built) -> None:
    asked = {Requirement(text) for text in built.metadata().get_all("Requires-Dist", [])}
    assert asked == {Requirement(text) for text in PROJECT["dependencies"]}
    assert built.metadata()["Requires-Python"] == PROJECT["requires-python"]
    assert built.metadata()["License-Expression"] == PROJECT["license"]


@pytest.mark.parametrize("command", PROJECT["scripts"])
def test_the_command_runs_with_what_the_wheel_asks_for(python: Path, tmp_path: Path, command: str) -> None:
    version = run(python, tmp_path, command, "--version")
    about = run(python, tmp_path, command, "--about")

    assert f"{command} v{PROJECT['version']}" in version
    assert re.search(r"access_token", about)


def test_there_is_nothing_else_to_run_with(python: Path, tmp_path: Path) -> None:
    code = "import importlib.util as u; print([u.find_spec(n) for n in ('pytest', 'hatchling', 'tests')])"
    printed = subprocess.run([python, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[None, None, None]"


def run(python: Path, folder: Path, *words: str) -> str:
    """Return the output of a command of the environment."""
    return subprocess.run(
        [python, "-I", "-W", "error", "-c", _RUN, *words], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
