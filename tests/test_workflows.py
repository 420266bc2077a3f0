"""The workflows, forms and guides on GitHub: pinned actions, few permissions, and no missing file or command.

The steps that decide about a release run here unchanged.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from tap_daktela.tap import TapDaktela
from target_daktela_crm.target import TargetDaktelaCrm
from tools.plugins import python_versions

Job: TypeAlias = dict[str, Any]

ROOT = Path(__file__).parents[1]
PYTHON = str(Path(sys.executable).parent)
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
GUIDES = [ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", GITHUB / "pull_request_template.md", *FORMS]

_USE = re.compile(r"^\s*(?:- )?uses: (.+)$", re.MULTILINE)
_PINNED = re.compile(r"([\w-]+/[\w-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)")
_OURS = re.compile(r"\./\.github/workflows/([\w-]+\.yml)")
_MAKE = re.compile(r"(?:^ *|`)make ((?:[\w./-]+ ?)+)", re.MULTILINE)
_FOLDERS = r"tap_daktela|target_daktela_crm|tests|tools|plugins|benchmarks|docs|examples|\.github"


def content(path: Path) -> dict[str, Any]:
    """Return the content of a YAML file with every scalar as text, since `on` and 3.10 would change."""
    loaded: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
    return loaded


def named(paths: list[Path]) -> pytest.MarkDecorator:
    """Return the parametrization of a test with one file each."""
    return pytest.mark.parametrize("path", paths, ids=[path.name for path in paths])


def jobs(path: Path) -> dict[str, Job]:
    """Return a workflow's jobs."""
    return dict(content(path)["jobs"])


def steps(path: Path) -> list[dict[str, Any]]:
    """Return the steps of all jobs of a workflow."""
    return [step for job in jobs(path).values() for step in job.get("steps", [])]


def test_there_are_workflows_and_forms() -> None:
    assert {path.name for path in WORKFLOWS} == {"ci.yml", "next-sdk.yml", "release.yml"}
    assert {path.name for path in FORMS} == {"bug.yml", "crm-preset.yml"}


@named(WORKFLOWS)
def test_actions_are_pinned_with_their_version(path: Path) -> None:
    used = _USE.findall(path.read_text(encoding="utf-8"))
    assert used
    for each in used:
        ours = _OURS.fullmatch(each)
        assert _PINNED.fullmatch(each) or (ours and path.with_name(ours[1]).exists()), each


def test_an_action_has_one_pin_everywhere() -> None:
    pins = {pin.groups() for path in WORKFLOWS for pin in _PINNED.finditer(path.read_text(encoding="utf-8"))}
    assert len(pins) == len({action for action, _, _ in pins})


@named(WORKFLOWS)
def test_each_job_has_its_own_rights_and_no_others(path: Path) -> None:
    assert content(path)["permissions"] == {}
    assert not {"pull_request_target", "workflow_run"} & content(path)["on"].keys()
    for name, job in jobs(path).items():
        allowed = {"pypi": {"id-token": "write"}, "github": {"contents": "write"}}.get(name, {"contents": "read"})
        assert job["permissions"] == allowed, name


@named(WORKFLOWS)
def test_every_job_has_a_timeout_and_newer_runs_cancel_older_ones(path: Path) -> None:
    assert {"group", "cancel-in-progress"} <= content(path)["concurrency"].keys()
    for name, job in jobs(path).items():
        assert "uses" in job or 0 < int(job["timeout-minutes"]) <= 30, name


def test_the_next_sdk_is_tested_every_week() -> None:
    workflow = content(GITHUB / "workflows" / "next-sdk.yml")
    [schedule] = workflow["on"]["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", schedule["cron"])
    assert workflow["jobs"]["test"]["steps"][-1] == {"run": "make test-next"}


def test_a_release_and_its_checks_do_not_wait_for_each_other() -> None:
    assert len({content(path)["concurrency"]["group"] for path in WORKFLOWS}) == len(WORKFLOWS)


@named(WORKFLOWS)
def test_no_token_stays_in_the_checkout(path: Path) -> None:
    checkouts = [step for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] == "false" for step in checkouts)


@named(WORKFLOWS)
def test_nothing_from_outside_is_pasted_into_a_script(path: Path) -> None:
    for step in steps(path):
        assert "${{" not in step.get("run", "")


def test_the_tests_run_on_each_python_that_the_package_names() -> None:
    matrix = jobs(GITHUB / "workflows" / "ci.yml")["test"]["strategy"]["matrix"]
    assert matrix["python"] == python_versions()


