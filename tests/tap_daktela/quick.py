"""The command of the tap for tests, with short waits and any clock of the instance."""

from __future__ import annotations

from tap_daktela.tap import TapDaktela
from tests.clocks import ANY_CLOCK
from tests.retries import QUICK


class QuickTap(TapDaktela):
    """The tap with short waits, for instances whose clock stands in another year."""

    retry_policy = QUICK
    clock_tolerance = ANY_CLOCK


class PunctualTap(TapDaktela):
    """The tap with short waits, for instances whose clock is right."""

    retry_policy = QUICK


def main() -> None:
    """Run the command."""
    QuickTap.cli()


def punctual() -> None:
    """Run the command with the default tolerance for clocks."""
    PunctualTap.cli()


if __name__ == "__main__":
    main()
