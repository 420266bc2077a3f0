"""How both commands end: a line for each problem that a user can solve, no traceback, and the right exit code."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import override

from tap_daktela.api.output import OutputError, complete_output
from tap_daktela.api.redaction import protect_logs
from tap_daktela.api.signals import Terminated, termination

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_SIGNAL_SECONDS = 0.2


class InputError(Exception):
    """Settings or input that cannot be used; a line for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class RunError(Exception):
    """A run could not do everything that it was to do; the message says what is left."""


class PlainCommand(click.Command):
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


@contextmanager
def plain_file_errors(paths: Iterable[str]) -> Iterator[None]:
    """Turn what goes wrong while configuration files are read into an `InputError`.

    A configuration in place of a path is refused first: messages about files repeat their paths.
    """
    if any(path.lstrip().startswith("{") for path in paths):
        raise InputError(["config: give the path of a JSON file, not its content"])
    try:
        yield
    except OSError as error:
        raise InputError([f"config: cannot be read: {error}"]) from None
    except ValueError as error:
        raise InputError([f"config: not valid JSON: {error}"]) from None
    except TypeError:
        raise InputError(["config: must be a JSON object of settings"]) from None


def check_environment(
    schemas: Mapping[str, Any], prefix: str, parse: Callable[[dict[str, Any], str], object]
) -> None:
    """Name the setting in the environment that cannot be read; the SDK shows a traceback with its value.

    `parse` is the SDK's own reader, which takes the schema of a configuration and the variables' prefix.

    Raises:
        InputError: there is one.
    """
    log = logging.getLogger(parse.__module__)
    # It tells of each variable that it reads, and will read them all once more.
    log.disabled = True
    try:
        for name, schema in schemas.items():
            try:
                parse({"properties": {name: schema}}, prefix)
            except ValueError:
                raise InputError([f"{name}: what {(prefix + name).upper()} holds cannot be read"]) from None
    finally:
        log.disabled = False
