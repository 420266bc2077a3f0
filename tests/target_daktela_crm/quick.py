"""The target's command with waits of milliseconds between attempts, so that tests of failures take no minutes."""

from __future__ import annotations

from target_daktela_crm.target import TargetDaktelaCrm
from tests.retries import QUICK


class QuickTarget(TargetDaktelaCrm):
    """The target with short waits."""

    retry_policy = QUICK


def main() -> None:
    """Run the command."""
    QuickTarget.cli()


if __name__ == "__main__":
    main()
