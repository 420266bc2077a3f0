from __future__ import annotations

import gc
import gzip
import logging
import re
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import certifi
import msgspec
import pytest
import requests
from requests.adapters import HTTPAdapter
from typing_extensions import override

from tap_daktela.api.address import parse
from tap_daktela.api.auth import SignInError
from tap_daktela.api.client import Client, Credentials, HttpSettings
from tap_daktela.api.outcome import RequestError
from tap_daktela.api.query import Query
from tap_daktela.api.retry import RetryLimits, RetryPolicy
from tests.retries import QUICK
from tests.simulator import Fault, Simulator, generate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ATTEMPTS = QUICK.attempts
GROUPS = Query(endpoint="groups", fields=("name", "title"), sort=("name",), take=100)

ONCE = (
    *(
        "500",
        "502-html",
        "503",
        "429",
        "429-date",
        "429-negative",
        "reset",
        "close",
        "truncated",
        "truncated-json",
    ),
    *("html", "empty", "error-200", "no-result", "data-null"),
)
"""Faults that a retry avoids."""
REFUSED = {
    "400": "answered 400: title: Simulated: the request was refused",
    "403": "answered 403",
    "404": "answered 404",
    "redirect": "redirects to http://127.0.0.2 (302)",
}
"""Faults that a retry does not avoid, and their messages."""


def _client(
    simulator: Simulator, *, timeout: float = 10, retries: RetryPolicy = QUICK, **credentials: str
) -> Client:
    given = credentials or {"access_token": simulator.access_token}
    http = HttpSettings(timeout=timeout, user_agent="tap/1", retries=retries)
    return Client(parse(simulator.url), Credentials(**given), http)


def _by_password(simulator: Simulator) -> Client:
    return _client(simulator, username=simulator.username, password=simulator.password)


def _asked(simulator: Simulator) -> list[str]:
    return [request.endpoint or request.path for request in simulator.requests]


# Signing in.


def test_whoim_returns_the_user_of_a_token_and_the_clock(daktela: Simulator) -> None:
    identity = _client(daktela).identify()
    assert identity.user == daktela.dataset.tables["users"][0]["name"]
    assert (identity.time, identity.timezone) == (daktela.now, "Europe/Prague")
    assert _asked(daktela) == ["whoim"]


def test_a_token_for_which_whoim_returns_no_user_is_refused(daktela: Simulator) -> None:
    with pytest.raises(SignInError, match="check access_token") as caught:
        _client(daktela, access_token="hush").identify()
    assert daktela.url in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("shape", ["object", "string"])
@pytest.mark.parametrize("status", [200, 201])
def test_a_login_accepts_both_formats_of_a_token(daktela: Simulator, shape: str, status: int) -> None:
    daktela.login_shape, daktela.login_status = shape, status
    client = _by_password(daktela)
    identity = client.identify()
    assert identity.user
    assert (identity.time, identity.timezone) == (daktela.now, "Europe/Prague")
    assert len(client.page(GROUPS).rows) > 1
    assert _asked(daktela) == ["login", "whoim", "groups"]


def test_credentials_are_sent_in_a_json_body_and_request_only_the_token(daktela: Simulator) -> None:
    _by_password(daktela).identify()
    request = daktela.requests[0]
    assert (request.method, request.query_string) == ("POST", "")
    assert request.headers["content-type"] == "application/json"
    assert sorted(request.body_keys) == ["only_token", "password", "username"]


def test_a_wrong_password_names_the_settings_and_no_secret(daktela: Simulator) -> None:
    with pytest.raises(SignInError, match="check username and password") as caught:
        _client(daktela, username="robot", password="hush").identify()
    assert "'robot'" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert _asked(daktela) == ["login"]


@pytest.mark.parametrize(
    ("kind", "message"),
    [("400", "the request was refused"), ("403", "answered 403"), ("error-200", "Daktela says")],
)
def test_a_refused_login_is_reported_as_such(daktela: Simulator, kind: str, message: str) -> None:
    daktela.faults = [Fault(kind, endpoint="login", times=None)]
    with pytest.raises(SignInError, match=message):
        _by_password(daktela).identify()
    assert _asked(daktela) == ["login"]


def test_a_login_without_a_response_is_not_reported_as_a_wrong_password(daktela: Simulator) -> None:
    daktela.faults = [Fault("503", endpoint="login", times=None)]
    with pytest.raises(RequestError, match=r"POST login\.json"):
        _by_password(daktela).identify()
    assert _asked(daktela) == ["login"] * ATTEMPTS


