"""A server that is never the bottleneck: it answers with prepared responses, in one asynchronous process.

`recorded` forwards the requests of a command to an instance and stores the responses. `serving` starts a server
that sends them. Every POST gets an empty object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import pickle
import re
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import requests
from typing_extensions import override

from benchmarks.running import started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SIZES = b"/__sizes__"


def recorded(url: str, token: str, run: Callable[[str], object]) -> dict[str, bytes]:
    """Return the body of the response to each path that `run` requests of the address that it is passed."""
    bodies: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            response = requests.get(url + self.path, headers={"X-AUTH-TOKEN": token}, timeout=60)
            response.raise_for_status()
            bodies[self.path] = response.content
            self.send_response(response.status_code)
            self.send_header("Content-Length", str(len(response.content)))
            self.end_headers()
            self.wfile.write(response.content)

        @override
        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        run(f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        server.server_close()
    return bodies


class PreparedServer:
    """A running server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def sizes(self) -> list[int]:
        """Return the sizes of the bodies that were posted since the last call."""
        sizes: list[int] = requests.get(self.url + _SIZES.decode(), timeout=60).json()
        return sizes


@contextmanager
def serving(folder: Path, bodies: dict[str, bytes] | None = None, latency: float = 0) -> Iterator[PreparedServer]:
    """Start a server that answers with `bodies` by path, each after `latency` seconds."""
    file = folder / "bodies.pickle"
    file.write_bytes(pickle.dumps(bodies or {}))
    command = [sys.executable, "-m", "benchmarks.prepared_server", str(file), "--latency", str(latency)]
    with started(command) as url:
        yield PreparedServer(url)


def _response(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_ACCEPTED = _response(b"{}")


class _Connection(asyncio.Protocol):
    def __init__(self, responses: dict[bytes, bytes], sizes: list[int], latency: float) -> None:
        self._responses = responses
        self._sizes = sizes
        self._latency = latency
        self._received = bytearray()
        self._missing = 0
        """Bytes of a posted body that have not arrived."""

    @override
    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
            if not self._missing:
                self._send(_ACCEPTED)
            return
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head, rest = bytes(self._received[:end]), len(self._received) - end - 4
        self._received.clear()
        method, path, _ = head.split(b" ", 2)
        if method == b"POST":
            self._accept(head, rest)
        elif path == _SIZES:
            self._send(_response(json.dumps(self._sizes).encode()))
            self._sizes.clear()
        else:
            self._send(self._responses.get(path, _NOT_FOUND))

    def _accept(self, head: bytes, received: int) -> None:
        found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        size = int(found[1]) if found else 0
        self._sizes.append(size)
        self._missing = size - received
        if not self._missing:
            self._send(_ACCEPTED)

    def _send(self, response: bytes) -> None:
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._transport.write, response)
        else:
            self._transport.write(response)


async def _serve(bodies: dict[str, bytes], latency: float) -> None:
    responses = {path.encode(): _response(body) for path, body in bodies.items()}
    sizes: list[int] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(responses, sizes, latency), "127.0.0.1", 0)
    sys.stdout.write(f"url=http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--latency", type=float, default=0)
    given = parser.parse_args()
    bodies = pickle.loads(given.file.read_bytes())  # noqa: S301 - written by `serving`
    asyncio.run(_serve(bodies, given.latency))


if __name__ == "__main__":
    main()
