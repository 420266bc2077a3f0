"""The response of each fault, and when a fault happens."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import pytest
import requests

from tests.simulator.asking import TIMEOUT, by, condition, get, page, rows
from tests.simulator.faults import KINDS, Fault

if TYPE_CHECKING:
    from tests.simulator.simulator import Simulator


def meet(simulator: Simulator, kind: str, **options: object) -> requests.Response:
    simulator.faults.append(Fault(kind, **options))  # type: ignore[arg-type]
    response = get(simulator, "tickets", fields=["name"])
    assert simulator.requests[-1].fault == kind
    assert get(simulator, "tickets").status_code == 200
    return response


@pytest.mark.parametrize("kind", ["401", "403", "404", "503"])
def test_errors_with_an_empty_body(simulator: Simulator, kind: str) -> None:
    response = meet(simulator, kind)
    assert (response.status_code, response.content) == (int(kind), b"")


def test_500_has_a_message(simulator: Simulator) -> None:
    response = meet(simulator, "500", message="Out of luck")
    assert response.status_code == 500
    assert response.json()["error"] == ["Out of luck"]
    assert response.json()["result"] is None


def test_400_has_the_message_of_the_api_and_a_damaged_echo(simulator: Simulator) -> None:
    response = meet(simulator, "400", message="Entry is required")
    assert response.status_code == 400
    assert response.json()["error"] == {"form": {"title": "Entry is required"}}
    assert response.json()["result"]["customFields"] == {"number": [None]}


@pytest.mark.parametrize(("kind", "status"), [("502-html", 502), ("html", 200), ("413", 413)])
def test_error_pages_of_proxies(simulator: Simulator, kind: str, status: int) -> None:
    response = meet(simulator, kind)
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith("text/html")
    assert response.text.startswith("<html>")


def test_429_has_retry_after(simulator: Simulator) -> None:
    assert meet(simulator, "429", retry_after=7).headers["Retry-After"] == "7"
    assert meet(simulator, "429-negative", retry_after=7).headers["Retry-After"] == "-7"
    date = parsedate_to_datetime(meet(simulator, "429-date", retry_after=30).headers["Retry-After"])
    assert 25 < date.timestamp() - time.time() < 31
    assert meet(simulator, "429").status_code == 429


def test_a_200_with_an_error(simulator: Simulator) -> None:
    assert meet(simulator, "empty").content == b""
    refused = meet(simulator, "error-200").json()
    assert (bool(refused["error"]), refused["result"]) == (True, None)
    nothing = meet(simulator, "no-result").json()
    assert (nothing["error"], "result" in nothing) == ([], False)
    assert meet(simulator, "data-null").json()["result"]["data"] is None


def test_truncated_json(simulator: Simulator) -> None:
    response = meet(simulator, "truncated-json")
    assert response.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        response.json()


def test_a_truncated_body(simulator: Simulator) -> None:
    simulator.faults.append(Fault("truncated"))
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        get(simulator, "tickets")
    assert get(simulator, "tickets").status_code == 200


@pytest.mark.parametrize(("kind", "error"), [("reset", "reset by peer"), ("close", "closed connection without")])
def test_closed_connections(simulator: Simulator, kind: str, error: str) -> None:
    simulator.faults.append(Fault(kind))
    with pytest.raises(requests.ConnectionError, match=error):
        get(simulator, "tickets")
    assert simulator.requests[-1].status == 0
    assert get(simulator, "tickets").status_code == 200


def test_a_timeout_of_the_client(simulator: Simulator) -> None:
    simulator.faults.append(Fault("timeout", times=None))
    for _ in range(2):
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{simulator.url}/api/v6/tickets.json", timeout=0.05)
    simulator.faults.clear()
    deadline = time.monotonic() + 2
    while not all(each.seconds for each in simulator.requests) and time.monotonic() < deadline:
        time.sleep(0.01)
    # A client that has given up is not in flight any more.
    assert get(simulator, "tickets").status_code == 200
    assert simulator.requests[-1].in_flight == 1


@pytest.mark.parametrize(("kind", "then"), [("500", 200), ("applied-500", 401)])
def test_a_request_has_its_effect_before_its_response_is_lost(simulator: Simulator, kind: str, then: int) -> None:
    simulator.tokens.issue("x", simulator.clock.instant.timestamp() + 60)
    refresh = next(iter(simulator.tokens.by_access.values())).refresh
    simulator.faults.append(Fault(kind, endpoint="login"))
    url = f"{simulator.url}/api/v6/login.json"
    sent = {"refreshToken": refresh}
    assert requests.put(url, json=sent, timeout=TIMEOUT).status_code == 500
    # A refresh token can be used once: whether it is gone tells whether the request had its effect.
    assert requests.put(url, json=sent, timeout=TIMEOUT).status_code == then


@pytest.mark.parametrize(("kind", "error"), [("reset", "reset by peer"), ("close", "closed connection without")])
def test_responses_of_lists_are_lost_too(simulator: Simulator, kind: str, error: str) -> None:
    simulator.faults.append(Fault(f"applied-{kind}"))
    with pytest.raises(requests.ConnectionError, match=error):
        get(simulator, "tickets", take=5)
    assert simulator.requests[-1].query["take"] == 5, "the query was understood"
    simulator.faults.append(Fault(kind))
    with pytest.raises(requests.ConnectionError, match=error):
        get(simulator, "tickets", take=5)
    assert simulator.requests[-1].query == {}


def test_a_connection_that_closes_without_a_response(simulator: Simulator) -> None:
    simulator.faults.append(Fault("timeout", hang=0.05))
    with pytest.raises(requests.ConnectionError, match="closed connection without"):
        get(simulator, "tickets")


def test_a_slow_response_is_correct(simulator: Simulator) -> None:
    started = time.monotonic()
    assert meet(simulator, "slow", delay=0.2).json()["result"]["total"] == 80
    assert time.monotonic() - started >= 0.2


def test_a_redirect_to_another_origin(simulator: Simulator) -> None:
    response = meet(simulator, "redirect", location="http://127.0.0.9:81")
    assert response.status_code == 302
    assert response.headers["Location"].startswith("http://127.0.0.9:81/api/v6/tickets.json?fields")


def test_every_fault_is_tested_here() -> None:
    assert set(KINDS) == {
        *("400", "401", "403", "403-html", "404", "413", "429", "429-date", "429-negative"),
        *("429-plain", "500", "502-html", "503", "504"),
        *("close", "cut", "data-null", "empty", "error-200", "html", "no-result", "redirect", "reset"),
        *("slow", "timeout", "truncated", "truncated-json"),
        *("applied-500", "applied-close", "applied-reset", "applied-timeout"),
    }


# When


def statuses(simulator: Simulator, *endpoints: str) -> list[int]:
    return [get(simulator, endpoint).status_code for endpoint in endpoints]


def test_a_fault_happens_the_requested_number_of_times(simulator: Simulator) -> None:
    simulator.faults.append(Fault("503", times=2, after=1))
    assert statuses(simulator, *["tickets"] * 5) == [200, 503, 503, 200, 200]
    assert (simulator.faults[0].seen, simulator.faults[0].fired) == (3, 2)
    simulator.faults.append(Fault("500", times=None))
    assert statuses(simulator, *["tickets"] * 3) == [500] * 3


def test_the_second_fault_waits_for_the_first(simulator: Simulator) -> None:
    simulator.faults += [Fault("503"), Fault("500"), Fault("404", after=1)]
    assert statuses(simulator, *["tickets"] * 5) == [503, 500, 200, 404, 200]


def test_a_fault_applies_to_one_endpoint_all_lists_or_all_requests(simulator: Simulator) -> None:
    simulator.faults.append(Fault("503", endpoint="accounts", times=None))
    assert statuses(simulator, "tickets", "accounts", "whoim") == [200, 503, 200]
    simulator.faults[0].endpoint = None
    assert statuses(simulator, "tickets", "accounts", "whoim") == [503, 503, 200]
    simulator.faults[0].endpoint = "*"
    assert statuses(simulator, "tickets", "accounts", "whoim") == [503, 503, 503]


def test_a_login_can_fail_too(simulator: Simulator) -> None:
    simulator.faults.append(Fault("500", endpoint="login"))
    credentials = {"username": "robot", "password": "secret"}
    url = f"{simulator.url}/api/v6/login.json"
    assert [requests.post(url, json=credentials, timeout=TIMEOUT).status_code for _ in range(2)] == [500, 201]


def test_a_fault_can_be_for_one_activity_type(simulator: Simulator) -> None:
    simulator.faults.append(Fault("500", type="CALL", times=None))
    group = {"logic": "and", "filters": [condition("type", "in", ["EMAIL", "CALL"])]}
    for wanted, status in (
        (condition("type", "eq", "CALL"), 500),
        (condition("type", "eq", "EMAIL"), 200),
        (group, 500),
    ):
        assert get(simulator, "activities", filter=[wanted]).status_code == status
    assert get(simulator, "activities").status_code == 200
    assert get(simulator, "activities", take=5000).status_code == 400


def test_a_fault_can_be_for_later_pages_or_first_ones(simulator: Simulator) -> None:
    simulator.faults.append(Fault("500", skip=True, times=None))
    assert [get(simulator, "tickets", skip=skip).status_code for skip in (0, 10)] == [200, 500]
    simulator.faults[0].skip = False
    assert [get(simulator, "tickets", skip=skip).status_code for skip in (0, 10)] == [500, 200]


def test_a_fault_can_be_for_large_pages(simulator: Simulator) -> None:
    simulator.faults.append(Fault("504", above=10, times=None))
    assert [get(simulator, "tickets", take=take).status_code for take in (10, 11)] == [200, 504]
    assert get(simulator, "tickets").status_code == 504, "a hundred rows are meant if none are named"


def test_the_total_of_a_cut_page_counts_its_own_rows(simulator: Simulator) -> None:
    simulator.faults.append(Fault("cut", rows=3))
    cut, whole = (page(simulator, "tickets", fields=["name"], sort=by("name"), skip=5, take=20) for _ in range(2))
    assert (cut["data"], cut["total"]) == (whole["data"][:3], 3)
    assert (len(whole["data"]), whole["total"]) == (20, 80)


def test_a_fault_can_have_any_condition(simulator: Simulator) -> None:
    simulator.faults.append(Fault("500", matches=lambda request: "take=7" in request.target, times=None))
    assert [get(simulator, "tickets", take=take).status_code for take in (6, 7)] == [200, 500]


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="none of the faults"):
        Fault("418")


def test_a_fault_leaves_the_rows_alone(simulator: Simulator) -> None:
    before = rows(simulator, "tickets", sort=[{"field": "name"}])
    for kind in ("500", "truncated-json", "data-null"):
        meet(simulator, kind)
    assert rows(simulator, "tickets", sort=[{"field": "name"}]) == before


def test_a_firewall_answers_with_a_page_of_its_own(simulator: Simulator) -> None:
    response = meet(simulator, "403-html", message="Access denied")
    assert response.status_code == 403
    assert "<title>Access denied</title>" in response.text


def test_429_can_lack_retry_after(simulator: Simulator) -> None:
    response = meet(simulator, "429-plain")
    assert response.status_code == 429
    assert "Retry-After" not in response.headers


@pytest.mark.parametrize("kind", ["400", "500", "error-200", "403-html"])
def test_an_error_may_repeat_the_token(simulator: Simulator, kind: str) -> None:
    assert f"bad token {simulator.access_token}!" in meet(simulator, kind, message="bad token {token}!").text


def test_a_redirect_may_repeat_the_token(simulator: Simulator) -> None:
    response = meet(simulator, "redirect", location="http://{token}.example")
    assert response.headers["Location"].startswith(f"http://{simulator.access_token}.example/api/v6/tickets.json")


def test_a_refused_login_may_repeat_the_password(simulator: Simulator) -> None:
    simulator.faults.append(Fault("400", "login", message="no user with {password}"))
    body = {"username": "robot", "password": "hush"}
    response = requests.post(f"{simulator.url}/api/v6/login.json", json=body, timeout=TIMEOUT)
    assert response.json()["error"]["form"]["title"] == "no user with hush"
