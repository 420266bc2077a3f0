"""The definitions in `plugins/` are generated from the code, valid for MeltanoHub, and usable with Meltano.

The rules of MeltanoHub are written down here: its keys, kinds and capabilities, and the names that it masks.
"""

from __future__ import annotations

import re
import sys
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typing_extensions import override

from tap_daktela.streams.definitions import STREAMS
from tests.meltano import MELTANO, Project
from tools.plugins import FOLDER, PLUGINS, definition, own_settings, path, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_daktela.streams.fields import Stream


def words(text: str) -> set[str]:
    """Return the words of a text."""
    return set(text.split())


NEEDED = {"name", "namespace", "variant", "quality"}
ALLOWED = NEEDED | words(
    "label description repo pip_url executable docs domain_url logo_url keywords maintenance_status settings "
    "settings_group_validation capabilities select metadata schema supported_python_versions log_parser prereq "
    "next_steps settings_preamble usage"
)
OF_EXTRACTORS_ONLY = {"select", "metadata", "schema"}
OF_A_SETTING = {"name", "label", "kind", "value", "options", "sensitive", "description"}
KINDS = words("string integer decimal boolean date_iso8601 password email file options array object oauth hidden")
CAPABILITIES = {
    "extractors": words(
        "catalog discover state about stream-maps schema-flattening activate-version batch test log-based "
        "structured-logging"
    ),
    "loaders": words(
        "about stream-maps activate-version batch soft-delete hard-delete datatype-failsafe schema-flattening "
        "target-schema validate-records structured-logging"
    ),
}
MASKED = ("id", "key", "token", "password", "secret")
"""MeltanoHub masks a text setting whose name contains one of these."""
LEFT_OUT = {"select", "log_parser", "domain_url", "keywords", "maintenance_status", "quality", "usage"}
"""Keys that Meltano does not copy from a definition."""

needs_meltano = pytest.mark.skipif(not MELTANO.exists(), reason="needs Meltano: run make test")


@pytest.mark.parametrize("name", PLUGINS)
def test_the_file_is_made_from_the_code(name: str) -> None:
    assert path(name).read_text(encoding="utf-8") == text(name), "run `make generate`"


@pytest.mark.parametrize("name", PLUGINS)
def test_the_file_names_its_generator(name: str) -> None:
    assert yaml.safe_load(path(name).read_text(encoding="utf-8")) == definition(name)


@pytest.mark.parametrize("name", PLUGINS)
def test_the_hub_takes_it(name: str) -> None:
    kind, _ = PLUGINS[name]
    found = definition(name)
    allowed = ALLOWED if kind == "extractors" else ALLOWED - OF_EXTRACTORS_ONLY
    assert found.keys() >= NEEDED
    assert found.keys() <= allowed
    assert {*found["capabilities"]} <= CAPABILITIES[kind]
    for setting in found["settings"]:
        assert setting.keys() <= OF_A_SETTING
        assert setting["kind"] in KINDS
        assert setting["label"]
        assert setting["description"]
    known = {setting["name"] for setting in found["settings"]}
    assert all({*group} <= known for group in found["settings_group_validation"])


@pytest.mark.parametrize("name", PLUGINS)
def test_the_hub_masks_what_is_secret_and_nothing_else(name: str) -> None:
    _, command = PLUGINS[name]
    texts = {
        setting
        for setting, schema in own_settings(command).items()
        if "string" in schema["type"] and schema.get("format") != "date-time"
    }
    sensitive = {setting["name"] for setting in definition(name)["settings"] if setting.get("sensitive")}
    assert {setting for setting in texts if any(part in setting for part in MASKED)} == sensitive & texts


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project without any plugin."""
    project = Project(tmp_path, "")
    (tmp_path / "meltano.yml").write_text("project_id: empty\nsend_anonymous_usage_stats: false\n")
    return project


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the files of a folder on loopback, as a repository does, and yield the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    @override
    def log_message(self, *_: object) -> None:
        """Log nothing."""


def added(project: Project, name: str, reference: str) -> dict[str, Any]:
    """Add a plugin by its definition without installing it, and return its entry in meltano.yml."""
    project.call("add", "--no-install", name, "--from-ref", reference, log="add")
    kind, _ = PLUGINS[name]
    [entry] = yaml.safe_load((project.folder / "meltano.yml").read_text())["plugins"][kind]
    return dict(entry)


def listed(project: Project, *words: str) -> str:
    """Return the output of a command of Meltano."""
    return project.call(*words, log="listed").log.read_text(encoding="utf-8")


@needs_meltano
@pytest.mark.parametrize("name", PLUGINS)
def test_meltano_adds_it_from_an_address(project: Project, name: str) -> None:
    with served(FOLDER) as address:
        entry = added(project, name, f"{address}/{name}.yaml")

    expected = {key: value for key, value in definition(name).items() if key not in LEFT_OUT}
    assert entry == expected


@needs_meltano
@pytest.mark.parametrize("name", PLUGINS)
def test_every_setting_arrives(project: Project, name: str) -> None:
    added(project, name, str(path(name)))

    printed = listed(project, "config", "list", "--all", name)

    for setting in definition(name)["settings"]:
        variable = f"{name}_{setting['name']}".replace("-", "_").upper()
        [line] = [line for line in printed.splitlines() if f"[env: {variable}]" in line]
        assert line.split()[0] == setting["name"]
        assert f"\t{setting['label']}: {setting['description']}" in printed


@needs_meltano
def test_the_streams_can_be_selected(project: Project) -> None:
    """The installed command replaces the one that Meltano would install."""
    entry = added(project, "tap-daktela", str(path("tap-daktela")))
    entry.pop("pip_url")
    entry["executable"] = str(Path(sys.executable).with_name("tap-daktela"))
    entry["select"] = definition("tap-daktela")["select"]
    configured = {"project_id": "empty", "plugins": {"extractors": [entry]}}
    (project.folder / "meltano.yml").write_text(yaml.safe_dump(configured))

    printed = listed(project, "select", "tap-daktela", "--list", "--all")

    marks = {column: told for told, column in re.findall(r"\[(\w+) *\] (\w+\.\w+)$", printed, re.MULTILINE)}
    expected = {
        f"{stream.name}.{column.name}": mark(stream, column.name) for stream in STREAMS for column in stream.fields
    }
    assert {column: told for column, told in marks.items() if column in expected} == expected


def mark(stream: Stream, column: str) -> str:
    """Return Meltano's mark for a column whose stream is selected, or is not."""
    if not stream.selected_by_default:
        return "excluded"
    return "automatic" if column in {*stream.keys, stream.replication_key} else "selected"
