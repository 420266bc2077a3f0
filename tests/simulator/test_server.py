"""HTTP: paths, methods, connections, concurrency, and a stop that waits for no request."""

from __future__ import annotations

import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

from tests.simulator import routes
from tests.simulator.asking import TIMEOUT, by, get, names, page
from tests.simulator.exchange import Answer, as_json
from tests.simulator.faults import Fault
from tests.simulator.generate import generate
from tests.simulator.schema import TABLES
from tests.simulator.simulator import Simulator

if TYPE_CHECKING:
    from tests.simulator.exchange import Request


def ask(simulator: Simulator, method: str, path: str) -> requests.Response:
    headers = {"X-AUTH-TOKEN": simulator.access_token}
    return requests.request(method, simulator.url + path, headers=headers, timeout=TIMEOUT)


@pytest.mark.parametrize("table", TABLES)
def test_every_endpoint_answers(reading: Simulator, table: str) -> None:
    assert page(reading, table, take=1)["total"] == len(reading.dataset.tables[table])


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/v6/tickets",
        "/api/v6/nonsense.json",
        "/api/v5/tickets.json",
        "/api/v6/activitiesChat.json",
        "/api/v6/.json",
    ],
)
def test_other_paths_are_404_with_an_empty_body(reading: Simulator, path: str) -> None:
    response = ask(reading, "GET", path)
    assert (response.status_code, response.content) == (404, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "BREW"])
def test_other_methods_are_405_with_an_empty_body(reading: Simulator, method: str) -> None:
    response = ask(reading, method, "/api/v6/tickets.json")
    assert (response.status_code, response.content) == (405, b"")
    assert ask(reading, method, "/api/v6/whoim.json").status_code == 405


def test_old_builds_call_web_chats_by_their_type() -> None:
    with Simulator(generate(activities=50, build="2021")) as simulator:
        assert page(simulator, "activitiesChat")["total"] == page(simulator, "activitiesWeb")["total"]


def test_endpoints_can_be_forbidden_or_missing(simulator: Simulator) -> None:
    simulator.forbidden, simulator.missing = {"templates"}, {"groups"}
    answers = [get(simulator, endpoint) for endpoint in ("templates", "groups", "pauses")]
    assert [(answer.status_code, bool(answer.content)) for answer in answers] == [
        (403, False),
        (404, False),
        (200, True),
    ]


def test_an_instance_can_have_a_prefix() -> None:
    with Simulator(generate(activities=20), prefix="/daktela") as simulator:
        assert simulator.url.endswith("/daktela")
        assert get(simulator, "pauses").status_code == 200
        simulator.url = simulator.url.removesuffix("/daktela")
        assert get(simulator, "pauses").status_code == 404
        simulator.url += "/other"
        assert get(simulator, "pauses").status_code == 404


def test_a_connection_serves_many_requests(reading: Simulator) -> None:
    host, _, port = reading.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT)
    sockets = set()
    for path in ("/api/v6/pauses.json", "/api/v6/nonsense.json", "/api/v6/tickets.json?take=9999"):
        connection.request("GET", path, headers={"X-AUTH-TOKEN": reading.access_token})
        response = connection.getresponse()
        response.read()
        assert connection.sock is not None
        sockets.add(connection.sock.getsockname())
    connection.close()
    assert len(sockets) == 1


def test_requests_are_logged_in_order_with_what_they_brought(simulator: Simulator) -> None:
    get(simulator, "pauses", take=3)
    ask(simulator, "POST", "/api/v6/tickets.json")
    first, second = simulator.requests
    assert (first.ordinal, first.method, first.endpoint, first.status) == (0, "GET", "pauses", 200)
    assert first.target == "/api/v6/pauses.json?take=3"
    assert first.headers["x-auth-token"] == simulator.access_token
    assert (second.ordinal, second.method, second.endpoint, second.status) == (1, "POST", "tickets", 405)
    simulator.clear()
    assert simulator.requests == []