def test_the_lowest_versions_are_tried_on_the_oldest_python() -> None:
    [python] = [step["with"]["python-version"] for step in _setups("lowest")]
    assert python == python_versions()[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={python}"


def _setups(job: str) -> list[dict[str, Any]]:
    found = jobs(GITHUB / "workflows" / "ci.yml")[job]["steps"]
    return [step for step in found if step.get("uses", "").startswith("actions/setup-python@")]


def test_a_release_is_checked_and_built_before_it_is_published() -> None:
    release = jobs(GITHUB / "workflows" / "release.yml")
    assert release["ci"]["uses"] == "./.github/workflows/ci.yml"
    assert "workflow_call" in content(GITHUB / "workflows" / "ci.yml")["on"]
    assert release["pypi"]["needs"] == ["ci", "build"]
    assert release["pypi"]["environment"]["name"] == "pypi"
    assert release["github"]["needs"] == "pypi"


@named([*WORKFLOWS, *GUIDES])
def test_the_targets_of_make_exist(path: Path) -> None:
    scripts = [step.get("run", "") for step in steps(path)] if path in WORKFLOWS else []
    text = "\n".join(scripts) or path.read_text(encoding="utf-8")
    for target in sorted({target for words in _MAKE.findall(text) for target in words.split()}):
        command = ["make", "--dry-run", target]
        make = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert "No rule" not in make.stderr, target


# The steps that decide about a release.


@pytest.mark.parametrize(("tag", "agrees"), [("v1.2.3", True), ("v1.2.4", False), ("v1.2.3.1", False)])
def test_only_the_tag_of_the_version_is_released(tmp_path: Path, tag: str, agrees: bool) -> None:  # noqa: FBT001
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1.2.3"\n')

    run = _step("Check that tag and version agree", tmp_path, tag)

    assert run.returncode == (0 if agrees else 1)
    assert ("::error::" in run.stdout) is not agrees


def test_the_releases_part_of_the_changelog_becomes_its_notes(tmp_path: Path) -> None:
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## Unreleased\n\n- later\n\n## 1.2.3 (2026-12-01)\n\n- now\n\n## 1.2.30\n\n- before\n"
    )

    run = _step("Take the release's part of the changelog", tmp_path, "v1.2.3")

    assert run.returncode == 0
    assert (tmp_path / "notes.md").read_text() == "\n- now\n\n"


def test_a_release_without_its_part_of_the_changelog_is_none(tmp_path: Path) -> None:
    shutil.copy(ROOT / "CHANGELOG.md", tmp_path)

    run = _step("Take the release's part of the changelog", tmp_path, "v99.0.0")

    assert run.returncode == 1
    assert "CHANGELOG.md has no part '## 99.0.0'" in run.stdout


def _step(name: str, folder: Path, tag: str) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub does, with the Python of the tests."""
    [script] = [step["run"] for step in steps(GITHUB / "workflows" / "release.yml") if step.get("name") == name]
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],  # noqa: S607
        cwd=folder,
        env={**os.environ, "GITHUB_REF_NAME": tag, "PATH": os.pathsep.join([PYTHON, os.environ["PATH"]])},
        capture_output=True,
        text=True,
        check=False,
    )


# The forms and the guides.


@named(FORMS)
def test_a_form_is_whole(path: Path) -> None:
    form = content(path)
    assert {"name", "description", "body"} <= form.keys()
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields)
    assert all(field["attributes"]["label"] for field in fields)
    assert {field["type"] for field in fields} <= {"input", "textarea", "dropdown", "checkboxes"}


@named(FORMS)
def test_a_form_warns_of_what_must_not_be_shown(path: Path) -> None:
    first, *_, last = content(path)["body"]
    assert first["type"] == "markdown"
    assert "Never paste tokens" in first["attributes"]["value"]
    [word] = last["attributes"]["options"]
    assert word["required"] == "true"


@named([path for path in GUIDES if path.name != "pull_request_template.md"])
def test_the_options_that_are_named_exist(path: Path) -> None:
    commands = (TapDaktela.cli, TargetDaktelaCrm.cli)
    known = {option for command in commands for parameter in command.params for option in parameter.opts}
    known |= {"--help", "--from-ref"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", path.read_text(encoding="utf-8"))) <= known


@named([ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"])
def test_the_files_and_modules_that_are_named_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / link).exists(), link
    for name in re.findall(rf"(?<![\w/])(?:{_FOLDERS})/[\w./-]*", text):
        assert (ROOT / name.rstrip(".")).exists(), name
    for module in re.findall(r"python -m ([\w.]+)", text):
        assert importlib.util.find_spec(module), module


def test_the_guide_names_the_program_that_writes_generated_files() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert "$ make generate\n" in text
    assert len(text.splitlines()) <= 160
