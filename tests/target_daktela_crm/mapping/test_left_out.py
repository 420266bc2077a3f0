"""The target counts the invalid phone numbers and e-mails that it leaves out, and names their contacts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from target_daktela_crm.mapping.compiler import compile_mapping
from tests.target_daktela_crm.conftest import crm, instance
from tests.target_daktela_crm.mapping.helpers import entities
from tests.target_daktela_crm.running import encoded, record, run_target

if TYPE_CHECKING:
    from tests.target_daktela_crm.running import Crm

__all__ = ["crm", "instance"]

ROWS: list[dict[str, Any]] = [
    {"Id": "c1", "Phone": "12345", "MobilePhone": "-", "Email": "none"},
    {"Id": "c2", "Phone": "+420 601 000 001", "Email": "eva@example"},
    {"Id": "c3", "Phone": "", "Email": None},
    *({"Id": f"c{number}", "Phone": "call me"} for number in range(4, 10)),
    {"Id": "c1", "Phone": "12345", "MobilePhone": None, "Email": None},
]


def test_the_first_five_ids_for_each_kind_of_value_are_examples(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "target-daktela-crm")
    mapping = compile_mapping("salesforce", None, "CZ")
    entities(mapping, "Account", {"Id": "a1", "Phone": "x"})
    for row in ROWS:
        entities(mapping, "Contact", row)
    assert mapping.left_out.counts == {"phone number": 10, "e-mail": 2}
    assert mapping.left_out.examples == {
        "phone number": ["company a1", "c1", "c4", "c5", "c6"],
        "e-mail": ["c1", "c2"],
    }
    assert caplog.messages[:4] == [
        "company a1: invalid phone number left out (1)",
        "contact c1: invalid phone number left out (2)",
        "contact c1: invalid e-mail left out (1)",
        "contact c2: invalid e-mail left out (1)",
    ]
    # The debug log also names contacts after the first five.
    assert any("c9" in message for message in caplog.messages)


def test_values_in_a_list_of_contacts_are_counted_for_the_contacts_of_the_list() -> None:
    streams = {
        "companies": None,
        "contacts": None,
        "firms": {
            "raw": False,
            "company": {
                "id": "id",
                "fields": {"number": "phone"},
                "contacts": {"list": "people", "id": "id", "fields": {"number": "phone"}},
            },
        },
    }
    mapping = compile_mapping("daktela", streams, "CZ")
    people = [{"id": 7, "phone": "x"}, {"phone": "x"}, {"id": 8, "phone": "601000001"}, {"id": 9, "phone": "y"}]
    entities(mapping, "firms", {"id": 1, "phone": "z", "people": people})
    assert mapping.left_out.examples == {"phone number": ["company 1", "7", "9"]}


def test_the_summary_names_five_contacts_and_the_debug_log_names_all(crm: Crm) -> None:
    rows = [record("Contact", LastName="Malá", **row) for row in ROWS]
    environment = {"TARGET_DAKTELA_CRM_LOGLEVEL": "DEBUG", "LOGLEVEL": "DEBUG"}
    run = run_target({**crm.settings, "preset": "salesforce"}, encoded(rows), environment=environment)
    assert run.code == 0
    assert run.summary["left_out"] == {"phone number": 9, "e-mail": 2}
    assert run.summary["left_out_ids"] == {"phone number": ["c1", "c4", "c5", "c6", "c7"], "e-mail": ["c1", "c2"]}
    assert "  left out      9 invalid phone numbers (c1, c4, c5, c6, c7, …)" in run.log
    assert "                2 invalid e-mails (c1, c2)" in run.log
    for contact in ("c1", "c4", "c9"):
        assert f"contact {contact}: invalid phone number left out" in run.log
    assert "call me" not in run.log


@pytest.mark.promise("S3")
def test_invalid_values_of_a_rejected_record_are_not_counted(crm: Crm) -> None:
    streams = {"Contact": {"contact": {"modified": "flag(Stamp)"}}}
    rows = [
        record("Contact", Id="c1", LastName="Malá", Phone="x", Stamp="maybe"),
        record("Contact", Id="c2", LastName="Malá", Phone="+420601000001"),
    ]
    run = crm.run(rows, preset="salesforce", streams=streams)
    assert [line["id"] for line in crm.rejects()] == ["c1"]
    assert run.summary["left_out"] == {}