def test_requests_in_flight_are_counted(simulator: Simulator) -> None:
    simulator.latency = 0.1
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: get(simulator, "pauses"), range(8)))
    assert simulator.max_in_flight == 4
    assert {each.in_flight for each in simulator.requests} <= {1, 2, 3, 4}
    simulator.clear()
    get(simulator, "pauses")
    assert simulator.max_in_flight == 1
    assert simulator.requests[0].seconds >= 0.1


def test_readers_at_the_same_time_get_whole_answers(simulator: Simulator) -> None:
    expected = names(simulator, "activities", sort=by("name"))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: names(simulator, "activities", sort=by("name")), range(24)))
    assert all(each == expected for each in found)


def test_stop_does_not_wait_for_hanging_requests() -> None:
    simulator = Simulator(generate(activities=20), faults=[Fault("timeout", hang=60)])
    with ThreadPoolExecutor(1) as pool:
        with simulator:
            waiting = pool.submit(get, simulator, "pauses")
            while not simulator.requests:
                time.sleep(0.005)
            idle = socket.create_connection(("127.0.0.1", int(simulator.url.rpartition(":")[2])))
            started = time.monotonic()
        assert time.monotonic() - started < 5
        idle.close()
        with pytest.raises(requests.ConnectionError):
            waiting.result()
        with pytest.raises(requests.ConnectionError):
            get(simulator, "pauses")


def test_a_simulator_can_start_again_on_its_port() -> None:
    simulator = Simulator(generate(activities=20))
    with simulator:
        get(simulator, "pauses")
        simulator.port = int(simulator.url.rpartition(":")[2])
    with simulator:
        assert get(simulator, "pauses").status_code == 200


@pytest.mark.filterwarnings("default")
def test_an_error_of_the_simulator_itself_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_simulator: Simulator, _request: Request) -> Answer:
        raise ZeroDivisionError

    monkeypatch.setitem(routes.ROUTES, "/broken", {"GET": broken})
    simulator = Simulator(generate(activities=20))
    simulator.start()
    with pytest.raises(requests.ConnectionError):
        ask(simulator, "GET", "/broken")
    with pytest.raises(RuntimeError, match="simulator itself"):
        simulator.stop()
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_an_endpoint_can_be_added_to_the_routes(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    def sync(_simulator: Simulator, request: Request) -> Answer:
        return as_json({"received": len(request.body), "keys": request.body_keys})

    monkeypatch.setitem(routes.ROUTES, "/custom/elsewhere.php", {"POST": sync})
    response = requests.post(f"{simulator.url}/custom/elsewhere.php", json={"data": []}, timeout=TIMEOUT)
    assert response.json() == {"received": 12, "keys": ["data"]}


def test_an_option_without_that_value_is_refused() -> None:
    with pytest.raises(ValueError, match="total_as must be one of"):
        Simulator(generate(activities=20), total_as="float")
    with pytest.raises(ValueError, match="ignored must be of gte, lt, skip, sort, take, not fields"):
        Simulator(generate(activities=20), ignored={"fields", "skip"})


def test_a_quota_refuses_what_is_over_it_until_the_span_is_over(simulator: Simulator) -> None:
    simulator.quota, simulator.quota_seconds = 2, 3600
    responses = [ask(simulator, "GET", "/api/v6/tickets.json") for _ in range(4)]
    assert [response.status_code for response in responses] == [200, 200, 429, 429]
    assert "Retry-After" not in responses[-1].headers
    simulator.quota_seconds = 0
    assert ask(simulator, "GET", "/api/v6/tickets.json").status_code == 200


@pytest.mark.parametrize("counts_refused", [False, True])
def test_a_quota_may_count_what_it_refuses(simulator: Simulator, counts_refused: bool) -> None:  # noqa: FBT001
    simulator.quota, simulator.quota_seconds, simulator.quota_counts_refused = 1, 0.4, counts_refused
    assert ask(simulator, "GET", "/api/v6/tickets.json").status_code == 200
    seen = set()
    for _ in range(8):
        time.sleep(0.1)
        seen.add(ask(simulator, "GET", "/api/v6/tickets.json").status_code)
    assert seen == ({429} if counts_refused else {200, 429})
