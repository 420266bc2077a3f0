"""`python -m examples.warehouse WAREHOUSE PAGE`: write the answers from a DuckDB file to an HTML page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import duckdb

from examples.warehouse.page import write


def main() -> int:
    """Write the page, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.warehouse", description="Answers as a page of charts."
    )
    parser.add_argument("warehouse", type=Path, help="a DuckDB file that target-duckdb has filled")
    parser.add_argument("page", type=Path, help="the HTML file to write")
    given = parser.parse_args()
    try:
        write(given.warehouse, given.page)
    except (duckdb.Error, OSError) as error:
        reason = str(error).partition("\n")[0]
        sys.stderr.write(f"No page was written from {given.warehouse}: {reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
