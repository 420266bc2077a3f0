"""The tap's command with waits of milliseconds between attempts, so that tests of failures take no minutes."""

from __future__ import annotations

from tap_daktela.tap import TapDaktela
from tests.retries import QUICK


class QuickTap(TapDaktela):
    """The tap with short waits."""

    retry_policy = QUICK


def main() -> None:
    """Run the command."""
    QuickTap.cli()


if __name__ == "__main__":
    main()
