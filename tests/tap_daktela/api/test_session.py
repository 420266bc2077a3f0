"""T5: a response is limited in size, and a request in time, whatever the server sends."""

from __future__ import annotations

import gzip
import itertools
import socket
import threading
import time
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest

from tap_daktela.api import client as client_module
from tap_daktela.api import session
from tap_daktela.api.address import parse
from tap_daktela.api.client import MAX_ERROR_BYTES, MAX_PAGE_BYTES, Client, Credentials, HttpSettings
from tap_daktela.api.outcome import Action, RequestError
from tap_daktela.api.query import Query
from tap_daktela.api.retry import RetryLimits
from tap_daktela.api.session import DeadlineError, limited
from tests.raw_server import raw_server, response
from tests.retries import QUICK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from tests.raw_server import RawServer

QUERY = Query(endpoint="groups", fields=("name",), sort=("name",), take=100)
MIB = 1 << 20
GOOD = b'{"error": [], "result": {"data": [{"name": "a"}], "total": 1, "user": {"name": "robot"}}}'


def _client(server: RawServer, *, timeout: float = 10, password: str = "") -> Client:
    credentials = (
        Credentials(username="robot", password=password) if password else Credentials(access_token="t" * 40)
    )
    return Client(parse(server.url), credentials, HttpSettings(timeout=timeout, retries=QUICK))


REQUESTS: dict[str, Callable[[Client], object]] = {
    "page": lambda client: client.page(QUERY),
    "whoim": Client.identify,
    "sync": lambda client: client.post("/sync.php", b"{}", RetryLimits()),
    "login": Client.sign_in,
}


def _try(request: str, server: RawServer, timeout: float = 10) -> RequestError:
    client = _client(server, timeout=timeout, password="tops3cret" if request == "login" else "")
    with pytest.raises(RequestError) as caught:
        REQUESTS[request](client)
    assert "\n" not in str(caught.value)
    return caught.value


# Size.

_MUCH = 300 * MIB
"""Bytes after which a response without end ends, so that a test without a limit fails."""


