"""Login, the places of a token in a request, and the expiry of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.simulator.asking import TIMEOUT
from tests.simulator.generate import generate
from tests.simulator.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD = {"username": "robot", "password": "secret"}


def login(simulator: Simulator, **options: Any) -> requests.Response:
    return requests.post(f"{simulator.url}/api/v6/login.json", timeout=TIMEOUT, **options)


def ask(simulator: Simulator, token: str = "", **options: Any) -> int:
    headers = {"X-AUTH-TOKEN": token} if token else {}
    url = f"{simulator.url}/api/v6/pauses.json"
    return requests.get(url, timeout=TIMEOUT, **{"headers": headers, **options}).status_code


def test_a_token_may_be_in_a_header_the_query_or_a_cookie(simulator: Simulator) -> None:
    token = simulator.access_token
    assert ask(simulator, headers={"X-AUTH-TOKEN": token}) == 200
    assert ask(simulator, headers={"Authorization": f"Bearer {token}"}) == 200
    assert ask(simulator, params={"accessToken": token}) == 200
    assert ask(simulator, cookies={"c_user": token}) == 200


def test_no_token_and_a_wrong_one_are_401_with_an_empty_body(simulator: Simulator) -> None:
    url = f"{simulator.url}/api/v6/tickets.json"
    for headers in ({}, {"X-AUTH-TOKEN": "wrong"}, {"Authorization": "Basic cm9ib3Q6c2VjcmV0"}):
        response = requests.get(url, headers=headers, timeout=TIMEOUT)
        assert (response.status_code, response.content) == (401, b"")


@pytest.mark.parametrize("place", ["data", "json", "params"])
def test_credentials_may_be_a_form_json_or_the_query(simulator: Simulator, place: str) -> None:
    response = login(simulator, **{place: GOOD | {"only_token": "1"}})
    assert response.status_code == 201
    assert ask(simulator, response.json()["result"]["accessToken"]) == 200


@pytest.mark.parametrize("wrong", [{"password": "no"}, {"username": "no"}, {"password": ""}])
def test_wrong_credentials_are_401_with_an_empty_body(simulator: Simulator, wrong: dict[str, str]) -> None:
    response = login(simulator, json=GOOD | wrong)
    assert (response.status_code, response.content) == (401, b"")
    assert login(simulator).status_code == 401
    assert login(simulator, data="{", headers={"Content-Type": "application/json"}).status_code == 401


def test_old_builds_return_only_the_token(simulator: Simulator) -> None:
    simulator.login_shape = "string"
    token = login(simulator, data=GOOD | {"only_token": "1"}).json()["result"]
    assert len(token) == 40
    assert ask(simulator, token) == 200
    assert set(login(simulator, data=GOOD).json()["result"]) >= {"accessToken", "refreshToken"}


def test_the_status_of_a_login_can_be_200(simulator: Simulator) -> None:
    simulator.login_status = 200
    assert login(simulator, json=GOOD).status_code == 200


def test_tokens_expire_by_the_local_clock(simulator: Simulator) -> None:
    result = login(simulator, json=GOOD).json()["result"]
    assert result["accessTokenExpirationDate"] == "2026-03-10 14:00:00"
    simulator.advance(minutes=119)
    assert ask(simulator, result["accessToken"]) == 200
    simulator.advance(minutes=1)
    assert ask(simulator, result["accessToken"]) == 401
    assert ask(simulator, simulator.access_token) == 200


def test_expiry_counts_real_time_through_a_clock_change() -> None:
    with Simulator(generate(activities=10, now="2026-03-29 01:30:00")) as simulator:
        result = login(simulator, json=GOOD).json()["result"]
        assert result["accessTokenExpirationDate"] == "2026-03-29 04:30:00"


def test_a_token_can_expire_after_some_uses(simulator: Simulator) -> None:
    simulator.token_uses = 2
    token = login(simulator, json=GOOD).json()["result"]["accessToken"]
    assert [ask(simulator, token) for _ in range(3)] == [200, 200, 401]
    again = login(simulator, json=GOOD).json()["result"]["accessToken"]
    assert again != token
    assert ask(simulator, again) == 200


def test_tokens_can_be_revoked(simulator: Simulator) -> None:
    token = login(simulator, json=GOOD).json()["result"]["accessToken"]
    simulator.revoke()
    assert ask(simulator, token) == 401


def test_a_refresh_token_is_valid_once(simulator: Simulator) -> None:
    url = f"{simulator.url}/api/v6/login.json"
    first = login(simulator, json=GOOD).json()["result"]
    send: Callable[[Any], requests.Response] = lambda token: requests.put(  # noqa: E731 - three uses, one line each
        url, json={"refreshToken": token}, timeout=TIMEOUT
    )
    response = send(first["refreshToken"])
    assert response.status_code == 200
    assert ask(simulator, response.json()["result"]["accessToken"]) == 200
    assert ask(simulator, first["accessToken"]) == 401
    assert send(first["refreshToken"]).status_code == 401
    assert send(None).status_code == 401


def test_whoim_answers_200_without_a_token(simulator: Simulator) -> None:
    url = f"{simulator.url}/api/v6/whoim.json"
    stranger = requests.get(url, timeout=TIMEOUT)
    assert stranger.status_code == 200
    assert stranger.json()["result"]["user"] is None
    assert stranger.json()["result"]["version"]
    known = requests.get(url, headers={"X-AUTH-TOKEN": simulator.access_token}, timeout=TIMEOUT)
    assert known.json()["result"]["user"]["name"] == "robot"
    assert known.json()["result"]["user"]["_sys"]["accessToken"] == simulator.access_token
    assert "accessToken" not in simulator.dataset.tables["users"][0]["_sys"]


def test_the_log_names_what_a_body_sends_but_does_not_repeat_it(simulator: Simulator) -> None:
    login(simulator, json=GOOD)
    login(simulator, data=GOOD)
    assert [each.body_keys for each in simulator.requests] == [["username", "password"]] * 2
    assert "secret" not in repr(simulator.requests)
