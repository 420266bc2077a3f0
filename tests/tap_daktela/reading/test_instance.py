from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tap_daktela.reading.instance import InstanceError
from tests.simulator import Fault, Simulator, generate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_daktela.reading.instance import Instance

    Connect = Callable[..., Instance]


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.fixture
def kolkata() -> Iterator[Simulator]:
    with Simulator(generate(activities=5, timezone="Asia/Kolkata", now="2026-03-10 12:00:00")) as simulator:
        yield simulator


def test_the_clock_and_the_zone_are_those_of_the_server(
    kolkata: Simulator, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    clock = connect(kolkata).clock("groups")
    assert clock.now == _at("2026-03-10T12:00:00+05:30")
    assert clock.now.tzinfo is UTC
    assert clock.zone.key == "Asia/Kolkata"
    assert _warnings(caplog) == []


def test_the_clock_is_requested_once(daktela: Simulator, connect: Connect) -> None:
    instance = connect(daktela)
    clock = instance.clock("groups")
    daktela.now = "2026-03-11 12:00:00"
    assert instance.clock("tickets") == clock
    assert [request.endpoint for request in daktela.requests] == ["whoim"]


def test_the_clock_is_that_of_the_user_who_signed_in(daktela: Simulator, connect: Connect) -> None:
    instance = connect(daktela, username="robot", password="secret")
    assert instance.clock("groups").now == _at("2026-03-10T12:00:00+01:00")
    assert instance.user
    assert [request.endpoint for request in daktela.requests] == ["login", "whoim"]


def test_the_signed_in_user_is_known_afterwards(daktela: Simulator, connect: Connect) -> None:
    instance = connect(daktela)
    assert instance.user == ""
    instance.clock("groups")
    assert instance.user == daktela.dataset.tables["users"][0]["name"]


def test_the_default_zone_applies_if_the_instance_names_none(
    kolkata: Simulator, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    kolkata.timezone_in_answer = False
    clock = connect(kolkata).clock("groups")
    assert clock.zone.key == "Europe/Prague"
    assert clock.now == _at("2026-03-10T12:00:00+01:00")
    assert _warnings(caplog) == []


def test_a_configured_zone_is_that_of_the_rows(kolkata: Simulator, connect: Connect) -> None:
    assert connect(kolkata, timezone="Europe/London").clock("groups").zone.key == "Europe/London"


@pytest.mark.parametrize("told", [True, False])
def test_a_zone_without_a_contradiction_causes_no_warning(
    kolkata: Simulator,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    told: bool,  # noqa: FBT001
) -> None:
    kolkata.timezone_in_answer = told
    assert connect(kolkata, timezone="Asia/Kolkata").clock("groups").zone.key == "Asia/Kolkata"
    assert _warnings(caplog) == []


def test_an_unknown_zone_of_the_instance_causes_a_warning(
    daktela: Simulator, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    daktela.dataset.timezone = "Europe/Brno"
    assert connect(daktela).clock("groups").zone.key == "Europe/Prague"
    assert any("Europe/Brno" in warning for warning in _warnings(caplog))


def test_in_a_repeated_hour_the_clock_shows_the_first_reading(daktela: Simulator, connect: Connect) -> None:
    daktela.now = "2026-10-25 02:30:00"
    assert connect(daktela).clock("groups").now == _at("2026-10-25T02:30:00+02:00")


@pytest.mark.parametrize("kind", ["400", "403", "404"])
def test_without_whoim_the_clock_comes_from_a_list_response(
    daktela: Simulator, connect: Connect, kind: str
) -> None:
    daktela.faults = [Fault(kind, endpoint="whoim", times=None)]
    instance = connect(daktela)
    assert instance.clock("tickets").now == _at("2026-03-10T12:00:00+01:00")
    assert instance.user == ""
    asked = daktela.requests[-1]
    assert (asked.endpoint, asked.query["take"]) == ("tickets", 1)


@pytest.mark.parametrize(
    ("kind", "told"), [("503", "answered 503"), ("redirect", "not followed"), ("reset", "closed the connection")]
)
def test_a_failed_instance_fails_all_streams_without_further_requests(
    daktela: Simulator, connect: Connect, kind: str, told: str
) -> None:
    daktela.faults = [Fault(kind, endpoint="*", times=None)]
    instance = connect(daktela)
    with pytest.raises(InstanceError, match=told) as first:
        instance.clock("groups")
    requests = len(daktela.requests)
    with pytest.raises(InstanceError) as second:
        instance.clock("tickets")
    assert str(first.value) == str(second.value)
    assert len(daktela.requests) == requests


@pytest.mark.parametrize(
    ("credentials", "told"),
    [
        ({"access_token": "hush"}, "check access_token"),
        ({"username": "robot", "password": "hush"}, "check username and password"),
    ],
)
def test_refused_credentials_are_one_error_that_names_the_setting(
    daktela: Simulator, connect: Connect, credentials: dict[str, str], told: str
) -> None:
    instance = connect(daktela, **credentials)
    for _ in range(2):
        with pytest.raises(InstanceError, match=told) as caught:
            instance.clock("groups")
        assert "hush" not in str(caught.value)
    count = len(daktela.requests)
    assert count == 1


def test_keys_have_a_prefix_unless_the_setting_forbids_it(daktela: Simulator, connect: Connect) -> None:
    assert connect(daktela).prefix == "acme_"
    assert connect(daktela, prefix_keys=False).prefix == ""


def test_no_request_is_made_before_the_first_use(daktela: Simulator, connect: Connect) -> None:
    instance = connect(daktela)
    assert (instance.server, instance.fetcher.outstanding) == ("acme", 0)
    assert daktela.requests == []


def test_a_warning_about_all_streams_is_logged_once(
    daktela: Simulator, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    instance = connect(daktela)
    for message in ("one", "two", "one"):
        instance.warn_once(message)
    assert _warnings(caplog) == ["acme: one", "acme: two"]