def test_a_login_that_fails_once_is_retried(daktela: Simulator) -> None:
    daktela.faults = [Fault("503", endpoint="login"), Fault("no-result", endpoint="login")]
    assert _by_password(daktela).identify().user == "robot"


def test_an_expired_token_is_replaced_without_a_warning(daktela: Simulator) -> None:
    client = _by_password(daktela)
    client.identify()
    daktela.revoke()
    assert len(client.page(GROUPS).rows) > 1
    assert _asked(daktela) == ["login", "whoim", "groups", "login", "groups"]


def test_a_token_may_expire_any_number_of_times(daktela: Simulator) -> None:
    daktela.token_uses = 1
    client = _by_password(daktela)
    assert [len(client.page(GROUPS).rows) > 1 for _ in range(5)] == [True] * 5


def test_a_new_token_that_is_refused_ends_the_request(daktela: Simulator) -> None:
    daktela.token_uses = 0
    # Ends a loop of logins, so that the test fails instead of hanging.
    daktela.faults = [Fault("404", after=10, times=None)]
    with pytest.raises(RequestError, match="refused the token"):
        _by_password(daktela).page(GROUPS)
    assert _asked(daktela) == ["login", "groups", "login", "groups"]


def test_an_expired_static_token_names_its_setting(daktela: Simulator) -> None:
    daktela.faults = [Fault("401", times=None)]
    with pytest.raises(RequestError, match="check access_token") as caught:
        _client(daktela).page(GROUPS)
    assert caught.value.outcome.status == 401
    assert _asked(daktela) == ["groups"]


def test_a_password_that_was_changed_during_the_run_is_reported_as_such(daktela: Simulator) -> None:
    client = _by_password(daktela)
    client.identify()
    daktela.password = "another"
    daktela.revoke()
    with pytest.raises(SignInError, match="check username and password"):
        client.page(GROUPS)


def test_threads_whose_token_expires_sign_in_once(daktela: Simulator) -> None:
    client = _by_password(daktela)
    client.identify()
    daktela.revoke()
    together = threading.Barrier(8)

    def ask(_: int) -> int:
        together.wait()
        return len(client.page(GROUPS).rows)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert _asked(daktela).count("login") == 2


# Pages.


def test_a_page_has_the_rows_of_the_query(daktela: Simulator) -> None:
    page = _client(daktela).page(
        Query(endpoint="groups", fields=("name", "title"), sort=("-name",), skip=1, take=2)
    )
    rows = sorted(daktela.dataset.tables["groups"], key=lambda row: str(row["name"]).casefold(), reverse=True)
    expected = [{"name": row["name"], "title": row["title"]} for row in rows[1:3]]
    assert [msgspec.to_builtins(row) for row in page.rows] == expected
    assert (page.total, page.time, page.timezone) == (len(rows), daktela.now, "Europe/Prague")


def test_a_cached_request_is_sent_with_the_offset_and_the_token_of_each_page(
    daktela: Simulator,
) -> None:
    client = _by_password(daktela)
    queries = [
        replace(GROUPS, take=2, skip=skip, sort=sort) for sort in (("name",), ("-name",)) for skip in (0, 1, 3)
    ]
    for query in queries:
        client.page(query)
        daktela.revoke()
    answered = [request for request in daktela.requests if request.endpoint == "groups" and request.status == 200]
    assert [parse_qsl(request.query_string) for request in answered] == [query.parameters() for query in queries]
    assert len({request.headers["x-auth-token"] for request in answered}) == len(queries)


@pytest.mark.parametrize("habits", [{"data_as": "dict"}, {"total_as": "string"}, {"bom": True}])
def test_a_page_is_the_same_in_all_formats_of_the_server(daktela: Simulator, habits: dict[str, Any]) -> None:
    client = _client(daktela)
    usual = client.page(GROUPS)
    for name, value in habits.items():
        setattr(daktela, name, value)
    page = client.page(GROUPS)
    assert [*map(msgspec.to_builtins, page.rows)] == [*map(msgspec.to_builtins, usual.rows)]
    assert replace(page, rows=[]) == replace(usual, rows=[])


def test_the_path_prefix_of_an_instance_is_used() -> None:
    with Simulator(generate(activities=1), prefix="/daktela") as simulator:
        assert len(_by_password(simulator).page(GROUPS).rows) > 1


def test_a_request_has_a_user_agent_and_accepts_json(daktela: Simulator) -> None:
    _client(daktela).page(GROUPS)
    headers = daktela.requests[0].headers
    assert headers["user-agent"] == "tap/1"
    assert headers["accept"] == "application/json"
    assert headers["x-auth-token"] == daktela.access_token


