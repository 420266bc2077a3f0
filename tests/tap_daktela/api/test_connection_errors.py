"""The messages for requests without a response: what happened, and which setting to check."""

from __future__ import annotations

import errno
import os
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import requests
from urllib3.exceptions import NewConnectionError, ReadTimeoutError

from tap_daktela.api.address import parse
from tap_daktela.api.client import Client, Credentials, HttpSettings
from tap_daktela.api.connection_errors import classify_exception
from tap_daktela.api.outcome import Action, RequestError
from tap_daktela.api.query import Query
from tap_daktela.api.redaction import redact
from tap_daktela.api.session import Route
from tests.raw_server import CERTIFICATES, raw_server, response
from tests.retries import QUICK
from tests.simulator import Simulator, generate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUERY = Query(endpoint="groups", fields=("name",), sort=("name",), take=100)
GOOD = response(b'{"error": [], "result": {"data": [{"name": "a"}], "total": 1}}')
TOKEN = "feedface0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore proxies and certificates of the machine that runs the tests."""
    for name in [*os.environ]:
        if name.lower().endswith("_proxy") or name in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}:
            monkeypatch.delenv(name)


def _client(url: str, *, verify_tls: bool = True, allow_http: bool = False) -> Client:
    http = HttpSettings(timeout=5, verify_tls=verify_tls, retries=QUICK)
    return Client(parse(url, allow_http=allow_http), Credentials(access_token=TOKEN), http)


def _error(url: str, **options: bool) -> RequestError:
    with pytest.raises(RequestError) as caught:
        _client(url, **options).page(QUERY)
    message = str(caught.value)
    assert "\n" not in message
    assert TOKEN not in message
    return caught.value


# The network.


def test_a_refused_connection_is_explained() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = _error(f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert str(error).startswith("Daktela could not be reached (the connection was refused) (6 attempts)")


def test_a_host_that_does_not_exist_names_the_settings() -> None:
    error = _error("https://nowhere.invalid")
    assert "Daktela was not found (no such host: nowhere.invalid) (6 attempts); check url and server" in str(error)
    assert error.outcome.action is Action.RETRY


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.EHOSTUNREACH, "no route"), (errno.EMFILE, "raise ulimit -n"), (errno.EACCES, "does not permit")],
)
def test_an_error_of_the_operating_system_is_explained(
    monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def fail(*_: object, **__: object) -> socket.socket:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("urllib3.util.connection.create_connection", fail)
    assert message in str(_error("http://127.0.0.1:9"))


def test_an_unknown_error_of_the_library_names_its_kind_only() -> None:
    route = Route({}, "acme.daktela.com")
    outcome = classify_exception(requests.exceptions.InvalidURL(TOKEN), route, 5)
    assert (outcome.action, outcome.text) == (Action.FAIL, "Daktela could not be requested: InvalidURL")
    assert classify_exception(ReadTimeoutError(None, "/", TOKEN), route, 5).timed_out  # type: ignore[arg-type]
    outcome = classify_exception(NewConnectionError(None, TOKEN), route, 5)  # type: ignore[arg-type]
    assert outcome.text == "Daktela could not be reached"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
def test_a_response_that_is_not_http_is_explained(answer: bytes) -> None:
    with raw_server(lambda _: [answer]) as server:
        error = _error(server.url)
    assert str(error).startswith("Daktela sent a response that cannot be read (6 attempts)")


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"HTTP/1.1 200 OK\r\nX"]
)
def test_a_connection_that_ends_early_is_explained(answer: bytes) -> None:
    with raw_server(lambda _: [answer]) as server:
        error = _error(server.url)
    assert str(error).startswith(("Daktela closed the connection (6 attempts)", "Daktela sent an empty response"))


