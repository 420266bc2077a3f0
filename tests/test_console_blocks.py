"""Run the console blocks of the documentation, unchanged and with the pinned Meltano.

The blocks of a page run in the order of the page, in a separate folder:

- `CONTRIBUTING.md` and the pages of `examples/` are about the checkout. Their folder is a copy of the checkout, in
  which Meltano has not installed anything.
- All other pages are about a Meltano project that the reader has created. Their folder is such a project. It has
  the plugins of the quick starts, except those that the page adds with `meltano add`. If a block of the page is a
  part of `meltano.yml` or `.env`, the test adds it to the project before it runs the next console block. A script
  that replays recorded messages replaces each CRM tap.

Environment variables replace the address and the credentials of the instance with those of a simulator. Meltano
installs `tap-daktela` from a wheel of this checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import yaml

from tests.crm import salesforce
from tests.markdown import ROOT, Block, blocks, commands, name_of, pages
from tests.meltano import MELTANO, PLUGIN_FOLDERS, PLUGINS_INSTALLED
from tests.shell import Shell
from tests.simulator import Simulator, generate
from tests.test_warehouse import write_small_warehouse
from tests.test_wheel import build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Definition: TypeAlias = dict[str, Any]

NOT_RUN = {
    ("README.md", "make demo"): "tests/test_demo.py runs the demo with a smaller contact centre",
    ("CONTRIBUTING.md", "make demo"): "runs make test, which would run this test again",
    (
        "examples/backfill/README.md",
        "export DAGSTER_HOME=$PWD/examples/backfill/home PATH=$PWD/.venv/bin:$PWD/.venv-examples/bin:$PATH",
    ): "needs Dagster: examples/backfill/test_backfill.py runs it",
    ("examples/backfill/README.md", ".venv-examples/bin/python -m pip install dagster-webserver==1.13.27"): (
        "starts a web server, which runs until it is stopped"
    ),
    ("examples/backfill/README.md", "for month in 20{16..25}-{01..12}; do"): "takes some hours",
}
"""Page and first line of a block -> the reason why the test does not run it."""

ABOUT_THE_CHECKOUT = ("CONTRIBUTING.md", "examples/", ".github/")
QUICK_STARTS = ("docs/tap/quick-start.md", "docs/target/quick-start.md")
"""Pages that define the plugins in the project of every page."""
REPLAYED_TAPS = ("tap-salesforce",)
"""CRM taps that `REPLAY` replaces."""
REPLAY = ROOT / "tests" / "crm" / "replay.py"
"""A script that writes recorded messages."""
PLUGIN_TYPES = ("extractors", "loaders", "utilities")
NOT_INHERITED = ("MELTANO_", "TAP_", "TARGET_", "DAKTELA_")
"""Prefixes of environment variables that the blocks do not inherit."""

PAGES = [page for page in pages() if blocks(page, "console")]


def is_about_checkout(page: Path) -> bool:
    return name_of(page).startswith(ABOUT_THE_CHECKOUT)


def first_line(block: Block) -> str:
    return commands(block)[0].text.splitlines()[0]


def test_at_most_five_blocks_are_not_run_and_all_of_them_exist() -> None:
    found = {(name_of(page), first_line(block)) for page in PAGES for block in blocks(page, "console")}
    assert NOT_RUN.keys() <= found
    assert len(NOT_RUN) <= 5


@pytest.mark.skipif(not PLUGINS_INSTALLED.exists(), reason="needs Meltano and its plugins: run make test")
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_console_blocks_of_a_page_run(page: Path, workspace: Workspace) -> None:
    for block in blocks(page):
        if block.language == "console" and (name_of(page), first_line(block)) not in NOT_RUN:
            for command in commands(block):
                workspace.shell.run(command)
        elif workspace.has_project:
            workspace.add(block)


# The workspace of a page.


@dataclass(frozen=True)
class Workspace:
    """The folder and the shell in which the blocks of a page run."""

    folder: Path
    shell: Shell
    has_project: bool
    """Whether the folder is a Meltano project. Otherwise it is a copy of the checkout."""

    def add(self, block: Block) -> None:
        """Add the content of a block to the project, if it is a part of `meltano.yml` or of `.env`."""
        if block.language == "ini":
            with (self.folder / ".env").open("a", encoding="utf-8") as file:
                file.write(block.text)
        elif plugins := defined_plugins(block):
            path = self.folder / "meltano.yml"
            project = yaml.safe_load(path.read_text(encoding="utf-8"))
            add_plugins(project, plugins)
            path.write_text(yaml.safe_dump(project, sort_keys=False), encoding="utf-8")


@pytest.fixture
def workspace(
    page: Path, tmp_path: Path, environment: dict[str, str], wheel_constraint: Path, plugin_folder: Path
) -> Iterator[Workspace]:
    """Yield a workspace for the page, while a simulator runs."""
    folder, state = tmp_path / "folder", tmp_path / "state"
    state.mkdir()
    with Simulator(generate(activities=300, tickets=60, seed=9)) as simulator:
        variables = {**environment, **overrides(simulator, page, tmp_path)}
        has_project = not is_about_checkout(page)
        if has_project:
            variables["UV_CONSTRAINT"] = str(wheel_constraint)
            write_project(folder, page, plugin_folder, salesforce.write(tmp_path)["in-full"])
        else:
            copy_checkout(folder)
        yield Workspace(folder, Shell(folder, variables, state), has_project)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment variables for all pages. The pinned Meltano is the first one in `PATH`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
    binaries = tmp_path_factory.mktemp("bin")
    for path in (
        MELTANO,
        *(ROOT / ".venv" / "bin" / name for name in ("tap-daktela", "target-daktela-crm", "python")),
    ):
        (binaries / path.name).symlink_to(path)
    return inherited | {
        "PATH": os.pathsep.join([str(binaries), inherited["PATH"]]),
        # The default of Meltano, which needs less than a quarter of the time that pip needs.
        "MELTANO_VENV_BACKEND": "uv",
        **pip_index(),
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        "NO_COLOR": "1",
    }


def pip_index() -> dict[str, str]:
    """Return the variables that configure uv for the package index of pip, if pip has a configured index."""
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    index = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    index = os.environ.get("PIP_INDEX_URL", index)
    return {"UV_DEFAULT_INDEX": index} if index else {}


@pytest.fixture(scope="module")
def wheel_constraint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of constraints that pins `tap-daktela` to a wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    path = folder / "constraints.txt"
    path.write_text(f"tap-daktela @ {build(ROOT, folder).wheel.as_uri()}\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def plugin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which the projects of all pages install their plugins."""
    folder = tmp_path_factory.mktemp("plugins")
    for name in PLUGIN_FOLDERS:
        (folder / name).mkdir(parents=True)
    return folder


