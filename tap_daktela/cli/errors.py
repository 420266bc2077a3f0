"""How both commands end: a line for each problem that a user can solve, no traceback, and the right exit code."""

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
    """Settings or input that cannot be used; a line for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class RunError(Exception):
    """A run could not do everything that it was to do; the message says what is left."""


class OneLineErrorCommand(click.Command):
    """A command whose output is complete, that a signal ends, and that shows one line for each problem."""

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
"""What the SDK takes for true, and what is false. It takes anything else for false, typing errors included."""


def check_environment(
    schemas: Mapping[str, Any], prefix: str, parse: Callable[[dict[str, Any], str], object]
) -> None:
    """Refuse a setting in the environment that the SDK cannot read, or would misread.

    `parse` is the SDK's own reader, which takes the schema of a configuration and the variables' prefix.

    Raises:
        InputError: there is one.
    """
    log = logging.getLogger(parse.__module__)
    # It logs each variable that it reads, and will read all of them again.
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
            # Only now: the SDK also reads a file named `.env`.
            value = os.environ.get(variable)
            if "boolean" in types and value is not None and value.lower() not in _BOOLEANS:
                shown = repr(value) if value else "empty: remove it, or set it to true or false"
                raise InputError([f"{name}: {variable} in the environment must be true or false, not {shown}"])
    finally:
        log.disabled = False