@pytest.mark.parametrize("kind", ONCE)
def test_a_temporary_fault_takes_one_more_request(daktela: Simulator, kind: str) -> None:
    client = _client(daktela)
    usual = client.page(GROUPS)
    daktela.clear()
    daktela.faults = [Fault(kind, retry_after=0.01)]
    page = client.page(GROUPS)
    assert [*map(msgspec.to_builtins, page.rows)] == [*map(msgspec.to_builtins, usual.rows)]
    assert replace(page, rows=[]) == replace(usual, rows=[])
    assert _asked(daktela) == ["groups"] * 2


@pytest.mark.parametrize("kind", ONCE)
def test_a_permanent_fault_fails_the_request_after_all_attempts(daktela: Simulator, kind: str) -> None:
    daktela.faults = [Fault(kind, times=None, retry_after=0.01)]
    attempts = QUICK.rate_limit_attempts if kind.startswith("429") else ATTEMPTS
    with pytest.raises(RequestError, match=rf"\({attempts} attempts\)") as caught:
        _client(daktela).page(GROUPS)
    assert str(GROUPS) in str(caught.value)
    assert _asked(daktela) == ["groups"] * attempts


def test_the_last_attempt_may_succeed(daktela: Simulator) -> None:
    daktela.faults = [Fault("503", times=ATTEMPTS - 1)]
    assert len(_client(daktela).page(GROUPS).rows) > 1


@pytest.mark.parametrize(("kind", "message"), REFUSED.items())
def test_a_refused_request_is_not_retried(daktela: Simulator, kind: str, message: str) -> None:
    daktela.faults = [Fault(kind, times=None)]
    with pytest.raises(RequestError) as caught:
        _client(daktela).page(GROUPS)
    assert str(caught.value).startswith(f"Daktela {message}")
    assert _asked(daktela) == ["groups"]


def test_a_redirect_is_not_followed(daktela: Simulator) -> None:
    with Simulator(generate(activities=1)) as other:
        daktela.faults = [Fault("redirect", location=other.url, times=None)]
        with pytest.raises(RequestError, match="not followed"):
            _client(daktela).page(GROUPS)
        assert other.requests == []


def test_a_server_that_does_not_respond_times_out(daktela: Simulator) -> None:
    daktela.faults = [Fault("timeout", times=None)]
    with pytest.raises(RequestError, match=r"did not answer within 0\.05 s") as caught:
        _client(daktela, timeout=0.05).page(GROUPS)
    assert caught.value.outcome.status is None
    assert _asked(daktela) == ["groups"] * ATTEMPTS


def test_a_slow_response_is_accepted(daktela: Simulator) -> None:
    daktela.faults = [Fault("slow", delay=0.05)]
    assert len(_client(daktela).page(GROUPS).rows) > 1


def test_a_server_that_cannot_be_reached_is_reported_as_such() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    client = Client(
        parse(f"http://127.0.0.1:{port}"), Credentials(access_token="t"), HttpSettings(timeout=5, retries=QUICK)
    )
    with pytest.raises(RequestError, match="could not be reached"):
        client.page(GROUPS)


