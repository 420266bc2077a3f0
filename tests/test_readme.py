"""The README and the pages in `docs/` agree with the code: tables, commands, examples and messages."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tap_daktela.inputs.settings import SCHEMA, problems
from tap_daktela.streams.definitions import STREAMS
from target_daktela_crm.entities import Company, Contact
from target_daktela_crm.inputs import settings as of_the_target
from target_daktela_crm.inputs.settings import Needs
from target_daktela_crm.mapping.compiler import compile_mapping
from tests.markdown import ROOT, blocks
from tools.tables import DOCS, TABLES, filled


@pytest.mark.parametrize("file", TABLES, ids=lambda file: file.name)
def test_the_tables_are_those_of_the_code(file: Path) -> None:
    assert filled(file) == file.read_text(encoding="utf-8"), "run `make generate`"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_commands_exist() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S607
    pages = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("examples/*/README.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    named = set(re.findall(r"(?:`|^\$ )make ([a-z-]+)", text, re.MULTILINE))
    assert {"demo", "test", "lint", "docs", "generate"} <= named
    for name in named:
        assert f"make {name}" in listed


def test_the_examples_are_valid_configurations() -> None:
    """An example of a secret replaces those of the environment."""
    whole, instances = examples("tap/quick-start.md")
    [extra] = examples("tap/settings.md")
    extractor = whole["plugins"]["extractors"][0]
    assert {setting["name"] for setting in extractor["settings"]} <= set(SCHEMA["properties"])
    assert [entry.removesuffix(".*") for entry in extractor["select"]] == [
        stream.name for stream in STREAMS if stream.selected_by_default
    ]
    assert not problems({**extractor["config"], "access_token": "x"}, SCHEMA)
    assert not problems(instances["config"], SCHEMA)
    assert not problems({**extractor["config"], **extra["config"], "access_token": "x"}, SCHEMA)


def test_the_examples_of_the_target_are_valid_configurations() -> None:
    [whole], [shortly], [hours] = (examples(f"target/{name}.md") for name in ("quick-start", "presets", "loads"))
    over_salesforce, *others = (each["config"] for each in examples("target/mapping.md"))
    assert [other["preset"] for other in others] == ["pipedrive", "hubspot", "hubspot", "daktela", "daktela"]
    [loader], [utility] = whole["plugins"]["loaders"], whole["plugins"]["utilities"]
    assert {setting["name"] for setting in loader["settings"]} <= set(of_the_target.SCHEMA["properties"])
    assert loader["namespace"] == utility["namespace"]
    # Meltano ignores the variable of a setting that is not listed.
    prefix = "TARGET_DAKTELA_CRM_"
    text = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "target").glob("*.md"))
    used = {name.lower() for name in re.findall(rf"{prefix}([A-Z_]+)=", text)} - {"max_delete_fraction"}
    assert {"dry_run", "load_mode", "url"} <= used <= {setting["name"] for setting in loader["settings"]}
    place = {"url": "https://acme.daktela.com", "access_token": "x"}
    changed = [{**loader["config"], **hours["config"], **each} for each in (shortly["config"], over_salesforce)]
    for config in (loader["config"], *changed, *others):
        assert not of_the_target.problems({**place, **config}, of_the_target.SCHEMA, Needs.CREDENTIALS)


def test_the_example_of_a_mapping_does_what_the_page_says() -> None:
    over_salesforce, _, _, _, own_crm, _ = (each["config"] for each in examples("target/mapping.md"))
    person = {"Id": "003", "Name": "Eva", "Phone": "+420601000000", "Email": None, "Description": "x"}
    person["Tier__c"] = "gold"
    mapping = compile_mapping("salesforce", over_salesforce["streams"], None).stream("Contact")
    assert mapping is not None
    rows = [role.entities({**person, "Support_Phone__c": "+420 602 000 000"}) for role in mapping.roles]
    [contact] = [each for row in rows for each in row if isinstance(each, Contact)]
    content = json.loads(contact.body or b"")
    assert content["description"] is None
    assert {each["key"]: each["value"] for each in content["fields"]} == {
        "number": ["+420601000000", "+420602000000"],
        "email": [],
        "customer_tier": ["gold"],
    }
    firm = {
        "type": "customer",
        "firm_no": 7.0,
        "legal_name": "Acme",
        "branches": [{"open": True, "phone": "+420 603 000 000"}, {"open": False, "phone": "+420 604 000 000"}],
        "emails": "A@example.com; b@example.com",
        "people": [{"id": 1, "first": "Eva", "last": "Vzorová"}],
    }
    clients = compile_mapping("daktela", own_crm["streams"], None).stream("Clients")
    assert clients is not None
    company, inside = [each for role in clients.roles for each in role.entities(firm)]
    assert isinstance(company, Company)
    assert isinstance(inside, Contact)
    assert json.loads(company.body or b"") == {
        "id": 7,
        "name": "Acme",
        "description": None,
        "fields": [
            {"key": "number", "value": ["+420603000000"]},
            {"key": "email", "value": ["a@example.com", "b@example.com"]},
        ],
    }
    assert (inside.key, json.loads(inside.body or b"")["name"]) == ("1", "Eva Vzorová")


def examples(page: str) -> list[Any]:
    """Return the contents of the YAML blocks of a page in `docs/`."""
    return [yaml.safe_load(block.text) for block in blocks(DOCS / page, "yaml")]


def test_the_messages_of_the_troubleshooting_table_are_the_commands_own() -> None:
    packages = ("tap_daktela", "target_daktela_crm")
    code = " ".join(path.read_text("utf-8") for name in packages for path in Path(ROOT, name).rglob("*.py"))
    # Join texts of several lines, and ignore the inserted values.
    code = re.sub(r"\{[^{}\n]*\}|%[sd]", "…", re.sub(r'"\s*\n\s*f?"', "", code))
    page = (DOCS / "operations" / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `([^`]+)`", page, re.MULTILINE)
    assert len(messages) > 10
    for message in messages:
        parts = [part.strip(" ,:") for part in re.split(r"…|\(6 attempts\)|503|integer|queue", message)]
        for part in parts:
            assert part in code, f"{part!r} of {message!r} is no message of the commands"


def test_the_figures_of_performance_are_those_that_were_measured() -> None:
    section = (DOCS / "operations" / "performance.md").read_text("utf-8")
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")
    figures = re.findall(r"\| (\d+,\d{3}) \|\n", section)
    assert len(figures) == 6
    for figure in figures:
        assert figure in results
    measured = {f"{float(megabytes):.0f}" for megabytes in re.findall(r"\| ([\d.]+) MB", results)}
    assert set(re.findall(r"(\d+) MB", section)) <= measured


PAGES = sorted(
    page
    for folder in (".", "docs", "examples")
    for page in ROOT.joinpath(folder).glob("**/*.md" if folder != "." else "*.md")
    if ".venv" not in str(page)
)


def _anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), f"{target} does not exist"
        if anchor:
            assert anchor in _anchors(linked), f"{target} has no such heading"
