"""An HTTP/1.1 server on loopback, with one thread for each connection.

It sends each response in one write, after the latency, or with the failure of a fault. `stop` closes all
connections, including those that wait.
"""

from __future__ import annotations

import re
import select
import socket
import struct
import sys
import time
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Condition, Event, Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec

from tests.simulator.control import PREFIX, control
from tests.simulator.exchange import Answer, Request, empty
from tests.simulator.routes import name_endpoint, respond
from tests.simulator.sync import ENDPOINT

if TYPE_CHECKING:
    from typing_extensions import override

    from tests.simulator.simulator import Simulator
else:
    # The decorator is for the type checker only. At run time, the simulator needs only msgspec.
    def override(method: Any) -> Any:
        return method


_POLL = 0.02
_PATIENCE = 5.0
_LINE = 65537
_HEX = re.compile(rb"[0-9A-Fa-f]{1,15}")


class UnreadableError(Exception):
    """The end of a request body cannot be determined."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Server(ThreadingTCPServer):
    """The listening socket and its connections."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, simulator: Simulator, port: int) -> None:
        self.simulator = simulator
        self.stopping = Event()
        self._open: set[Any] = set()
        self._closed = Condition()
        super().__init__(("127.0.0.1", port), Handler)
        self._thread = Thread(target=self._accept, daemon=True)

    def start(self) -> None:
        """Accept connections."""
        self._thread.start()

    def stop(self) -> None:
        """Stop accepting connections, and close the open ones."""
        self.stopping.set()
        # `stop` wakes the thread with a connection. With polling, every test would have to wait.
        socket.create_connection(("127.0.0.1", self.server_address[1])).close()
        self._thread.join()
        self.server_close()
        with self._closed:
            for connection in self._open:
                _end(connection)
            self._closed.wait_for(lambda: not self._open, _PATIENCE)

    def _accept(self) -> None:
        while not self.stopping.is_set():
            self.handle_request()

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        with self._closed:
            self._open.add(request)
        super().process_request(request, client_address)

    @override
    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._closed:
                self._open.discard(request)
                self._closed.notify_all()

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        # Some tests kill the client, or the client gives up. Then its connection breaks.
        if not isinstance(error, OSError):
            self.simulator.failures.append(error)
            super().handle_error(request, client_address)


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    @override
    def handle_one_request(self) -> None:
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(_LINE)
        if self.raw_requestline and self.parse_request():
            try:
                request = self._read()
            except UnreadableError as refusal:
                # The beginning of the next request is unknown.
                self.close_connection = True
                self._send(empty(refusal.status))
                return
            if request.target.startswith(PREFIX):
                self._send(control(self.server.simulator, request))
            else:
                self._serve(request)

    def _read(self) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self._body(headers)
        path, _, query = self.path.partition("?")
        return Request(0, self.command, self.path, path, query, headers, body=body, body_bytes=len(body))

    def _body(self, headers: dict[str, str]) -> bytes:
        encoding = headers.get("transfer-encoding")
        if encoding is not None:
            if encoding.strip().lower() != "chunked":
                raise UnreadableError(501)
            return self._chunks()
        length = headers.get("content-length", "0").strip()
        if not length.isdecimal():
            raise UnreadableError(400)
        return self._exactly(int(length))

    def _chunks(self) -> bytes:
        body = bytearray()
        while size := self._chunk_size():
            body += self._exactly(size)
            if self._exactly(2) != b"\r\n":
                raise UnreadableError(400)
        while self.rfile.readline(_LINE) not in (b"\r\n", b"\n", b""):
            """Trailers tell nothing that matters here."""
        return bytes(body)

    def _chunk_size(self) -> int:
        size = self.rfile.readline(_LINE).partition(b";")[0].strip()
        if not _HEX.fullmatch(size):
            raise UnreadableError(400)
        return int(size, 16)

    def _exactly(self, count: int) -> bytes:
        found = self.rfile.read(count)
        if len(found) < count:
            # A web server does not forward an incomplete request.
            raise ConnectionAbortedError("the client has gone in the middle of its request")
        return found

    def _serve(self, request: Request) -> None:
        simulator = self.server.simulator
        name_endpoint(simulator, request)
        # Loads can be large. Their handler decodes them anyway and logs the names.
        if request.endpoint != ENDPOINT:
            request.body_keys = _keys(request.body, request.headers.get("content-type", ""))
        simulator.begin(request)
        status = 0
        try:
            answer = respond(simulator, request)
            if self._wait(simulator.latency + answer.wait) and not answer.drop:
                status = answer.status
        finally:
            # Log the response before it is sent, since the client can read the log immediately afterwards.
            simulator.end(request, status)
        if status:
            self._send(answer)
        elif answer.drop == "reset":
            self._reset()
        else:
            self.close_connection = True

    def _wait(self, seconds: float) -> bool:
        """Wait. Return False if the client or `stop` has closed the connection meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _POLL))
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return False
        return True

    def _send(self, answer: Answer) -> None:
        reason = HTTPStatus(answer.status).phrase
        headers = {
            "Date": formatdate(usegmt=True),
            "Content-Type": answer.content_type,
            "Content-Length": str(len(answer.body)),
            **answer.headers,
        }
        head = f"HTTP/1.1 {answer.status} {reason}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        body = answer.body if self.command != "HEAD" else b""
        if answer.cut is not None:
            body = body[: answer.cut]
            self.close_connection = True
        self.wfile.write(head.encode("latin-1") + b"\r\n" + body)

    def _reset(self) -> None:
        """Close the connection so that the client gets a reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()

    @override
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        pass


def _keys(body: bytes, content_type: str) -> list[str]:
    """Return the names in a body, for the log."""
    if not body:
        return []
    if "json" not in content_type:
        return list(parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        content = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return []
    return list(content) if isinstance(content, dict) else []
