"""What the README says is so: its tables, its commands, its example, its messages."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

from tap_daktela.settings import SCHEMA, problems
from tap_daktela.streams import STREAMS
from tests.readme import README, filled

TEXT = README.read_text(encoding="utf-8")
ROOT = README.parent


def test_the_tables_are_those_of_the_code() -> None:
    assert filled(TEXT) == TEXT, "run `python -m tests.readme`"


def test_the_commands_exist() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S607
    named = set(re.findall(r"(?:`|^    )make ([a-z]+)", TEXT, re.MULTILINE))
    assert {"demo", "test", "lint"} <= named
    for name in named:
        assert f"make {name}" in listed


def test_the_examples_are_good_configurations() -> None:
    """With the example's secrets in place of the environment's."""
    blocks = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    whole, instances, extra = (yaml.safe_load(block) for block in blocks)
    extractor = whole["plugins"]["extractors"][0]
    assert {setting["name"] for setting in extractor["settings"]} <= set(SCHEMA["properties"])
    assert [entry.removesuffix(".*") for entry in extractor["select"]] == [
        stream.name for stream in STREAMS if stream.selected_by_default
    ]
    assert not problems({**extractor["config"], "access_token": "x"}, SCHEMA)
    assert not problems(instances["config"], SCHEMA)
    assert not problems({**extractor["config"], **extra, "access_token": "x"}, SCHEMA)


def test_the_messages_of_the_troubleshooting_table_are_the_tap_s() -> None:
    code = " ".join(path.read_text(encoding="utf-8") for path in Path(ROOT, "tap_daktela").rglob("*.py"))
    # Texts that are continued on the next line, and what is filled in, are left out of the comparison.
    code = re.sub(r"\{[^{}]*\}|%[sd]", "…", re.sub(r'"\s*\n\s*f?"', "", code))
    section = TEXT.split("## Troubleshooting")[1].split("\n## ")[0]
    messages = re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)
    assert len(messages) > 10
    for message in messages:
        parts = [part.strip(" ,:") for part in re.split(r"…|6 times|503|integer|queue", message)]
        for part in parts:
            assert part in code, f"{part!r} of {message!r} is no message of the tap"
