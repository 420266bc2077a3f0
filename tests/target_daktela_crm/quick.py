"""The target's command with waits of milliseconds between attempts, so that tests of failures take no minutes."""

from __future__ import annotations

from tap_daktela.api import client
from target_daktela_crm.target import TargetDaktelaCrm

client.FIRST_WAIT = 0.002
client.LAST_WAIT = 0.01


def main() -> None:
    """Run the command."""
    TargetDaktelaCrm.cli()


if __name__ == "__main__":
    main()
