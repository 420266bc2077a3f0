"""The command `target-daktela-crm`, from its first moment."""

from __future__ import annotations

from tap_daktela.cli.signals import termination


def main() -> None:
    """Run the command."""
    termination.install()
    # The imports take half a second, in which a signal must not cause a traceback.
    with termination.deferred():
        from target_daktela_crm.target import TargetDaktelaCrm  # noqa: PLC0415
    termination.check()
    TargetDaktelaCrm.cli()


if __name__ == "__main__":
    main()
