"""Errors and exit codes of both commands: one line for each problem that a user can solve, without a traceback."""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import override

from tap_daktela.api.redaction import protect_logs
from tap_daktela.cli.output import OutputError, complete_output
from tap_daktela.cli.signals import Terminated, termination

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SIGNAL_SECONDS = 0.2


class InputError(Exception):
    """Settings or input cannot be used. `problems` has one line for each problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class RunError(Exception):
    """A run is incomplete. The message says what is missing and why."""


class OneLineErrorCommand(click.Command):
    """A command that logs one line for each problem, ends at a signal, and writes its output completely."""

    @override
    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command.

        The exit code is 1 after an `InputError`, a `RunError` or an `OutputError`. After a signal, it is 128 plus
        the number of the signal, whatever else failed.
        """
        log = logging.getLogger(self.name)
        termination.install()
        protect_logs()
        try:
            with complete_output():
                return super().main(*args, **options)
        except InputError as error:
            problems = error.problems
        except RunError as error:
            problems = [str(error)]
        except OutputError as error:
            problems = [str(error)]
            termination.acknowledge()
            # Ctrl-C may end the loader before the signal arrives here.
            time.sleep(_SIGNAL_SECONDS)
        except Terminated as error:
            log.warning("stopped by %s", error.signal)
            raise
        finally:
            termination.acknowledge()
        for problem in problems:
            log.error("%s", problem)
        sys.exit(1 if termination.number is None else 128 + termination.number)


_BOOLEANS = frozenset({"true", "1", "yes", "on", "false", "0", "no", "off"})
"""Accepted values. The SDK reads any other value as false, even a typing error."""


def check_environment(
    schemas: Mapping[str, Any], prefix: str, parse: Callable[[dict[str, Any], str], object]
) -> None:
    """Check that the SDK can read each setting in the environment correctly.

    `parse` is the SDK's own reader, which takes the schema of a configuration and the variables' prefix.

    Raises:
        InputError: the SDK cannot read a setting, or would misread it.
    """
    log = logging.getLogger(parse.__module__)
    # The SDK logs each variable that it reads, and reads all of them again after this check.
    log.disabled = True
    try:
        for name, schema in schemas.items():
            variable = (prefix + name).upper()
            types = schema.get("type", ())
            try:
                parse({"properties": {name: schema}}, prefix)
            except (ValueError, RecursionError):
                wanted = "a whole number" if "integer" in types else "JSON"
                raise InputError([f"{name}: {variable} in the environment must be {wanted}"]) from None
            # Read after `parse`, because the SDK loads a file named `.env` into the environment.
            value = os.environ.get(variable)
            if "boolean" in types and value is not None and value.lower() not in _BOOLEANS:
                shown = repr(value) if value else "empty: remove it, or set it to true or false"
                raise InputError([f"{name}: {variable} in the environment must be true or false, not {shown}"])
    finally:
        log.disabled = False
