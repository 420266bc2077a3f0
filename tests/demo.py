"""`make demo`: load a contact centre into DuckDB and a CRM into the contact centre with Meltano, and print a page.

Only the contact centre and the CRM are simulated. Simulator, Meltano, tap, target and loader are separate
processes. Every number on the page comes from the loaded tables, the logs of the runs, or the simulator's log of
requests. All files are in `.demo/`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen
from zoneinfo import ZoneInfo

import duckdb

from examples.warehouse.page import write as write_page
from tests import demo_crm
from tests.meltano import MELTANO, ROOT, PipelineError, Project
from tests.page import BAR, bar, bold, dim, heading, say, step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import FrameType

FOLDER = ROOT / ".demo"
WAREHOUSE = "daktela.duckdb"
PAGE = "contact-centre.html"
EARLIER = "after-the-first-run.duckdb"
LOADER = "target-duckdb"
ZONE = ZoneInfo("Europe/Prague")

CONTACT_CENTRE = {"activities": 20000, "tickets": 3000, "days": 30, "seed": 1}
MEANWHILE = {
    "minutes": 120,
    "new_activities": 150,
    "new_tickets": 12,
    "edit_tickets": 25,
    "close_activities": 40,
}
"""The changes between the runs."""

_PATIENCE = 10
_INTERRUPTED = 130


def main() -> int:
    """Run the demo, and return the exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    if not MELTANO.exists():
        say("Meltano is not installed; `make demo` installs it.")
        return 1
    try:
        demo(FOLDER, CONTACT_CENTRE)
    except PipelineError as error:
        say("", "", str(error))
        return 1
    except KeyboardInterrupt:
        say("", "", "Interrupted. The simulator and Meltano have been stopped.")
        return _INTERRUPTED
    return 0


def demo(folder: Path, contact_centre: Mapping[str, int]) -> None:
    """Empty the folder, load a contact centre twice, and load a CRM into it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    say("", bold("A Daktela contact centre in DuckDB, by Meltano"), dim("Every name and number is invented."), "")
    with open_contact_centre(folder, contact_centre) as simulator:
        project = Project(folder, simulator.url)
        first = load(project, simulator, "First run")
        shutil.copy(folder / WAREHOUSE, folder / EARLIER)
        with step(_meanwhile()):
            now = simulator.advance()
        second = load(project, simulator, "Second run")
        with duckdb.connect(str(folder / WAREHOUSE), read_only=True) as warehouse:
            warehouse.execute(f"ATTACH '{folder / EARLIER}' AS earlier (READ_ONLY)")
            show_runs(warehouse, first, second)
            show_calls_by_hour(warehouse)
            show_answered_by_queue(warehouse)
            show_open_tickets(warehouse, now)
        demo_crm.show(project, simulator.crm)
    write_page(folder / WAREHOUSE, folder / PAGE)
    show_where(folder)


# The steps.


@dataclass(frozen=True)
class Loaded:
    """The result of one run."""

    records: dict[str, int]
    requests: int
    bookmark: datetime


@dataclass(frozen=True)
class Simulator:
    """The control API of the simulator."""

    url: str

    def advance(self) -> datetime:
        """Move the clock of the simulator with many changes, and return its time."""
        now = str(self._control("POST", "advance", MEANWHILE)["now"])
        return datetime.fromisoformat(now).replace(tzinfo=ZONE)

    def take_requests(self) -> int:
        """Return the number of requests since the last call."""
        count = len(self._control("GET", "requests"))
        self._control("DELETE", "requests")
        return count

    def crm(self) -> dict[str, dict[str, Any]]:
        """Return the companies and contacts that came from a CRM."""
        return dict(self._control("GET", "crm"))

    def _control(self, method: str, lever: str, content: object = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        request = Request(f"{self.url}/__control__/{lever}", body, method=method)  # noqa: S310 - it is http
        with urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310 - see above
            return json.load(answer)


@contextmanager
def open_contact_centre(folder: Path, contents: Mapping[str, int]) -> Iterator[Simulator]:
    """Run the simulator as a process during the block."""
    arguments = [sys.executable, "-m", "tests.simulator", "--port", "0"]
    for name, value in contents.items():
        arguments += [f"--{name}", str(value)]
    with (
        (folder / "simulator.log").open("wb") as log,
        # In a separate session, so that Ctrl-C does not end it before Meltano.
        subprocess.Popen(
            arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        ) as process,
    ):
        try:
            with step(f"A contact centre opens: {contents['activities']:,} activities in {contents['days']} days"):
                url = _url(process, log.name)
            yield Simulator(url)
        finally:
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def _url(process: subprocess.Popen[str], log: str) -> str:
    """Return the address of the simulator when it is ready."""
    line = process.stdout.readline() if process.stdout else ""
    url = dict(word.partition("=")[::2] for word in line.split()).get("url")
    if url is None:
        raise PipelineError(f"The simulator did not start; see {log}.")
    return url


def load(project: Project, simulator: Simulator, title: str) -> Loaded:
    """Run the pipeline once."""
    with step(f"{title}: meltano run tap-daktela {LOADER}"):
        run = project.run("tap-daktela", LOADER, log=title.lower().replace(" ", "-"))
    bookmark = max(project.bookmarks(LOADER).values())
    return Loaded(run.records, simulator.take_requests(), bookmark)


# The page.


def show_runs(warehouse: duckdb.DuckDBPyConnection, first: Loaded, second: Loaded) -> None:
    """Show the loaded rows of each run, and the new rows of the second run."""
    heading("What the two runs loaded")
    say(dim(f"  {'stream':<18}{'first run':>12}{'second run':>13}{'new':>8}{'changed':>10}{'as before':>12}"))
    for stream, records in second.records.items():
        rows, new, changed = differences(warehouse, stream)
        say(f"  {stream:<18}{rows:>12,}{records:>13,}{new:>8,}{changed:>10,}{records - new - changed:>12,}")
    totals = [sum(run.records.values()) for run in (first, second)]
    say(dim(f"  {'records':<18}{totals[0]:>12,}{totals[1]:>13,}"))
    say(dim(f"  {'requests':<18}{first.requests:>12,}{second.requests:>13,}"))
    say(dim(f"  {'bookmark':<18}{_clock(first.bookmark):>12}{_clock(second.bookmark):>13}"))
    say(
        "",
        "The second run read only what is younger than the bookmark less a day, and older",
        "activities that have been closed since. The bookmark is the server's clock less",
        "half an hour, in which calls come to their end.",
    )


def differences(warehouse: duckdb.DuckDBPyConnection, stream: str) -> tuple[int, int, int]:
    """Return the number of rows after the first run, and the numbers of added and changed rows of the second."""
    query = f"""
        SELECT (SELECT count(*) FROM earlier.main.{stream}),
               (SELECT count(*) FROM main.{stream}),
               (SELECT count(*) FROM (FROM main.{stream} EXCEPT FROM earlier.main.{stream}))
    """  # noqa: S608 - the names of streams are the tap's
    [(before, after, differing)] = warehouse.execute(query).fetchall()
    return before, after - before, differing - (after - before)


def show_calls_by_hour(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Show the number of calls by hour."""
    # A transferred call belongs to several activities. The loader stores times in UTC without a zone.
    rows = warehouse.execute("""
        SELECT hour(item_call_time AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Prague') AS hour,
               count(DISTINCT item_id_call) AS calls
        FROM activities_call
        GROUP BY hour
        ORDER BY hour
    """).fetchall()
    heading("When does the telephone ring?")
    most = max(calls for _, calls in rows)
    for hour, calls in rows:
        say(f"  {hour:>2} h {calls:>6,}  {bar(calls / most)}")


