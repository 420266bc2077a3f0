"""How both commands end when they cannot go on: a line for each thing that is wrong, no traceback, exit code 1."""

from __future__ import annotations

import logging
import sys
from typing import Any

import click
from typing_extensions import override


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