def overrides(simulator: Simulator, page: Path, folder: Path) -> dict[str, str]:
    """Return the environment variables that override settings."""
    token = {"ACCESS_TOKEN": simulator.access_token}
    password = {"USERNAME": simulator.username, "PASSWORD": simulator.password}
    uses_password = is_about_checkout(page) or "TAP_DAKTELA_PASSWORD" in page.read_text(encoding="utf-8")
    credentials = password if uses_password else token
    settings = {"URL": simulator.url, "SERVER": "acme", **credentials}
    return {
        **{
            f"{prefix}_{name}": value
            for prefix in ("TAP_DAKTELA", "TARGET_DAKTELA_CRM")
            for name, value in settings.items()
        },
        "TARGET_DAKTELA_CRM_STORE_PATH": str(folder / "store" / "{server}.sqlite3"),
        "DAKTELA_SIMULATOR_URL": simulator.url,
    }


# The folders.


def copy_checkout(folder: Path) -> None:
    """Copy the files of the checkout that git does not ignore. Add its commands and the tables of the demo."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    # Through links, make would rebuild the environments of this checkout.
    for name in (".venv/bin/python", ".venv-meltano/bin/meltano"):
        wrapper = folder / name
        wrapper.parent.mkdir(parents=True)
        wrapper.write_text(f'#!/bin/sh\nexec "{ROOT / name}" "$@"\n', encoding="utf-8")
        wrapper.chmod(0o755)
    (folder / ".venv" / "installed").touch()
    (folder / ".demo").mkdir()
    write_small_warehouse(folder / ".demo" / "daktela.duckdb")


def write_project(folder: Path, page: Path, plugin_folder: Path, messages: Path) -> None:
    """Write the Meltano project in its state before the first block of a page."""
    (folder / ".meltano").mkdir(parents=True)
    for name in PLUGIN_FOLDERS:
        (folder / name).symlink_to(plugin_folder / name)
    shutil.copytree(ROOT / "plugins", folder / "plugins")
    console = "\n".join(block.text for block in blocks(page, "console"))
    project: Definition = {
        "default_environment": "dev",
        "project_id": "5d0e9a4e-7c39-4d0b-9a55-0b1f4f6f2c7f",
        "environments": [{"name": "dev"}, {"name": "prod"}],
    }
    not_added_by_page = {
        (plugin_type, name): definition
        for (plugin_type, name), definition in documented_plugins().items()
        if f"meltano add {name}" not in console
    }
    add_plugins(project, not_added_by_page)
    for name in REPLAYED_TAPS:
        add_plugins(project, {("extractors", name): replayed_tap(name, messages)})
    (folder / "meltano.yml").write_text(yaml.safe_dump(project, sort_keys=False), encoding="utf-8")


def replayed_tap(name: str, messages: Path) -> Definition:
    """Return the definition of a plugin that has the name of a CRM tap, and replays recorded messages."""
    return {
        "name": name,
        "namespace": name.replace("-", "_"),
        "executable": str(REPLAY),
        "capabilities": ["state"],
        "settings": [{"name": "path"}],
        "config": {"path": str(messages)},
    }


def documented_plugins() -> dict[tuple[str, str], Definition]:
    """Return the plugins that the quick starts define, by type and name."""
    return {
        key: definition
        for name in QUICK_STARTS
        for block in blocks(ROOT / name)
        for key, definition in defined_plugins(block).items()
    }


def defined_plugins(block: Block) -> dict[tuple[str, str], Definition]:
    """Return the plugins by type and name, if a block is a part of `meltano.yml`."""
    if block.language != "yaml":
        return {}
    content = yaml.safe_load(block.text)
    plugins = content.get("plugins", {}) if isinstance(content, dict) else {}
    return {
        (plugin_type, plugin["name"]): plugin
        for plugin_type in PLUGIN_TYPES
        for plugin in plugins.get(plugin_type, [])
    }


def add_plugins(project: Definition, plugins: dict[tuple[str, str], Definition]) -> None:
    """Add plugins to a project.

    A definition with `pip_url` is complete. Any other definition replaces only the keys and the settings that it
    contains.
    """
    for (plugin_type, name), definition in plugins.items():
        entries = project.setdefault("plugins", {}).setdefault(plugin_type, [])
        known: Definition = next((entry for entry in entries if entry["name"] == name), {})
        if "pip_url" in definition:
            known.clear()
        config = {**known.get("config", {}), **definition.get("config", {})}
        known |= deepcopy(definition) | ({"config": config} if config else {})
        entries[:] = [entry for entry in entries if entry.get("name") not in {name, None}] + [known]
