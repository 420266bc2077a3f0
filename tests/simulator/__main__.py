"""`python -m tests.simulator`: an instance as a process of its own.

In: command-line options. Out: one line with URL, user name, password and token as soon as it listens; then
it serves until SIGTERM or SIGINT. Everything else is steered through `/__control__/` (see `control.py`).
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

_HABITS = {
    "sync_contacts": "what a company's contacts in a load do to those it has",
    "sync_answer": "what an accepted load is answered",
    "sync_poison_status": "status of the answer to a refused load",
}
_GENERATED = (
    *("activities", "tickets", "accounts", "contacts", "users", "templates", "seed", "days"),
    *("open_share", "orphans", "long_text", "timezone", "now", "build"),
)


def parse_fault(text: str) -> Fault:
    """`KIND[:endpoint[:times]]`; an empty endpoint means all lists, `ever` as times means for good."""
    kind, _, rest = text.partition(":")
    endpoint, _, times = rest.partition(":")
    try:
        return Fault(kind, endpoint=endpoint or None, times=None if times == "ever" else int(times or 1))
    except ValueError as refusal:
        raise argparse.ArgumentTypeError(str(refusal)) from refusal


def parse_burst(text: str) -> tuple[str, int]:
    """`YYYY-MM-DD HH:MM:SS=count`."""
    second, _, count = text.partition("=")
    return second, int(count)


def parser() -> argparse.ArgumentParser:
    """Every option, with its default."""
    options = argparse.ArgumentParser(
        prog="python -m tests.simulator",
        description="Serve an invented Daktela instance on loopback.",
        epilog=f"Faults: {', '.join(KINDS)}; with applied-… the request has its effect, but loses its answer. "
        "Steer it while it runs through /__control__/ (see control.py).",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = options.add_argument
    add("--port", type=int, default=8765, help="0 takes a free one")
    add("--name", default="demo", help="what the printed line calls the instance")
    add("--latency", type=float, default=0, help="milliseconds that each request takes at least")
    data = options.add_argument_group("data")
    for name, count in (("activities", 20000), ("tickets", 3000), ("accounts", 300), ("contacts", 1000)):
        data.add_argument(f"--{name}", type=int, default=count, help="how many")
    data.add_argument("--users", type=int, default=40, help="how many")
    data.add_argument("--templates", type=int, default=40, help="how many")
    data.add_argument("--seed", type=int, default=1, help="another seed, another instance")
    data.add_argument("--timezone", default="Europe/Prague", help="IANA zone of all times")
    data.add_argument("--now", default="2026-03-10 12:00:00", help="local time; it stands still")
    data.add_argument("--days", type=int, default=90, help="how far back the data goes")
    data.add_argument("--open-share", type=float, default=0.02, help="part of the activities left open")
    data.add_argument("--orphans", type=float, default=0.01, help="part of the activities without their item")
    data.add_argument("--burst", type=parse_burst, help='"second=count": further activities in one second')
    data.add_argument("--long-text", type=int, default=0, help="characters of the longest e-mail")
    data.add_argument("--build", choices=("2026", "2021"), default="2026", help="2021 has the fields gone since")
    _add_behaviour(options.add_argument_group("behaviour"))
    return options


def _add_behaviour(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--username", default="robot", help="who may log in")
    add("--password", default="secret", help="with which password")
    add(
        "--access-token",
        default="0123456789abcdef0123456789abcdef01234567",
        help="a token that is always good",
    )
    add("--token-lifetime", type=float, default=7200, help="seconds that a token from a login lives")
    add("--token-uses", type=int, help="requests after which a token from a login is dead")
    add("--prefix", default="", help="path under which the instance lives")
    for option, values in CHOICES.items():
        add(
            f"--{option.replace('_', '-')}",
            type=type(values[0]),
            choices=values,
            default=values[0],
            help=_HABITS.get(option, "how answers are spelled"),
        )
    add("--sync-path", default=PATH, help="where the CRM synchronization lives")
    add("--sync-limit", type=int, default=20_000_000, help="bytes of the largest load that it takes")
    add("--sync-status", type=int, default=200, help="status of the answer to an accepted load")
    add("--sync-poison", nargs="+", default=[], metavar="ID", help="companies and contacts that it refuses")
    add("--no-sync-keep", action="store_true", help="count loads, and keep nothing of them")
    add("--no-timezone", action="store_true", help="answers lack _timezone, as before 2023")
    add("--bom", action="store_true", help="answers start with a byte order mark")
    add("--fault", type=parse_fault, action="append", default=[], metavar="KIND[:ENDPOINT[:TIMES]]")
    add("--drift-every", type=int, default=0, help="move rows after every so many list requests")
    add("--drift-edit", type=int, default=2, help="how many rows of each table are edited then")
    add("--drift-close", type=int, default=1, help="how many activities are closed then")
    add("--drift-insert", type=int, default=1, help="how many rows of each table appear then")
    add("--drift-delete", type=int, default=0, help="how many rows vanish from each table that is read whole")
    add(
        "--drift-tables",
        nargs="+",
        metavar="TABLE",
        choices=sorted(set(TABLES) - set(ITEM_TABLES.values())),
        default=["tickets", "activities", "accounts"],
        help="which tables drift",
    )


def build(arguments: argparse.Namespace) -> Simulator:
    """The simulator that the options describe."""
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
    """Serve until a signal asks to stop."""
    options = parser().parse_args(arguments)
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    simulator = build(options)
    # What was generated stays: no collection needs to look at it again.
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
