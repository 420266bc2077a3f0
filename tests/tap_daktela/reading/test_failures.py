"""T2: if a page cannot be fetched, the stream stops for that instance with one message; the others are read."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tap_daktela.reading.failures import Failures
from tests.simulator import Fault, Simulator, generate
from tests.simulator.query import Condition, parse_query
from tests.tap_daktela import original
from tests.tap_daktela.running import Run, run_tap, select, settings

if TYPE_CHECKING:
    from tests.simulator import Request

PASSING = (
    *(
        "500",
        "502-html",
        "503",
        "429",
        "429-date",
        "429-negative",
        "401",
        "timeout",
        "reset",
        "close",
        "truncated",
    ),
    *("truncated-json", "html", "empty", "error-200", "no-result", "data-null"),
)
FINAL = (*PASSING, "400", "403", "404", "redirect")
WORDS = {
    "500": "answered 500",
    "502-html": "answered 502",
    "503": "answered 503",
    "429": "fewer requests (429)",
    "429-date": "fewer requests (429)",
    "429-negative": "fewer requests (429)",
    "401": "refused the token (401)",
    "timeout": "did not answer within 0.3 s",
    "reset": "closed the connection",
    "close": "closed the connection",
    "truncated": "closed the connection",
    "truncated-json": "cut off",
    "html": "HTML page",
    "empty": "empty response",
    "error-200": "answered 200 with an error: Simulated",
    "no-result": "without a result",
    "data-null": "without a list of rows",
    "400": "answered 400: title: Simulated: the request was refused",
    "403": "right to read",
    "404": "has no",
    "redirect": "redirects to http://127.0.0.2",
}


def run_with(faults: list[Fault], **options: object) -> tuple[Simulator, Run]:
    dataset = generate(activities=900, tickets=200, seed=8)
    with Simulator(dataset, faults=faults) as simulator:
        config = {"url": simulator.url, "server": "acme", "username": "robot", "password": "secret"}
        run = run_tap({**config, "page_size": 60, "request_timeout": 0.3, **options})
    return simulator, run


@pytest.mark.parametrize("kind", PASSING)
@pytest.mark.promise("T2")
def test_a_fault_that_passes_costs_nothing(kind: str) -> None:
    faults = [Fault(kind, endpoint, after=after, hang=1, retry_after=0) for endpoint, after in _PLACES]
    simulator, run = run_with(faults)
    assert all(fault.fired == 1 for fault in faults)
    assert run.code == 0, run.log
    assert not run.errors
    for stream in original.DEFAULT:
        assert set(run.keys(stream)) == original.keys(simulator.dataset, stream), stream


# Far apart on each endpoint: a request that has failed is not to be the one that fails next.
_PLACES = (("tickets", 0), ("tickets", 2), ("activities", 3), ("activities", 24), ("accounts", 0), ("queues", 0))


@pytest.mark.parametrize("kind", FINAL)
@pytest.mark.promise("T2")
def test_a_fault_for_good_ends_one_stream_and_no_other(kind: str) -> None:
    faults = [
        Fault(kind, "activities", times=None, after=4, type="CALL", hang=1, retry_after=0),
        Fault(kind, "templates", times=None, hang=1, retry_after=0),
    ]
    simulator, run = run_with(faults)
    assert run.code == 1
    *failures, summary = run.errors
    assert len(failures) == 2, run.errors
    for stream, line in zip(("activities_call", "templates"), failures, strict=True):
        assert line.startswith(f"{stream} (acme): ")
        assert WORDS[kind] in line
        assert f"GET {'templates' if stream == 'templates' else 'activities'}.json" in line
    assert "time < 2026-03-10 11:30:00 and type = CALL" in failures[0], "the window is named"
    assert summary.startswith("not everything could be read: activities_call (acme): Daktela ")
    assert "; templates (acme): Daktela " in summary
    assert "Everything else is complete" in summary
    assert "Traceback" not in run.log
    for stream in original.DEFAULT:
        if stream not in {"activities_call", "templates"}:
            assert set(run.keys(stream)) == original.keys(simulator.dataset, stream), stream
            assert stream not in original.CURSORS or run.bookmark(stream) == "2026-03-10T10:30:00+00:00"
    assert run.bookmark("activities_call") is None


@pytest.mark.parametrize("after", range(2, 40, 6))
@pytest.mark.promise("T2")
def test_the_state_does_not_pass_the_gap(after: int) -> None:
    """Whatever page fails for good: what the bookmark says has been read, has been emitted."""
    dataset = generate(activities=3000, tickets=10, seed=9)
    fault = Fault("500", "activities", times=None, after=after, type="CALL")
    with Simulator(dataset, faults=[fault]) as simulator:
        config = settings(simulator, page_size=20, lookback_minutes=0)
        run = run_tap(config)
        fault.times = 0
        again = run_tap(config, state=run.state)
    assert (run.code, again.code) == (1, 0), again.log
    bookmark = run.bookmark("activities_call")
    passed = (
        datetime.fromisoformat(bookmark).astimezone().astimezone(UTC).isoformat()
        if bookmark
        else "2000-01-01T00:00:00+00:00"
    )
    early = {
        original.key(row, "activities_call")
        for row in original.rows(dataset, "activities_call")
        if _utc(row["time"]) < passed
    }
    assert early <= set(run.keys("activities_call"))
    union = set(run.keys("activities_call")) | set(again.keys("activities_call"))
    assert union == original.keys(dataset, "activities_call")
    assert run.bookmark("activities") == "2026-03-10T10:30:00+00:00"


def _utc(local: str) -> str:
    """Return a local winter time of Prague in UTC."""
    return datetime.fromisoformat(f"{local}+01:00").astimezone(UTC).isoformat()


@pytest.mark.promise("T2")
def test_a_failing_instance_does_not_keep_others_from_being_read() -> None:
    with (
        Simulator(generate(activities=200, tickets=20, seed=1)) as good,
        Simulator(generate(activities=50, tickets=5, seed=2)) as bad,
    ):
        bad.faults.append(Fault("503", "tickets", times=None))
        instances = [settings(bad, server="bad"), settings(good, server="good")]
        run = run_tap({"instances": instances})
        servers = {record["server"] for record in run.records["tickets"]}
        assert run.code == 1
        assert servers == {"good"}
        assert {record["server"] for record in run.records["accounts"]} == {"good", "bad"}
        assert run.bookmark("tickets", "bad") is None
        assert run.bookmark("tickets", "good") is not None
        assert run.bookmark("activities", "bad") is not None
        assert [line for line in run.errors if line.startswith("tickets (bad): ")]


@pytest.mark.promise("T2")
def test_an_unreachable_instance_is_reported_once() -> None:
    with Simulator(generate(activities=50, tickets=5, seed=2)) as good:
        gone = {"url": "http://127.0.0.1:9", "server": "gone", "access_token": "x" * 40}
        run = run_tap({"instances": [gone, settings(good, server="good")]})
    assert run.code == 1
    lines = [line for line in run.errors if line.startswith("gone: ")]
    assert len(lines) == 1
    assert "could not be reached" in lines[0]
    assert {record["server"] for record in run.records["tickets"]} == {"good"}


@pytest.mark.promise("T2")
def test_a_token_that_expires_is_renewed_once() -> None:
    dataset = generate(activities=900, tickets=100, seed=1)
    with Simulator(dataset, faults=[Fault("401", "activities", times=1, after=3)]) as simulator:
        run = run_tap({"url": simulator.url, "server": "acme", "username": "robot", "password": "secret"})
    logins = [request for request in simulator.requests if request.endpoint == "login"]
    assert run.code == 0, run.log
    assert len(logins) == 2


@pytest.mark.promise("T2")
def test_a_static_token_that_expires_says_so_and_stops() -> None:
    fault = Fault("401", "activities", times=None, after=3)
    with Simulator(generate(activities=900, tickets=100, seed=1), faults=[fault]) as simulator:
        run = run_tap(settings(simulator, page_size=50))
    assert run.code == 1
    assert "check access_token" in run.errors[0]
    assert fault.fired <= 40, "and is not asked again and again"


@pytest.mark.promise("T2")
def test_a_400_stops_at_once() -> None:
    fault = Fault("400", "groups", times=None)
    with Simulator(generate(activities=50, tickets=5, seed=1), faults=[fault]) as simulator:
        run = run_tap(settings(simulator))
    assert run.code == 1
    # Once for the page, and once without the fields that only older builds have.
    assert fault.fired == 2


@pytest.mark.promise("T2")
def test_fields_that_a_build_refuses_are_given_up_loudly() -> None:
    dataset = generate(activities=300, tickets=30, seed=1)
    with Simulator(dataset, unknown_fields="refuse") as simulator:
        run = run_tap(settings(simulator))
    assert run.code == 0, run.log
    assert [
        line
        for line in run.warnings
        if "tickets (acme): this instance refuses fields" in line and "sla_notify" in line
    ]
    assert set(run.keys("tickets")) == original.keys(dataset, "tickets")


@pytest.mark.parametrize("lines", [0, 1, 400, 2000])
@pytest.mark.promise("T2")
def test_sigterm_ends_with_143_and_the_state_reached(lines: int) -> None:
    dataset = generate(activities=3000, tickets=300, seed=1)
    with Simulator(dataset, latency=0.01) as simulator:
        config = settings(simulator, page_size=10, lookback_minutes=0)
        run = run_tap(config, stop_after=lines, stop_with=signal.SIGTERM)
        again = run_tap(config, state=run.state)
    assert run.code == 143 if lines else run.code in {143, -signal.SIGTERM}
    assert "Traceback" not in run.log
    for stream in original.DEFAULT:
        before = set(run.keys(stream)) if stream in run.schemas else set()
        assert before | set(again.keys(stream)) == original.keys(dataset, stream), stream


# The last line of a run.


@pytest.mark.parametrize(
    ("streams", "head", "rest"),
    [
        (("tickets", "queues"), "not everything could be read: ", "Everything else is complete. "),
        (("tickets",), "nothing could be read completely: ", ""),
    ],
)
def test_the_last_line_repeats_the_reason_and_says_what_else_is_complete(
    streams: tuple[str, ...], head: str, rest: str
) -> None:
    dataset = generate(activities=50, tickets=5, seed=1)
    with Simulator(dataset, faults=[Fault("403", "tickets", times=None)]) as simulator:
        run = run_tap(settings(simulator), catalog=select(*streams))
    assert run.code == 1
    reason, last = run.errors
    assert reason.startswith("tickets (acme): Daktela answered 403 ")
    end = "The state stops before the missing data, and the next run reads it again"
    assert last == f"{head}{reason}. {rest}{end}"
    assert run.log.splitlines()[-1].endswith(last)


def test_the_last_line_of_a_run_that_read_nothing_does_not_say_that_anything_is_complete() -> None:
    gone = [{"url": "http://127.0.0.1:9", "server": server, "access_token": "x" * 40} for server in ("a", "b")]
    run = run_tap({"instances": gone})
    assert run.code == 1
    first, second, last = run.errors
    assert last.startswith(f"nothing could be read completely: {first}; {second}. The state stops before ")


def test_an_instance_that_fails_halfway_leaves_earlier_streams_complete() -> None:
    dataset = generate(activities=50, tickets=5, seed=1)
    fault = Fault("401", "groups", times=None)
    with Simulator(dataset, faults=[fault, Fault("401", "login", after=1, times=None)]) as simulator:
        run = run_tap({"url": simulator.url, "server": "acme", "username": "robot", "password": "secret"})
    assert run.code == 1
    reason, last = run.errors
    assert reason.startswith("acme: ")
    assert last.startswith(f"not everything could be read: {reason}. Everything else is complete")


PARTS = [(f"stream{number}", "acme") for number in range(9)]


def test_the_last_line_is_bounded() -> None:
    failures = Failures()
    for stream, server in PARTS:
        failures.add(stream, [server], "Daktela said no. " * 1000)
    line = failures.summary(PARTS)
    assert len(line) < 1_200
    assert line.count("stream") == 5
    assert "; and 4 more, see above. The state" in line
    alone = Failures()
    alone.add("tickets", ["acme"], "Daktela said no. " * 1000)
    assert 900 < len(alone.summary([("tickets", "acme")])) < 1_200


def test_the_same_failure_is_logged_once() -> None:
    failures = Failures()
    assert not failures
    assert failures.add("tickets", ["acme", "emea"], "x") == "tickets (acme, emea): x"
    assert failures.add("queues", ["acme"], "no such host", of_instance=True) == "acme: no such host"
    assert failures.add("groups", ["acme"], "no such host", of_instance=True) == ""
    assert failures
    assert "Everything else" not in failures.summary([("tickets", "acme"), ("groups", "acme")])
    assert "Everything else" in failures.summary([("tickets", "acme"), ("groups", "emea")])


def test_a_firewall_s_page_is_not_a_missing_right() -> None:
    fault = Fault("403-html", "groups", times=None, message="Access denied")
    with Simulator(generate(activities=50, tickets=5, seed=1), faults=[fault]) as simulator:
        run = run_tap(settings(simulator))
    assert run.code == 1
    assert run.errors[0].startswith(
        "groups (acme): Daktela answered 403 with a web page, 'Access denied', so not Daktela itself but "
        "something in front of it did, such as a firewall, a proxy or a list of allowed IP addresses; have this "
        "machine's address allowed (GET groups.json"
    )
    assert "right to read" not in run.log


def test_a_firewall_in_front_of_an_instance_is_reported_once() -> None:
    fault = Fault("403-html", "*", times=None, message="Access denied")
    with Simulator(generate(activities=50, tickets=5, seed=1), faults=[fault]) as simulator:
        run = run_tap(settings(simulator))
    assert run.code == 1
    assert len([line for line in run.errors if "have this machine's address allowed" in line]) <= 2
    assert fault.fired == 1


@pytest.mark.parametrize("agent", ["two\nlines", "caf\u00e9", " padded"])
def test_a_user_agent_that_cannot_be_sent_names_its_setting(agent: str) -> None:
    run = run_tap({"server": "acme", "access_token": "x" * 40, "user_agent": agent})
    assert run.code == 1
    assert run.errors[0].startswith("user_agent: must be one line of ASCII characters")


# Pages that are too large for the server.


@pytest.mark.parametrize("kind", ["504", "timeout", "500", "truncated", "truncated-json", "empty"])
@pytest.mark.promise("T2")
def test_pages_that_are_too_large_for_the_server_are_read_in_smaller_ones(kind: str) -> None:
    fault = Fault(kind, times=None, above=40, hang=1)
    simulator, run = run_with([fault], page_size=150)
    assert run.code == 0, run.log
    for stream in original.DEFAULT:
        assert set(run.keys(stream)) == original.keys(simulator.dataset, stream), stream
    told = [line for line in run.warnings if line.startswith("activities (acme): pages of 150 rows are too large")]
    assert len(told) == 1
    assert "reading pages of 37 rows. Set page_size to 37" in told[0]
    # Only the pages that were requested before the first one had failed: not each page of a stream.
    assert fault.fired < 200
    sizes = [request.query["take"] for request in simulator.requests if request.query.get("take")]
    assert sizes.count(37) > 40


@pytest.mark.promise("T2")
def test_a_stream_whose_pages_become_too_large_is_read_in_smaller_ones() -> None:
    dataset = generate(activities=900, tickets=20, seed=8)
    middle = sorted(row["time"] for row in dataset.tables["activities"])[450]
    fault = Fault("504", "activities", times=None, above=40, matches=lambda request: _reaches(request, middle))
    with Simulator(dataset, faults=[fault]) as simulator:
        run = run_tap(settings(simulator, page_size=100), catalog=select("activities"))
    assert run.code == 0, run.log
    assert fault.fired
    assert set(run.keys("activities")) == original.keys(dataset, "activities")


def _reaches(request: Request, time: str) -> bool:
    """Whether a page of the first window begins in the second half, or is from there on."""
    query = parse_query(request.query_string)
    starts = [entry.value for entry in query.filters if isinstance(entry, Condition) and entry.operator == "gte"]
    return query.skip >= 400 or any(str(start) >= time for start in starts)


@pytest.mark.parametrize(
    ("kind", "word", "named"),
    [
        ("504", "answered 504 (2 attempts)", "(see page_size and request_timeout)"),
        ("timeout", "did not answer within 0.3 s (2 attempts)", "(see page_size and request_timeout)"),
        ("truncated-json", "cut off or not JSON (6 attempts)", "(see page_size)"),
        ("500", "answered 500: Simulated: the request was refused (6 attempts)", "(see page_size)"),
    ],
)
@pytest.mark.promise("T2")
def test_a_page_that_fails_with_few_rows_too_names_the_setting(kind: str, word: str, named: str) -> None:
    fault = Fault(kind, "templates", times=None, hang=1)
    _, run = run_with([fault], page_size=100)
    assert run.code == 1
    assert word in run.errors[0]
    assert f"requests for fewer rows, down to 10, failed, too {named} (GET templates.json" in run.errors[0]
    assert fault.fired == {"504": 4, "timeout": 4}.get(kind, 8)