def _endless(head: bytes, part: bytes = b"x" * 65536) -> Callable[[bytes], Iterator[bytes]]:
    return lambda _: itertools.chain([head], itertools.repeat(part, _MUCH // len(part)))


def _gzip_bomb(_: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    packer = zlib.compressobj(9, wbits=31)
    zeros = b"0" * MIB
    for _number in range(_MUCH // MIB):
        yield packer.compress(zeros)


def _empty_gzip(_: bytes) -> Iterator[bytes]:
    """Send compressed data without end that decompresses to nothing."""
    yield b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    packer = zlib.compressobj(wbits=31)
    yield packer.flush(zlib.Z_SYNC_FLUSH)
    empty = b"\x00\x00\x00\xff\xff" * 10_000
    yield from itertools.repeat(empty, _MUCH // len(empty))


TOO_LARGE: dict[str, Callable[[bytes], Iterable[bytes]]] = {
    "without an end": _endless(b"HTTP/1.1 200 OK\r\n\r\n"),
    "in chunks": _endless(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"
    ),
    "said to be large": lambda _: [b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 100],
    "gzip bomb": _gzip_bomb,
    "gzip of nothing": _empty_gzip,
    "extensions of chunks": _endless(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 60000 + b"\r\na\r\n"
    ),
    "trailers": _endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n" * 1000),
    "interim responses": _endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
}


@pytest.mark.parametrize("kind", TOO_LARGE)
@pytest.mark.promise("T5")
def test_a_page_without_end_fails_at_once_and_names_page_size(kind: str) -> None:
    with raw_server(TOO_LARGE[kind]) as server:
        error = _try("page", server, timeout=60)
    assert str(error).startswith("Daktela sent a response of more than 64 MiB; set page_size to a smaller number")
    assert error.outcome.too_large
    assert not error.outcome.timed_out
    assert len(server.heads) == 1, "the same page would be as large again"
    assert server.sent < 2 * MAX_PAGE_BYTES


@pytest.mark.parametrize("request_kind", REQUESTS)
@pytest.mark.parametrize("kind", ["without an end", "gzip bomb"])
@pytest.mark.promise("T5")
def test_every_kind_of_response_is_limited(request_kind: str, kind: str) -> None:
    with raw_server(TOO_LARGE[kind]) as server:
        error = _try(request_kind, server)
    most = 64 if request_kind == "page" else 8
    assert f"sent a response of more than {most} MiB" in str(error)
    assert error.outcome.action is Action.RETRY, "the effect of the request is not known"
    assert server.sent < (most + 64) * MIB


@pytest.mark.promise("T5")
def test_memory_stays_within_the_limit_of_a_response() -> None:
    with raw_server(_gzip_bomb) as server:
        client = _client(server)
        tracemalloc.start()
        try:
            with pytest.raises(RequestError):
                client.identify()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 32 * MIB


@pytest.mark.parametrize("kind", ["without an end", "gzip bomb"])
@pytest.mark.parametrize("status", [b"403 Forbidden", b"500 Oops", b"302 Found"])
@pytest.mark.parametrize("request_kind", ["page", "sync", "login"])
@pytest.mark.promise("T5")
def test_only_the_beginning_of_an_error_response_is_read(request_kind: str, status: bytes, kind: str) -> None:
    def answer(head: bytes) -> Iterator[bytes]:
        parts = iter(TOO_LARGE[kind](head))
        yield next(parts).replace(b"200 OK", status + b"\r\nLocation: /elsewhere")
        yield from parts

    with raw_server(answer) as server:
        error = _try(request_kind, server)
    assert error.outcome.status == int(status[:3])
    assert server.sent < 12 * QUICK.attempts * MAX_ERROR_BYTES


def test_a_large_page_that_is_within_the_limit_is_read() -> None:
    text = b"e" * 50_000
    rows = b",".join(b'{"name": "%d", "text": "%b"}' % (number, text) for number in range(1000))
    body = b'{"error": [], "result": {"data": [%b], "total": 1000}}' % rows
    assert 45 * MIB < len(body) < MAX_PAGE_BYTES
    packed = gzip.compress(body, 1, mtime=0)
    for answer in (response(body), response(packed, b"Content-Encoding: gzip")):
        with raw_server(lambda _, answer=answer: [answer]) as server:  # type: ignore[misc]
            page = _client(server, timeout=60).page(QUERY)
        assert len(page.rows) == 1000


def test_only_compressions_with_a_limit_are_requested_and_accepted() -> None:
    with raw_server(lambda _: [response(GOOD)]) as server:
        _client(server).page(QUERY)
        [head] = server.heads
    assert b"\r\naccept-encoding: gzip, deflate\r\n" in head.lower() + b"\r\n"
    for encoding in (b"br", b"zstd", b"gzip, gzip"):
        with raw_server(lambda _, encoding=encoding: [response(GOOD, b"Content-Encoding: " + encoding)]) as server:  # type: ignore[misc]
            assert "cannot be decompressed" in str(_try("page", server))


# Time.

_ENOUGH = 60
"""Seconds after which a response that arrives byte by byte ends, so that a test without a limit fails."""


def _trickle(head: bytes, part: bytes = b" ") -> Callable[[bytes], Iterator[bytes]]:
    """Send a byte now and then, more often than the time-out."""

    def answer(_: bytes) -> Iterator[bytes]:
        end = time.monotonic() + _ENOUGH
        yield head
        while time.monotonic() < end:
            time.sleep(0.02)
            yield part

    return answer


SLOW: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "body": _trickle(b"HTTP/1.1 200 OK\r\n\r\n"),
    "chunks": _trickle(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "size of a chunk": _trickle(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    "headers": _trickle(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "status line": _trickle(b"HTTP/1.1 200 ", b"x"),
    "interim responses": _trickle(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "error": _trickle(b"HTTP/1.1 403 No\r\n\r\n"),
    "redirect": _trickle(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"),
}


@pytest.fixture
def short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit a whole request to 0.6 s, which is less than a time-out: a busy machine does not reach that first."""
    monkeypatch.setattr(client_module, "MAX_TIMEOUTS", 0.02)


_LONG = 30
"""A time-out of a request, in seconds; see `short_deadline`."""


@pytest.mark.promise("T5")
def test_a_whole_request_may_take_ten_time_outs(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    def recorded(seconds: float) -> AbstractContextManager[None]:
        limits.append(seconds)
        return limited(seconds)

    monkeypatch.setattr(client_module, "limited", recorded)
    with raw_server(lambda _: [response(GOOD)]) as server:
        _client(server, timeout=7).page(QUERY)
    assert limits == [70]


@pytest.mark.usefixtures("short_deadline")
@pytest.mark.parametrize("kind", SLOW)
@pytest.mark.promise("T5")
def test_the_time_of_a_response_that_arrives_byte_by_byte_is_limited(kind: str) -> None:
    with raw_server(SLOW[kind]) as server:
        error = _try("page", server, timeout=_LONG)
    assert str(error).startswith("Daktela did not complete the request within 0.6 s (2 attempts)")
    assert error.outcome.timed_out
    assert len(server.heads) == 2


@pytest.mark.usefixtures("short_deadline")
@pytest.mark.parametrize("request_kind", REQUESTS)
@pytest.mark.promise("T5")
def test_the_time_of_every_kind_of_request_is_limited(request_kind: str) -> None:
    with raw_server(SLOW["body"]) as server:
        error = _try(request_kind, server, timeout=_LONG)
    assert "did not complete the request within 0.6 s" in str(error)


@pytest.mark.promise("T5")
def test_sending_to_a_slow_server_is_limited() -> None:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ours.settimeout(10)
    stop = threading.Event()

    def read() -> None:
        while not stop.wait(0.01):
            theirs.recv(1024)

    reader = threading.Thread(target=read)
    reader.start()
    connection = session._Connection("127.0.0.1")
    connection.sock = ours
    try:
        with limited(0.3), pytest.raises(DeadlineError):
            connection.send(b"x" * 20 * MIB)
    finally:
        stop.set()
        reader.join()
        ours.close()
        theirs.close()


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.promise("T5")
def test_the_limits_hold_over_tls_and_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    def error(url: str) -> str:
        http = HttpSettings(timeout=_LONG, verify_tls=False, retries=QUICK)
        with pytest.raises(RequestError) as caught:
            Client(parse(url), Credentials(access_token="t" * 40), http).page(QUERY)
        return str(caught.value)

    with raw_server(TOO_LARGE["without an end"], certificate="trusted") as server:
        assert "sent a response of more than 64 MiB" in error(server.url)
    monkeypatch.setattr(client_module, "MAX_TIMEOUTS", 0.02)
    with raw_server(SLOW["headers"], certificate="trusted") as server:
        assert "did not complete the request within 0.6 s" in error(server.url)
    with raw_server(SLOW["status line"]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert "did not complete the request within 0.6 s" in error("https://acme.example")
    assert proxy.heads[0].startswith(b"CONNECT acme.example:443 ")
