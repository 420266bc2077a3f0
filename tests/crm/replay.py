#!/usr/bin/env python3
"""The tap of a CRM, played from a file: a configuration with its `path` in, the file's lines out, as they are.

Meltano starts it as any tap. It needs nothing but Python, and ignores whatever else it is told, such as a state.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path


def main() -> None:
    """Put out the file."""
    parser = argparse.ArgumentParser(description="Put out a file of Singer messages.")
    parser.add_argument("--config", type=Path, required=True, help="JSON file with the `path` of the messages")
    options, _ = parser.parse_known_args()
    path = json.loads(options.config.read_bytes())["path"]
    with Path(path).open("rb") as messages:
        shutil.copyfileobj(messages, sys.stdout.buffer)


if __name__ == "__main__":
    main()
