"""Servers on loopback with faults below HTTP: a function gets each connection after its request."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
CERTIFICATES = Path(__file__).parent / "certificates"


class RawServer:
    """A server. Each connection is for one request."""

    def __init__(
        self,
        answer: Callable[[bytes], Iterable[bytes]],
        certificate: str,
        read: Callable[[socket.socket], None] | None,
    ) -> None:
        self.heads: list[bytes] = []
        """Request line and headers of each request."""
        self.sent = 0
        """Number of bytes in responses."""
        self._answer = answer
        self._read = read
        self._context: ssl.SSLContext | None = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(CERTIFICATES / f"{certificate}.pem")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._is_stopping = False
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address."""
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Close all connections."""
        self._is_stopping = True
        for each in (self._listener, *self._connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._connections.append(connection)
        with suppress(OSError), connection:
            secured = self._context.wrap_socket(connection, server_side=True) if self._context else connection
            with secured:
                self._exchange(secured)

    def _exchange(self, connection: socket.socket) -> None:
        head, rest = _head(connection)
        if not head:
            return
        self.heads.append(head)
        if self._read:
            self._read(connection)
        else:
            while rest > 0:
                rest -= len(connection.recv(65536))
        for part in self._answer(head):
            if self._is_stopping:
                return
            connection.sendall(part)
            self.sent += len(part)


@contextmanager
def raw_server(
    answer: Callable[[bytes], Iterable[bytes]],
    *,
    certificate: str = "",
    read: Callable[[socket.socket], None] | None = None,
) -> Iterator[RawServer]:
    """Answer each request with the parts that `answer` returns for its head, and close the connection.

    With `certificate`, the name of a file in `certificates`, the server uses TLS. `read` reads the body.
    """
    server = RawServer(answer, certificate, read)
    try:
        yield server
    finally:
        server.stop()


def _head(connection: socket.socket) -> tuple[bytes, int]:
    """Return the head of a request, and the number of unread bytes of its body."""
    content = b""
    while b"\r\n\r\n" not in content:
        part = connection.recv(65536)
        if not part:
            return b"", 0
        content += part
    head, _, body = content.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return head, int(length[1]) - len(body) if length else 0


def response(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """Return a response with its length."""
    lines = (b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), b"Connection: close", *headers, b"", body)
    return b"\r\n".join(lines)
