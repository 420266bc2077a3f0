"""The control API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.simulator.asking import TIMEOUT, get, page
from tests.simulator.faults import KINDS

if TYPE_CHECKING:
    from tests.simulator.simulator import Simulator


def pull(simulator: Simulator, method: str, lever: str, content: Any = None) -> Any:
    response = requests.request(method, f"{simulator.url}/__control__/{lever}", json=content, timeout=TIMEOUT)
    assert response.status_code == 200, response.text
    return response.json()


def test_advance_moves_the_clock_and_changes_rows(simulator: Simulator) -> None:
    moved = pull(simulator, "POST", "advance", {"minutes": 60, "new_activities": 5, "edit_tickets": 2})
    assert moved["now"] == "2026-03-10 13:00:00"
    assert sum(table == "activities" for table, _ in moved["touched"]) == 5
    assert page(simulator, "activities")["total"] == 405


def test_faults_are_added_and_removed(simulator: Simulator) -> None:
    both = pull(
        simulator, "POST", "faults", [{"kind": "503", "endpoint": "tickets"}, {"kind": "500", "times": None}]
    )
    assert [fault["kind"] for fault in both] == ["503", "500"]
    pull(simulator, "POST", "faults", {"kind": "404"})
    assert get(simulator, "tickets").status_code == 503
    assert [fault["fired"] for fault in pull(simulator, "GET", "faults")] == [1, 0, 0]
    assert pull(simulator, "DELETE", "faults") == []
    assert get(simulator, "tickets").status_code == 200


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_can_be_listed(simulator: Simulator, kind: str) -> None:
    assert pull(simulator, "POST", "faults", {"kind": kind, "hang": 0, "skip": True})[0]["kind"] == kind


def test_drift_is_set_and_removed(simulator: Simulator) -> None:
    assert pull(simulator, "POST", "drift", {"every": 2, "edit": 3, "tables": ["tickets"]})["every"] == 2
    for _ in range(2):
        get(simulator, "pauses")
    touched = pull(simulator, "GET", "touched")
    assert [table for table, _ in touched] == ["tickets"] * 3
    assert pull(simulator, "GET", "drift")["steps"] == 1
    assert pull(simulator, "DELETE", "drift") is None
    assert pull(simulator, "GET", "drift") is None


def test_options_are_those_of_the_simulator(simulator: Simulator) -> None:
    options = {
        "strip_relations": ["queue"],
        "forbidden": ["users"],
        "total_as": "string",
        "now": "2026-04-01 08:00:00",
    }
    state = pull(simulator, "POST", "options", options)
    assert {name: state[name] for name in options} == options
    assert simulator.strip_relations == {"queue"}
    assert get(simulator, "users").status_code == 403
    assert get(simulator, "pauses").json()["_time"] == "2026-04-01 08:00:00"
    assert page(simulator, "pauses")["total"] == "6"


def test_the_state_contains_the_sizes_of_tables(simulator: Simulator) -> None:
    get(simulator, "pauses")
    state = pull(simulator, "GET", "state")
    assert state["url"] == simulator.url
    assert state["tables"]["activities"] == 400
    assert (state["requests"], state["max_in_flight"]) == (1, 1)


def test_the_log_does_not_contain_control_requests(simulator: Simulator) -> None:
    get(simulator, "pauses", fields=["name"], take=2)
    logged = pull(simulator, "GET", "requests")
    assert [(each["endpoint"], each["status"], each["query"]["take"]) for each in logged] == [("pauses", 200, 2)]
    assert pull(simulator, "DELETE", "requests") == []
    assert pull(simulator, "GET", "requests") == []


def test_tables_can_be_read_whole_or_in_part(simulator: Simulator) -> None:
    assert pull(simulator, "GET", "tables/pauses") == simulator.dataset.tables["pauses"]
    found = pull(simulator, "GET", "tables/activities?fields[0]=name&fields[1]=item.id_call")
    assert [row["name"] for row in found] == [row["name"] for row in simulator.dataset.tables["activities"]]
    assert set(found[0]) == {"name", "item"}


def test_tables_are_read_without_a_check_of_permissions(simulator: Simulator) -> None:
    simulator.strip_relations = {"queue"}
    rows = pull(simulator, "GET", "tables/activities?fields[0]=queue.name")
    assert any(row["queue"] for row in rows)


def test_the_content_of_loads_is_read_and_removed(simulator: Simulator) -> None:
    nobody = {"id": None, "name": None, "description": None}
    person = {"id": 1, "name": "A", "firstname": None, "lastname": None, "description": None, "fields": []}
    seeds = {"data": [nobody | {"contacts": [person]}], "born": [person | {"id": "b"}]}
    seeded = pull(simulator, "POST", "crm", seeds)
    assert (list(seeded["contacts"]), list(seeded["born"]), seeded["counts"]["requests"]) == (["1"], ["b"], 0)
    response = requests.post(
        f"{simulator.url}/custom/crm/sync.php",
        json={"data": [nobody | {"id": "c", "contacts": [person | {"id": 2}]}], "delete": True},
        headers={"X-AUTH-TOKEN": simulator.access_token},
        timeout=TIMEOUT,
    )
    assert response.status_code == 200
    assert pull(simulator, "GET", "requests")[0]["facts"]["applied"] is True
    seen = pull(simulator, "GET", "crm")
    assert seen == simulator.crm.described()
    assert seen["contacts"] == {"2": person | {"id": 2, "company": "c"}}
    assert (list(seen["companies"]), seen["counts"]["contacts_deleted"]) == (["c"], 1)
    emptied = pull(simulator, "DELETE", "crm")
    assert (emptied["companies"], emptied["contacts"], emptied["born"]) == ({}, {}, {})
    assert simulator.crm.contacts == {}


def test_the_options_of_the_sync_can_be_set(simulator: Simulator) -> None:
    options = {
        "sync_path": "/sync.php",
        "sync_limit": 1000,
        "sync_contacts": "replace",
        "sync_keep": False,
        "sync_poison": ["7"],
        "sync_poison_status": 422,
        "sync_answer": "text",
        "sync_status": 201,
    }
    state = pull(simulator, "POST", "options", options)
    assert {name: state[name] for name in options} == options
    assert {name: getattr(simulator, name) for name in options} == options | {"sync_poison": {"7"}}


def test_tokens_are_revoked(simulator: Simulator) -> None:
    credentials = {"username": "robot", "password": "secret"}
    requests.post(f"{simulator.url}/api/v6/login.json", json=credentials, timeout=TIMEOUT)
    pull(simulator, "POST", "revoke")
    assert simulator.tokens.by_access == {}


@pytest.mark.parametrize(
    ("method", "lever", "content", "status"),
    [
        ("GET", "nonsense", None, 404),
        ("DELETE", "advance", None, 404),
        ("POST", "advance", {"nonsense": 1}, 400),
        ("POST", "faults", {"kind": "418"}, 400),
        ("POST", "faults", {"nonsense": 1}, 400),
        ("POST", "drift", {"tables": ["nonsense"]}, 400),
        ("POST", "options", {"nonsense": 1}, 400),
        ("POST", "options", {"total_as": "float"}, 400),
        ("POST", "options", {"sync_poison_status": 500}, 400),
        ("POST", "crm", {"nonsense": []}, 400),
        ("POST", "crm", {"data": [{}]}, 400),
        ("PUT", "crm", {}, 404),
        ("POST", "options", {"now": "tomorrow"}, 400),
        ("GET", "tables/nonsense", None, 400),
        ("GET", "tables/tickets?skip=x", None, 400),
    ],
)
def test_invalid_requests_are_refused(
    simulator: Simulator, method: str, lever: str, content: Any, status: int
) -> None:
    url = f"{simulator.url}/__control__/{lever}"
    response = requests.request(method, url, json=content, timeout=TIMEOUT)
    assert response.status_code == status
    assert status == 404 or response.json()["error"]
    assert get(simulator, "pauses").status_code == 200


def test_the_control_api_stays_at_the_root_with_a_prefix(simulator: Simulator) -> None:
    simulator.prefix = "/daktela"
    assert pull(simulator, "GET", "state")["tables"]["pauses"] == 6


def test_broken_json_is_refused(simulator: Simulator) -> None:
    url = f"{simulator.url}/__control__/options"
    assert requests.post(url, data="{", timeout=TIMEOUT).status_code == 400
