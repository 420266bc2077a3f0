"""The tap's command for tests: it waits milliseconds between attempts, and accepts the clock of the simulator."""

from __future__ import annotations

from tap_daktela.tap import TapDaktela
from tests.clocks import ANY_CLOCK
from tests.retries import QUICK


class QuickTap(TapDaktela):
    """The tap with short waits, for instances whose clock stands still in another year."""

    retry_policy = QUICK
    clock_tolerance = ANY_CLOCK


class PunctualTap(TapDaktela):
    """The tap with short waits, for instances whose clock is right."""

    retry_policy = QUICK


def main() -> None:
    """Run the command."""
    QuickTap.cli()


def punctual() -> None:
    """Run the command with the tolerance for clocks that users have."""
    PunctualTap.cli()


if __name__ == "__main__":
    main()
