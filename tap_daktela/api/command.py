"""How both commands end when they cannot go on: a line for each thing that is wrong, no traceback, exit code 1."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class InputError(Exception):
    """Settings or input that cannot be used; a line for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class RunError(Exception):
    """A run could not do everything that it was to do; the message says what is left."""


class PlainCommand(click.Command):
    """A command that says in one line what a user can put right."""

    @override
    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command; an `InputError` or a `RunError` ends it with exit code 1."""
        try:
            return super().main(*args, **options)
        except InputError as error:
            problems = error.problems
        except RunError as error:
            problems = [str(error)]
        for problem in problems:
            logging.getLogger(self.name).error("%s", problem)
        sys.exit(1)


@contextmanager
def plain_file_errors() -> Iterator[None]:
    """Turn what goes wrong while configuration files are read into an `InputError`."""
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
