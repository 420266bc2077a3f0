"""How a command ends: one line for each problem, without a traceback, and with exit code 1."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import click
import pytest
from singer_sdk.configuration._dict_config import parse_environment_config

from tap_daktela.cli.errors import InputError, OneLineErrorCommand, RunError, check_environment
from tests.processes import running

SCHEMAS: dict[str, Any] = {
    "page_size": {"type": ["integer", "null"]},
    "instances": {"type": ["array", "null"], "items": {"type": "object"}},
    "verify_tls": {"type": ["boolean", "null"]},
    "url": {"type": ["string", "null"]},
}


def run(error: Exception | None) -> None:
    """Run a command that ends with an error, or without one."""

    @click.command(name="some-command", cls=OneLineErrorCommand)
    def command() -> None:
        sys.stdout.write("output\n")
        if error is not None:
            raise error

    command.main([])


@pytest.mark.parametrize(
    ("error", "lines", "code"),
    [
        (None, [], 0),
        (InputError(["url: is missing", "server: is wrong"]), ["url: is missing", "server: is wrong"], 1),
        (RunError("2 records were rejected"), ["2 records were rejected"], 1),
    ],
)
def test_each_problem_is_one_line(error: Exception | None, lines: list[str], code: int) -> None:
    with running(partial(run, error), []) as process:
        output = process.output.read()
        assert process.wait(60) == code
        assert output == b"output\n"
        assert process.log().splitlines() == lines


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("page_size", "many", "page_size: TAP_PAGE_SIZE in the environment must be a whole number"),
        ("instances", "[", "instances: TAP_INSTANCES in the environment must be JSON"),
        (
            "verify_tls",
            "flase",
            "verify_tls: TAP_VERIFY_TLS in the environment must be true or false",
        ),
        ("verify_tls", "", "verify_tls: TAP_VERIFY_TLS in the environment must be true or false"),
    ],
)
def test_a_setting_in_the_environment_that_cannot_be_read_is_an_error(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(f"TAP_{name.upper()}", value)
    with pytest.raises(InputError) as caught:
        check_environment(SCHEMAS, "TAP_", parse_environment_config)
    [line] = caught.value.problems
    assert line.startswith(problem)


def test_valid_settings_in_the_environment_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"page_size": "5", "instances": "[]", "verify_tls": "FALSE", "url": "x"}.items():
        monkeypatch.setenv(f"TAP_{name.upper()}", value)
    check_environment(SCHEMAS, "TAP_", parse_environment_config)
