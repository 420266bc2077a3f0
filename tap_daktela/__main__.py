"""The command `tap-daktela`, from its first moment."""

from __future__ import annotations

from tap_daktela.cli.signals import termination


def main() -> None:
    """Run the command."""
    termination.install()
    # The imports take half a second, in which a signal must not cause a traceback.
    with termination.deferred():
        from tap_daktela.tap import TapDaktela  # noqa: PLC0415
    termination.check()
    TapDaktela.cli()


if __name__ == "__main__":
    main()