def test_the_wait_that_a_server_requests_is_observed(daktela: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    daktela.faults = [Fault("429", retry_after=0.25)]
    with caplog.at_level(logging.WARNING):
        _client(daktela).page(GROUPS)
    assert [record.getMessage() for record in caplog.records] == [
        "Daktela asked for fewer requests (429); attempt 2 of 10 follows in 0.2 s (GET groups.json, rows 0 to 99)"
    ]


@pytest.mark.parametrize(
    ("limits", "faults", "attempts"),
    [
        (RetryLimits(attempts=2), [Fault("503", times=None)], ["2 of 2"]),
        (RetryLimits(time_outs=2), [Fault("timeout", times=None)], ["2 of 2"]),
        (RetryLimits(time_outs=2), [Fault("503"), Fault("timeout", times=None)], ["2 of 6", "3 of 3"]),
        (RetryLimits(time_outs=2), [Fault("timeout"), Fault("503")], ["2 of 2", "3 of 6"]),
    ],
)
def test_the_reported_number_of_attempts_is_that_of_the_kind_of_failure(
    daktela: Simulator,
    caplog: pytest.LogCaptureFixture,
    limits: RetryLimits,
    faults: list[Fault],
    attempts: list[str],
) -> None:
    daktela.faults = faults
    with caplog.at_level(logging.WARNING), suppress(RequestError):
        _client(daktela, timeout=0.3).page(GROUPS, limits=limits)
    assert re.findall(r"attempt (\d of \d) follows", caplog.text) == attempts


@pytest.mark.parametrize("kind", ["429-negative", "429"])
def test_a_requested_wait_does_not_shorten_the_usual_one(
    daktela: Simulator, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    daktela.faults = [Fault(kind, retry_after=0.01)]
    with caplog.at_level(logging.WARNING):
        _client(daktela, retries=RetryPolicy(first_wait=0.2)).page(GROUPS)
    (message,) = [record.getMessage() for record in caplog.records]
    assert re.search(r"follows in 0\.[12] s", message)


def test_a_cancelled_request_is_not_retried(daktela: Simulator) -> None:
    daktela.faults = [Fault("503", times=None)]
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(RequestError):
        _client(daktela).page(GROUPS, cancelled=cancelled)
    assert _asked(daktela) == ["groups"]


def test_cancelling_ends_a_long_wait_and_the_request(daktela: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    daktela.faults = [Fault("429", times=None, retry_after=60)]
    cancelled = threading.Event()
    client = _client(daktela)
    with ThreadPoolExecutor(1) as pool:
        page = pool.submit(client.page, GROUPS, cancelled=cancelled)
        while not caplog.records:
            time.sleep(0.001)
        cancelled.set()
        with pytest.raises(RequestError):
            page.result(timeout=30)
    assert _asked(daktela) == ["groups"]


# Secrets.


def test_no_failure_logs_or_reports_a_secret(daktela: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    daktela.faults = [Fault(kind, endpoint="*", retry_after=0.01) for kind in (*ONCE, "401", *REFUSED)]
    messages = []
    with caplog.at_level(logging.DEBUG):
        for client in (_by_password(daktela), _client(daktela)):
            for _ in range(12):
                try:
                    client.page(GROUPS)
                except (RequestError, SignInError) as error:
                    messages.append(f"{error} {error!r}")
    assert messages
    secrets = {daktela.access_token, daktela.password, *daktela.tokens.by_access}
    text = caplog.text + "".join(messages)
    assert len(daktela.requests) > 20
    assert not [secret for secret in secrets if secret in text]
    assert not [secret for secret in secrets for request in daktela.requests if secret in request.target]


def test_the_representation_of_credentials_has_no_secret() -> None:
    assert "hush" not in repr(Credentials(access_token="hush", username="robot", password="hush"))


def test_nothing_is_taken_from_netrc(daktela: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password hush\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    _by_password(daktela).page(GROUPS)
    assert not [request for request in daktela.requests if "authorization" in request.headers]


@pytest.mark.parametrize("token", ["hush\nhush", "hu\u0161h"])
def test_a_token_that_is_not_valid_in_a_header_is_not_reported(daktela: Simulator, token: str) -> None:
    with pytest.raises(RequestError, match="could not be requested") as caught:
        _client(daktela, access_token=token).page(GROUPS)
    assert "hu" not in str(caught.value).replace("could not be requested", "")
    assert daktela.requests == []


class _Recorder(HTTPAdapter):
    """Records how requests would be sent, and sends none."""

    def __init__(self) -> None:
        super().__init__()
        self.verify: list[Any] = []
        self.proxies: list[Any] = []

    @override
    def send(self, request: Any, *_: Any, **options: Any) -> requests.Response:
        self.verify.append(options["verify"])
        self.proxies.append(options["proxies"].get("https"))
        raise requests.exceptions.InvalidURL(request.url)


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("bundle", ["", certifi.where()])
def test_certificates_are_verified_according_to_the_setting_and_the_environment(
    monkeypatch: pytest.MonkeyPatch,
    wanted: bool,  # noqa: FBT001
    bundle: str,
) -> None:
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    http = HttpSettings(verify_tls=wanted)
    client = Client(parse("https://acme.example.com"), Credentials(access_token="t"), http)
    recorder = _Recorder()
    client._session.mount("https://", recorder)
    with pytest.raises(RequestError):
        client.page(GROUPS)
    assert recorder.verify == [(bundle or True) if wanted else False]


@pytest.mark.parametrize(("excepted", "expected"), [("", "http://proxy.example.com:3128"), (".example.com", None)])
def test_proxies_of_the_environment_are_used_for_every_request_and_searched_once(
    monkeypatch: pytest.MonkeyPatch, excepted: str, expected: str | None
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("no_proxy", excepted)
    client = Client(parse("https://acme.example.com"), Credentials(access_token="t"), HttpSettings(retries=QUICK))
    recorder = _Recorder()
    client._session.mount("https://", recorder)
    for _ in range(2):
        with pytest.raises(RequestError):
            client.page(GROUPS)
        monkeypatch.setenv("https_proxy", "http://other.example.com:3128")
    assert recorder.proxies == [expected] * 2


class _Raw(ThreadingHTTPServer):
    """A server that answers requests with the given bytes, and further ones with the last of them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _RawHandler)
        self.answers: list[bytes] = []
        self.cookies: list[str | None] = []
        """The cookie header of each request."""


class _RawHandler(BaseHTTPRequestHandler):
    server: _Raw

    def do_GET(self) -> None:
        self.server.cookies.append(self.headers.get("Cookie"))
        self.close_connection = True
        self.wfile.write(self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0])

    @override
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def raw() -> Iterator[_Raw]:
    with _Raw() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _raw_client(server: _Raw) -> Client:
    return Client(
        parse(f"http://127.0.0.1:{server.server_port}"), Credentials(access_token="t"), HttpSettings(retries=QUICK)
    )


_GOOD = b'{"error": [], "result": {"data": [{"name": "a"}], "total": 1}}'


def _answer(body: bytes, *headers: bytes) -> bytes:
    lines = (b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers, b"", body)
    return b"\r\n".join(lines)


_USUAL = _answer(_GOOD)


def test_a_cookie_is_never_sent_back(raw: _Raw) -> None:
    raw.answers = [_answer(_GOOD, b"Set-Cookie: c_user=somebody; Path=/")]
    client = _raw_client(raw)
    # The request for a list is prepared once, so a cookie in it would be sent with later pages.
    for query in (GROUPS, GROUPS, replace(GROUPS, endpoint="users")):
        client.page(query)
    assert raw.cookies == [None, None, None]


def test_a_request_with_a_damaged_compressed_response_is_retried(raw: _Raw) -> None:
    body = gzip.compress(_GOOD, mtime=0)
    damaged = body[:20] + b"?" * 20 + body[40:]
    raw.answers = [_answer(each, b"Content-Encoding: gzip") for each in (damaged, body)]
    [row] = _raw_client(raw).page(GROUPS).rows
    assert msgspec.to_builtins(row) == {"name": "a", "title": None}
    assert len(raw.cookies) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n" + _GOOD,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 7\r\n\r\n" + _GOOD,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + _GOOD,
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 503 \r\nRetry-After: Mon, 01 Jan 99999999999999 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
        b"",
    ],
)
def test_a_request_with_a_malformed_response_is_retried(raw: _Raw, answer: bytes) -> None:
    raw.answers = [answer, _USUAL]
    [row] = _raw_client(raw).page(GROUPS).rows
    assert msgspec.to_builtins(row)["name"] == "a"
    assert len(raw.cookies) == 2


@pytest.mark.parametrize("odd", [b"X-Powered-By PHP", b"X\xff: \xff", b": nothing"])
@pytest.mark.promise("T6")
def test_invalid_headers_are_not_logged(raw: _Raw, odd: bytes, caplog: pytest.LogCaptureFixture) -> None:
    raw.answers = [_answer(_GOOD, odd, b"Set-Cookie: c_user=hush-hush")]
    with caplog.at_level(logging.DEBUG):
        assert len(_raw_client(raw).page(GROUPS).rows) == 1
    assert "hush-hush" not in caplog.text
    assert not [record for record in caplog.records if record.exc_info]
    assert any(record.name.startswith("urllib3") for record in caplog.records)


def test_a_request_with_an_invalid_header_is_not_retried(raw: _Raw) -> None:
    raw.answers = [_USUAL]
    address = parse(f"http://127.0.0.1:{raw.server_port}")
    for credentials, agent in (("a\nb", "tap"), ("t", "a\nb"), ("\u0159", "tap"), (" t", "tap")):
        client = Client(address, Credentials(access_token=credentials), HttpSettings(user_agent=agent))
        with pytest.raises(RequestError, match="could not be requested") as caught:
            client.page(GROUPS)
        assert not caught.value.repeated
        assert "a\nb" not in str(caught.value)
        assert "\u0159" not in str(caught.value)
    assert raw.cookies == []


def test_the_body_of_a_sent_request_is_released(daktela: Simulator) -> None:
    client = _client(daktela)
    body = b'{"data": [%s]}' % (b" " * 1_000)
    before = sys.getrefcount(body)
    gc.disable()
    try:
        client.post("/custom/crm/sync.php", body, RetryLimits())
        assert sys.getrefcount(body) == before
    finally:
        gc.enable()


def test_a_successful_request_leaves_no_reference_cycles(daktela: Simulator) -> None:
    client = _client(daktela)
    client.page(GROUPS)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        client.page(GROUPS)
        gc.collect()
        # The simulator runs in the same process; its objects do not count.
        left = [each for each in gc.garbage if type(each).__module__.startswith("tap_daktela")]
        assert not left
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
