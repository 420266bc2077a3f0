"""The fastest bare client: it requests pages over several connections, in one asynchronous process.

In the mode `fetch`, it drops the bodies, which shows the limit of the server. In the mode `convert`, it decodes
them, encodes their rows as JSON lines and writes these.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator

_encode_lines = msgspec.json.Encoder().encode_lines


class _Connection(asyncio.Protocol):
    """Requests one path after the other, until none is left."""

    def __init__(self, paths: Iterator[str], *, converts: bool, done: asyncio.Future[None]) -> None:
        self._paths = paths
        self._converts = converts
        self._done = done
        self._body = bytearray()
        self._size = -1

    @override
    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._request()

    def _request(self) -> None:
        path = next(self._paths, None)
        if path is None:
            self._transport.close()
            self._done.set_result(None)
        else:
            self._transport.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    @override
    def data_received(self, data: bytes) -> None:
        self._body += data
        if self._size < 0:
            end = self._body.find(b"\r\n\r\n")
            if end < 0:
                return
            self._size = int(bytes(self._body[:end]).rpartition(b"Content-Length: ")[2].split(b"\r\n")[0])
            del self._body[: end + 4]
        if len(self._body) == self._size:
            body, self._size = bytes(self._body), -1
            self._body.clear()
            # Before the conversion, so that the server works meanwhile.
            self._request()
            if self._converts:
                sys.stdout.buffer.write(_encode_lines(msgspec.json.decode(body)["result"]["data"]))


async def _run(url: str, paths: list[str], connections: int, *, converts: bool) -> None:
    loop, remaining = asyncio.get_running_loop(), iter(paths)
    address = urlsplit(url)
    futures = []
    for _ in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        futures.append(done)
        await loop.create_connection(
            lambda done=done: _Connection(remaining, converts=converts, done=done),  # type: ignore[misc]
            str(address.hostname),
            address.port or 80,
        )
    await asyncio.gather(*futures)


if __name__ == "__main__":
    server, file, mode, count = sys.argv[1:]
    lines = Path(file).read_text(encoding="utf-8").split("\n")
    asyncio.run(_run(server, lines, int(count), converts=mode == "convert"))
