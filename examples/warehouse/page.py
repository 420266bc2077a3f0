"""Write the HTML page with the answer to each question.

Each query runs once. Its texts come from the comment at its beginning, and every number is a cell of its result.
The page is one file, which loads no other file and runs no script.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from examples.warehouse import charts
from examples.warehouse.figures import figure, heading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from examples.warehouse.charts import Row

FOLDER = Path(__file__).parent

CHARTS = {
    "service_level": charts.service_level,
    "abandoned_calls": charts.abandoned_calls,
    "agent_occupancy": charts.agent_occupancy,
    "first_answer_time": charts.first_answer_time,
    "reopened_tickets": charts.reopened_tickets,
}
"""Query -> the function that draws its chart."""

_TILES = {
    "incoming calls": ("abandoned_calls", "offered"),
    "service level": ("service_level", "service_level"),
    "abandoned": ("abandoned_calls", "abandoned_share"),
    "of agents' time on calls": ("agent_occupancy", "occupancy"),
    "median time to the first answer": ("first_answer_time", "median_seconds"),
    "of closed tickets came back": ("reopened_tickets", "came_back_share"),
}
_SHORT_TABLE = 12
"""A table with at most this many rows is not folded."""


@dataclass(frozen=True)
class Answer:
    """A query with its result."""

    name: str
    notes: dict[str, str]
    """The parts of its comment, by their first words."""
    columns: list[str]
    rows: list[Row]


def write(warehouse: Path, page: Path) -> None:
    """Write the page.

    Raises:
        duckdb.Error: the warehouse cannot be read, or lacks a table or column.
        OSError: the page cannot be written.
    """
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        answers = {name: ask(connection, name) for name in CHARTS}
    page.write_text(render(answers), encoding="utf-8")


def ask(connection: duckdb.DuckDBPyConnection, name: str) -> Answer:
    """Return the answer to a query, which is a file in this folder.

    Raises: duckdb.Error: the warehouse lacks a table or column.
    """
    query = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    result = connection.execute(query)
    columns = [column for column, *_ in result.description]
    rows = [dict(zip(columns, row, strict=True)) for row in result.fetchall()]
    return Answer(name, notes(query), columns, rows)


def notes(query: str) -> dict[str, str]:
    """Return the parts of the comment at the beginning of a query, by their first words."""
    found: dict[str, str] = {}
    for line in query.splitlines():
        if not line.startswith("--"):
            break
        if match := re.match(r"-- (\w+): (.*)", line):
            word, found[match[1]] = match.groups()
        else:
            found[word] += f" {line.removeprefix('--').strip()}"
    return found


def render(answers: Mapping[str, Answer]) -> str:
    """Return the page, which is also well-formed XML."""
    style = (FOLDER / "page.css").read_text(encoding="utf-8")
    sections = [_section(answer) for answer in answers.values()]
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<title>Contact centre</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1>Contact centre</h1>
<p class="quiet">{_period(answers["abandoned_calls"].rows[0])}</p>
<dl class="tiles">{"".join(_tile(label, answers[name], column) for label, (name, column) in _TILES.items())}</dl>
{"".join(sections)}</main>
</body>
</html>
"""


def _period(whole_day: Row) -> str:
    if not whole_day["offered"]:
        return "No incoming calls are loaded."
    days = [figure(day, whole_day[day]) for day in ("first_day", "last_day")]
    return f"Incoming calls from {days[0]} to {days[1]}, and tickets as they were loaded last."


def _tile(label: str, answer: Answer, column: str) -> str:
    """Return the main number, from the first row of the result, which is the total."""
    return f"<div><dt>{label}</dt><dd>{_data(column, answer.rows[0][column])}</dd></div>"


def _section(answer: Answer) -> str:
    said = answer.notes
    return f"""<section id="{answer.name}">
<h2>{escape(said["Question"])}</h2>
<p class="quiet">{escape(said["Definition"])}</p>
{CHARTS[answer.name](answer.rows)}
{_table(answer)}
<p class="quiet"><b>What is not known.</b> {escape(said["Unknown"])}</p>
<p class="quiet"><b>Where it comes from.</b> {answer.name}.sql, which reads {escape(said["Reads"])}.</p>
</section>
"""


def _table(answer: Answer) -> str:
    """Return all rows without keys, since their titles are in the next columns."""
    columns = [column for column in answer.columns if not column.endswith("_name")]
    head = "".join(f'<th scope="col"{_kind(answer.rows, name)}>{escape(heading(name))}</th>' for name in columns)
    body = "\n".join(
        f"<tr>{''.join(f'<td{_kind(answer.rows, name)}>{_data(name, row[name])}</td>' for name in columns)}</tr>"
        for row in answer.rows
    )
    state = ' open=""' if len(answer.rows) <= _SHORT_TABLE else ""
    label = escape(answer.notes["Question"], quote=True)
    return f"""<details{state}><summary>The figures, in {len(answer.rows)} rows</summary>
<div class="scroll" tabindex="0" role="region" aria-label="{label}">
<table><thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody></table></div></details>"""


def _kind(rows: Sequence[Row], column: str) -> str:
    return ' class="words"' if any(isinstance(row[column], str) for row in rows) else ""


def _data(column: str, value: object) -> str:
    """Return a formatted value, with its exact value for programs."""
    # Rounded, since DuckDB adds floats in any order.
    exact = "" if value is None else escape(f"{value:.9g}" if isinstance(value, float) else str(value), quote=True)
    return f'<data value="{exact}">{escape(figure(column, value))}</data>'
