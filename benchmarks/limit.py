"""The limit that nothing can beat: a bare downloader of the same pages, over the same number of connections.

In: the instance's address and token, what to do with a page, connections and rows. Out: with `a`, bytes are thrown
away; with `b` they are decoded, and their rows written again as JSON lines, all in one process.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import requests

from tap_daktela.reading.optional_fields import requested_fields
from tap_daktela.streams.definitions import STREAMS

PAGE = 1_000
CALLS = next(stream for stream in STREAMS if stream.name == "activities_call")


def parameters(skip: int) -> dict[str, Any]:
    """Return what is asked of the server for a page of calls: what the tap asks for, by offset."""
    fields = requested_fields(CALLS, CALLS.fields)
    return {
        "filter[0][field]": "type",
        "filter[0][operator]": "eq",
        "filter[0][value]": "CALL",
        "sort[0][field]": "time",
        "sort[0][dir]": "asc",
        "skip": skip,
        "take": PAGE,
        **{f"fields[{place}]": field for place, field in enumerate(fields)},
    }


def main(url: str, token: str, mode: str, connections: int, rows: int) -> None:
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=connections))
    session.headers["X-AUTH-TOKEN"] = token

    def page(skip: int) -> bytes:
        response = session.get(f"{url}/api/v6/activities.json", params=parameters(skip))
        response.raise_for_status()
        return response.content

    encoder = msgspec.json.Encoder()
    with ThreadPoolExecutor(connections) as pool:
        for body in pool.map(page, range(0, rows, PAGE)):
            if mode == "b":
                sys.stdout.buffer.write(encoder.encode_lines(msgspec.json.decode(body)["result"]["data"]))


if __name__ == "__main__":
    address, secret, what, threads, count = sys.argv[1:]
    main(address, secret, what, int(threads), int(count))
