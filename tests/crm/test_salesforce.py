"""The invented CRM is what it says, and its replay what the file holds."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.crm import replay, salesforce

if TYPE_CHECKING:
    from pathlib import Path

FICTITIOUS = re.compile(r"(0|\+44)(1632960|7700900|2079460)\d{3}")


@pytest.fixture(scope="module", params=["monday", "tuesday", "in-full"])
def messages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    path = salesforce.write(tmp_path_factory.mktemp("crm"))[request.param]
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_records_contain_only_columns_of_their_schema(messages: list[dict[str, Any]]) -> None:
    listed = {each["stream"]: {*each["schema"]["properties"]} for each in messages if each["type"] == "SCHEMA"}
    for message in messages:
        if message["type"] == "RECORD":
            assert message["record"].keys() < listed[message["stream"]]


def test_telephone_numbers_are_fictional(messages: list[dict[str, Any]]) -> None:
    for message in messages:
        for name, value in message.get("record", {}).items():
            if name.endswith(("Phone", "Fax")) and value and value != "ask his sister":
                assert FICTITIOUS.fullmatch(re.sub("[ ()]", "", value)), value


def test_every_record_is_followed_by_a_state(messages: list[dict[str, Any]]) -> None:
    kinds = [message["type"] for message in messages]
    records = [place for place, kind in enumerate(kinds) if kind == "RECORD"]
    assert records
    assert all(kinds[place + 1] == "STATE" for place in records)


def test_contacts_come_before_their_companies() -> None:
    streams = [each["stream"] for each in salesforce.messages(salesforce.monday()) if each["type"] == "RECORD"]
    assert streams[0] == "Contact"
    assert "Contact" in streams[streams.index("Account") :]
    assert streams[-1] == "AccountContactRelation"


def test_the_content_is_reproducible() -> None:
    assert salesforce.monday() == salesforce.monday()
    assert salesforce.changes(salesforce.monday(), salesforce.monday()) == {
        stream: {} for stream in salesforce.monday()
    }


def test_the_replay_ignores_unknown_options(tmp_path: Path) -> None:
    (tmp_path / "messages").write_bytes(b"one\ntwo")
    (tmp_path / "config.json").write_text(json.dumps({"path": str(tmp_path / "messages")}))
    arguments = [sys.executable, replay.__file__, "--config", str(tmp_path / "config.json"), "--state", "x"]
    assert subprocess.run(arguments, check=True, capture_output=True).stdout == b"one\ntwo"