# Certificates.


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.parametrize(
    ("certificate", "bundle", "message"),
    [
        ("trusted", False, "its issuer is unknown; set REQUESTS_CA_BUNDLE to a file"),
        ("expired", True, "a TLS certificate that has expired; have it renewed, or check this machine's clock"),
        ("future", True, "a TLS certificate that is not valid yet; check this machine's clock"),
        ("other_name", True, "a TLS certificate for another name than 127.0.0.1; check url and server"),
    ],
)
def test_a_certificate_that_cannot_be_verified_says_why(
    monkeypatch: pytest.MonkeyPatch,
    certificate: str,
    bundle: bool,  # noqa: FBT001
    message: str,
) -> None:
    if bundle:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATES / "authority.pem"))
    with raw_server(lambda _: [GOOD], certificate=certificate) as server:
        error = _error(server.url)
        assert server.heads == [], "the token was not sent"
        assert len(_client(server.url, verify_tls=False).page(QUERY).rows) == 1
    assert message in str(error)
    assert error.outcome.action is Action.FAIL


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("folder", [False, True])
def test_an_issuer_in_the_environment_is_trusted(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
    folder: bool,  # noqa: FBT001
) -> None:
    path = CERTIFICATES / "authority.pem"
    if folder:
        # The file name that OpenSSL expects: `openssl x509 -hash`.
        (tmp_path / "b9fb2c12.0").write_bytes(path.read_bytes())
        path = tmp_path
    monkeypatch.setenv(variable, str(path))
    with raw_server(lambda _: [GOOD], certificate="trusted") as server:
        assert len(_client(server.url).page(QUERY).rows) == 1


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("no certificate", "is not a file of certificates in PEM format"),
        ("", "is not a file of certificates in PEM format"),
    ],
)
def test_an_invalid_certificate_file_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, content: str | None, message: str
) -> None:
    path = tmp_path / "authority.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv(variable, str(path))
    error = _error("https://127.0.0.1:9")
    assert str(error).startswith(
        f"{variable}: {path} {message}; set it to a readable file, or unset it (GET groups"
    )
    assert not error.repeated


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_certificate_files_are_ignored_without_tls_or_verification(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent.pem")
    with raw_server(lambda _: [GOOD]) as plain, raw_server(lambda _: [GOOD], certificate="trusted") as secured:
        assert len(_client(plain.url).page(QUERY).rows) == 1
        assert len(_client(secured.url, verify_tls=False).page(QUERY).rows) == 1


def test_a_server_without_tls_is_explained() -> None:
    with Simulator(generate(activities=1)) as simulator:
        error = _error(simulator.url.replace("http:", "https:"))
    assert "Daktela failed in the TLS handshake" in str(error)
    assert "check the scheme and the port of the url" in str(error)


# Proxies.


@contextmanager
def _proxy(status: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Answer CONNECT with `status`, and connect if that is 200."""
    heads: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(65536):
                sink.sendall(part)
            sink.shutdown(socket.SHUT_WR)

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            head = connection.recv(65536)
            heads.append(head)
            connection.sendall(b"HTTP/1.1 " + status + b"\r\n\r\n")
            if status.startswith(b"200"):
                host, _, port = head.split()[1].partition(b":")
                with socket.create_connection((host.decode(), int(port))) as other:
                    back = threading.Thread(target=pump, args=(other, connection))
                    back.start()
                    pump(connection, other)
                    back.join()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], heads
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_a_proxy_is_used_for_https_and_sees_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATES / "authority.pem"))
    with raw_server(lambda _: [GOOD], certificate="trusted") as server, _proxy(b"200 OK") as (port, heads):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        assert len(_client(server.url).page(QUERY).rows) == 1
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert len(_client(server.url).page(QUERY).rows) == 1
    [head] = heads
    assert head.startswith(f"CONNECT 127.0.0.1:{server.port} ".encode())
    assert TOKEN.encode() not in head


@pytest.mark.parametrize(
    ("status", "message", "attempts"),
    [
        (
            b"407 Proxy Authentication Required",
            "asks for a user name and password (407); put them into HTTPS_PROXY",
            1,
        ),
        (b"403 Forbidden", "did not connect to acme.example (403); have the host allowed there", 1),
        (b"502 Bad Gateway", "did not connect to acme.example (502); have the host allowed there", QUICK.attempts),
    ],
)
def test_a_proxy_that_refuses_to_connect_is_named(
    monkeypatch: pytest.MonkeyPatch, status: bytes, message: str, attempts: int
) -> None:
    with _proxy(status) as (port, heads):
        monkeypatch.setenv("HTTPS_PROXY", f"http://robot:Hush%2Dhush-1@127.0.0.1:{port}")
        error = _error("https://acme.example")
    assert str(error).startswith(f"The proxy http://127.0.0.1:{port} {message}")
    assert "Hush" not in str(error)
    assert len(heads) == attempts
    assert redact("Proxy-Authorization of Hush-hush-1") == "Proxy-Authorization of ***"


@pytest.mark.parametrize(
    ("variable", "proxy", "message"),
    [
        (
            "HTTPS_PROXY",
            "proxy.invalid:8080",
            "The proxy http://proxy.invalid:8080 was not found (no such host)",
        ),
        (
            "https_proxy",
            "http://proxy.invalid",
            "The proxy http://proxy.invalid was not found (no such host)",
        ),
        (
            "ALL_PROXY",
            "127.0.0.1:9",
            "The proxy http://127.0.0.1:9 could not be reached (the connection was refused)",
        ),
    ],
)
def test_a_proxy_that_cannot_be_reached_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, proxy: str, message: str
) -> None:
    monkeypatch.setenv(variable, proxy)
    error = _error("https://acme.example")
    assert str(error).startswith(f"{message} ({QUICK.attempts} attempts); check {variable} (GET groups.json")
    assert "check url" not in str(error)


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        ("proxy:8080", "its value is not the URL of a proxy such as http://proxy:3128"),
        ("http://", "its value is not the URL of a proxy"),
        ("http://proxy:port", "its value is not the URL of a proxy"),
        ("http://[::1", "its value is not the URL of a proxy"),
        ("ftp://proxy:21", "a proxy cannot have the scheme ftp://; use http://"),
        ("socks5://robot:Hush-hush-1@proxy:1080", "a SOCKS proxy needs the package PySocks"),
        ("socks5h://proxy:1080", "a SOCKS proxy needs the package PySocks"),
    ],
)
def test_a_proxy_that_cannot_be_used_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, proxy: str, message: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    error = _error("https://acme.example")
    assert str(error).startswith(f"HTTPS_PROXY: {message}")
    assert "Hush" not in str(error)
    assert not error.repeated


@pytest.mark.parametrize("exceptions", ["[::1", "10.0.0.0/99", "*.", ",,;", "\u0159", "http://acme.example"])
def test_unexpected_exceptions_of_a_proxy_are_classified(monkeypatch: pytest.MonkeyPatch, exceptions: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert "The proxy http://127.0.0.1:9 could not be reached" in str(_error("https://acme.example"))


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.1."])
@pytest.mark.promise("T6")
def test_plain_http_to_this_machine_never_goes_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, variable: str, host: str
) -> None:
    with raw_server(lambda _: [GOOD]) as server, raw_server(lambda _: [GOOD]) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        monkeypatch.setenv("NO_PROXY", "elsewhere.example")
        client = _client(server.url.replace("127.0.0.1", host.rstrip(".")))
        assert len(client.page(QUERY).rows) == 1
    assert proxy.heads == []
    assert len(server.heads) == 1


@pytest.mark.promise("T6")
def test_plain_http_to_another_host_goes_through_a_proxy_with_allow_http(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The setting accepts that the network sees the token, and the proxy is a part of the network."""
    with raw_server(lambda _: [GOOD]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert len(_client("http://acme.example", allow_http=True).page(QUERY).rows) == 1
    assert proxy.heads[0].startswith(b"GET http://acme.example/api/v6/groups.json?")


def test_a_proxy_that_requires_credentials_over_plain_http_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = response(b"<html><title>Squid</title></html>", status=b"407 Proxy Authentication Required")
    with raw_server(lambda _: [refusal]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        error = _error("http://acme.example", allow_http=True)
    assert str(error).startswith(
        f"The proxy {proxy.url} asks for a user name and password (407); put them into HTTP"
    )
    assert not error.repeated
