"""`python -m tests.simulator`: an instance in a separate process.

It prints one line with URL, user name, password and token when it is ready, and serves until SIGTERM or SIGINT.
Everything else is controlled through `/__control__/` (see `control.py`).
"""

from __future__ import annotations

import argparse
import gc
import signal
import sys
from threading import Event
from typing import TYPE_CHECKING

from tests.simulator.drift import Drift
from tests.simulator.faults import KINDS, Fault
from tests.simulator.generate import generate
from tests.simulator.options import CHOICES
from tests.simulator.schema import ITEM_TABLES, TABLES
from tests.simulator.simulator import Simulator
from tests.simulator.sync import PATH

if TYPE_CHECKING:
    from collections.abc import Sequence

_HELP = {
    "sync_contacts": "whether the contacts of a load are added to those of their company, or replace them",
    "sync_answer": "response to an accepted load",
    "sync_poison_status": "status of the response to a refused load",
}
_GENERATED = (
    *("activities", "tickets", "accounts", "contacts", "users", "templates", "seed", "days"),
    *("open_share", "orphans", "long_text", "timezone", "now", "build"),
)


def parse_fault(text: str) -> Fault:
    """Return the fault of `KIND[:endpoint[:times]]`.

    An empty endpoint means all lists, `ever` as times means always.
    """
    kind, _, rest = text.partition(":")
    endpoint, _, times = rest.partition(":")
    try:
        return Fault(kind, endpoint=endpoint or None, times=None if times == "ever" else int(times or 1))
    except ValueError as refusal:
        raise argparse.ArgumentTypeError(str(refusal)) from refusal


def parse_burst(text: str) -> tuple[str, int]:
    """Return the burst of `YYYY-MM-DD HH:MM:SS=count`."""
    second, _, count = text.partition("=")
    return second, int(count)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options, with their defaults."""
    options = argparse.ArgumentParser(
        prog="python -m tests.simulator",
        description="Serve an invented Daktela instance on loopback.",
        epilog=f"Faults: {', '.join(KINDS)}; with applied-… the request has its effect, but loses its answer. "
        "Control it while it runs through /__control__/ (see control.py).",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = options.add_argument
    add("--port", type=int, default=8765, help="port, 0 for a free one")
    add("--name", default="demo", help="name of the instance in the printed line")
    add("--latency", type=float, default=0, help="minimum milliseconds of each request")
    data = options.add_argument_group("data")
    for name, count in (("activities", 20000), ("tickets", 3000), ("accounts", 300), ("contacts", 1000)):
        data.add_argument(f"--{name}", type=int, default=count, help="number of rows")
    data.add_argument("--users", type=int, default=40, help="number of rows")
    data.add_argument("--templates", type=int, default=40, help="number of rows")
    data.add_argument("--seed", type=int, default=1, help="another seed gives another instance")
    data.add_argument("--timezone", default="Europe/Prague", help="IANA zone of all times")
    data.add_argument("--now", default="2026-03-10 12:00:00", help="local time, which does not move")
    data.add_argument("--days", type=int, default=90, help="number of days of data")
    data.add_argument("--open-share", type=float, default=0.02, help="share of open activities")
    data.add_argument("--orphans", type=float, default=0.01, help="share of activities without their item")
    data.add_argument("--burst", type=parse_burst, help='"second=count": additional activities in one second')
    data.add_argument("--long-text", type=int, default=0, help="length of the longest e-mail in characters")
    data.add_argument("--build", choices=("2026", "2021"), default="2026", help="2021 has additional fields")
    _add_behaviour(options.add_argument_group("behaviour"))
    return options


def _add_behaviour(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--username", default="robot", help="user who can log in")
    add("--password", default="secret", help="password of this user")
    add(
        "--access-token",
        default="0123456789abcdef0123456789abcdef01234567",
        help="a permanent token",
    )
    add("--token-lifetime", type=float, default=7200, help="seconds until a token of a login expires")
    add("--token-uses", type=int, help="requests until a token of a login expires")
    add("--prefix", default="", help="path of the instance")
    for option, values in CHOICES.items():
        add(
            f"--{option.replace('_', '-')}",
            type=type(values[0]),
            choices=values,
            default=values[0],
            help=_HELP.get(option, "format of responses"),
        )
    add("--sync-path", default=PATH, help="path of the CRM sync")
    add("--sync-limit", type=int, default=20_000_000, help="maximum bytes of a load")
    add("--sync-status", type=int, default=200, help="status of the response to an accepted load")
    add("--sync-poison", nargs="+", default=[], metavar="ID", help="ids of companies and contacts that it refuses")
    add("--no-sync-keep", action="store_true", help="count loads without storing them")
    add("--no-timezone", action="store_true", help="omit _timezone from responses, as before 2023")
    add("--bom", action="store_true", help="start responses with a byte order mark")
    add("--fault", type=parse_fault, action="append", default=[], metavar="KIND[:ENDPOINT[:TIMES]]")
    add("--drift-every", type=int, default=0, help="change rows after every this many list requests")
    add("--drift-edit", type=int, default=2, help="rows of each table to edit then")
    add("--drift-close", type=int, default=1, help="activities to close then")
    add("--drift-insert", type=int, default=1, help="rows of each table to insert then")
    add("--drift-delete", type=int, default=0, help="rows to delete then from each table that is read whole")
    add(
        "--drift-tables",
        nargs="+",
        metavar="TABLE",
        choices=sorted(set(TABLES) - set(ITEM_TABLES.values())),
        default=["tickets", "activities", "accounts"],
        help="tables that change",
    )


def build(arguments: argparse.Namespace) -> Simulator:
    """Return the simulator that the options describe."""
    chosen = {name: getattr(arguments, name) for name in _GENERATED}
    options = (
        "username",
        "password",
        "access_token",
        "token_lifetime",
        "token_uses",
        "prefix",
        "port",
        "bom",
        "sync_path",
        "sync_limit",
        "sync_status",
    )
    simulator = Simulator(
        generate(burst=arguments.burst, **chosen),
        latency=arguments.latency / 1000,
        timezone_in_answer=not arguments.no_timezone,
        faults=arguments.fault,
        sync_poison=set(arguments.sync_poison),
        sync_keep=not arguments.no_sync_keep,
        **{name: getattr(arguments, name) for name in (*options, *CHOICES)},
    )
    if arguments.drift_every:
        simulator.drift = Drift(
            every=arguments.drift_every,
            edit=arguments.drift_edit,
            close=arguments.drift_close,
            insert=arguments.drift_insert,
            delete=arguments.drift_delete,
            seed=arguments.seed,
            tables=arguments.drift_tables,
        )
    return simulator


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal arrives."""
    options = parser().parse_args(arguments)
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    simulator = build(options)
    # The generated data stays until the end, so the garbage collector need not examine it.
    gc.freeze()
    with simulator:
        sys.stdout.write(
            f"{options.name} url={simulator.url} username={simulator.username} password={simulator.password} "
            f"token={simulator.access_token}\n"
        )
        sys.stdout.flush()
        stopping.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
