"""Write the catalog entry of each stream for the tests: `tests/tap_daktela/catalog/{stream}.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tap_daktela.tap import TapDaktela

FOLDER = Path(__file__).parents[1] / "tests" / "tap_daktela" / "catalog"


def as_text(entry: dict[str, Any]) -> str:
    """Return a catalog entry as JSON."""
    return json.dumps(entry, indent=2, ensure_ascii=False) + "\n"


def files() -> dict[Path, str]:
    """Return the text of each file."""
    # Discovery needs no connection.
    tap = TapDaktela(config={"url": "https://acme.daktela.com", "access_token": "x"})
    streams = json.loads(tap.catalog_json_text)["streams"]
    return {FOLDER / f"{entry['tap_stream_id']}.json": as_text(entry) for entry in streams}