def show_answered_by_queue(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Show the queues with the most waiting customers."""
    rows = warehouse.execute("""
        WITH contacts AS (
            SELECT item_id_queue_name AS queue, item_answered AS answered
            FROM activities_call
            WHERE item_direction = 'in'
            UNION ALL
            SELECT item_queue_name, item_answered FROM activities_chat
        )
        SELECT queues.title, count(*), avg(answered::INTEGER) AS share
        FROM contacts JOIN queues ON contacts.queue = queues.name
        GROUP BY queues.title
        ORDER BY share
    """).fetchall()
    heading("Which queues leave customers waiting?")
    for title, contacts, share in rows:
        say(f"  {title:<18} {contacts:>6,} calls and chats, {share:>4.0%} answered  {bar(share, BAR // 2)}")


def show_open_tickets(warehouse: duckdb.DuckDBPyConnection, now: datetime) -> None:
    """Show the age of open tickets."""
    rows = warehouse.execute(
        """
        SELECT least(date_diff('day', created, ?::TIMESTAMPTZ AT TIME ZONE 'UTC') // 7, 3) AS weeks, count(*)
        FROM tickets
        WHERE stage IN ('OPEN', 'WAIT')
        GROUP BY weeks
        ORDER BY weeks
        """,
        [now.isoformat()],
    ).fetchall()
    ages = ("under a week", "a week", "two weeks", "three weeks and over")
    heading("How old are the open tickets?")
    most = max(tickets for _, tickets in rows)
    for weeks, tickets in rows:
        say(f"  {ages[weeks]:<20} {tickets:>6,}  {bar(tickets / most, BAR * 3 // 4)}")


def show_where(folder: Path) -> None:
    """Print the paths of the tables and the charts, and a command for own queries."""
    warehouse, charts = (os.path.relpath(folder / name) for name in (WAREHOUSE, PAGE))
    heading("What a warehouse does next")
    say(
        f"Open {charts} in a browser: its charts show service level,",
        "abandoned calls, occupancy, first answers and tickets that came back. The SQL behind",
        f"them is in examples/warehouse, and the tables are in {warehouse}, with the",
        "logs of the runs beside it. To ask something else, for example:",
        "",
        f"""  .venv/bin/python -c "import duckdb; print(duckdb.connect('{warehouse}').sql('FROM queues'))\"""",
        "",
    )


def _meanwhile() -> str:
    begin, end = MEANWHILE["new_activities"], MEANWHILE["close_activities"]
    return f"{MEANWHILE['minutes'] // 60} hours pass: {begin} activities begin, {end} end"


def _clock(moment: datetime) -> str:
    return moment.astimezone(ZONE).strftime("%d %b %H:%M")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
