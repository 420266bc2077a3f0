"""The second part of the demo: load two days of a CRM into the contact centre with Meltano."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.crm import salesforce
from tests.page import dim, heading, say, step

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.meltano import Project

View: TypeAlias = dict[str, dict[str, Any]]

TAP = "tap-crm-replay"
TARGET = "target-daktela-crm"

_WIDTH = 83
_LABEL = 16


def show(project: Project, look: Callable[[], View]) -> None:
    """Load both days of the CRM, and show the results."""
    heading("And the other way: a CRM in Daktela")
    say(
        "A replay of what the tap of Salesforce puts out: on Monday all companies and their",
        "contacts, many of them before their company, on Tuesday only what has changed.",
        "",
    )
    files = salesforce.write(project.folder)
    days: list[View] = []
    for day in ("Monday", "Tuesday"):
        with step(f"{day}: meltano run {TAP} {TARGET}"):
            run = project.run(
                *(TAP, TARGET),
                log=f"crm-{day.lower()}",
                settings={"TAP_CRM_REPLAY_PATH": str(files[day.lower()])},
            )
        say("", *_wrapped(run.lines(TARGET)), "")
        days.append(look())
    say(*_result(*days))


def _wrapped(lines: list[str]) -> list[str]:
    """Return the target's summary in the width of the page. Meltano removes leading spaces from lines."""
    title, *rest = lines
    hanging = " " * _LABEL
    return [
        dim(f"  {title}"),
        *(row for line in rest for row in textwrap.wrap(f"  {line}", _WIDTH, subsequent_indent=hanging)),
    ]


def _result(monday: View, tuesday: View) -> list[str]:
    """Return the state of the companies and contacts in Daktela, in a few lines."""
    companies, contacts = tuesday["companies"], tuesday["contacts"]
    [renamed] = [key for key, each in monday["companies"].items() if companies[key]["name"] != each["name"]]
    people = sum(each["company"] == renamed for each in contacts.values())
    text = (
        f"Daktela now has {len(companies):,} companies and {len(contacts):,} of their contacts. "
        f"{monday['companies'][renamed]['name']} is called {companies[renamed]['name']} there since Tuesday, and "
        f"has kept its {people} contacts, though none of them came with it."
    )
    return textwrap.wrap(text, _WIDTH)
