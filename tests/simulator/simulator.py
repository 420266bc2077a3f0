"""The simulator: an instance with its data, its habits and its moods, served on loopback.

In: a `Dataset` and options. Out: a URL that answers as Daktela does, a log of what was asked, and the
levers that tests pull. Every option is an attribute and may be changed while it runs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from random import Random
from threading import RLock
from typing import TYPE_CHECKING, Any, Self

from tests.simulator.auth import Tokens
from tests.simulator.clock import Clock
from tests.simulator.crm_state import Crm
from tests.simulator.drift import Changes, Drift, Touched, advance
from tests.simulator.options import check_options
from tests.simulator.projection import Views
from tests.simulator.schema import ITEM_TABLES, Row, key_of
from tests.simulator.server import Server
from tests.simulator.sync import ENDPOINT, PATH
from tests.simulator.tables import Store

if TYPE_CHECKING:
    from tests.simulator.dataset import Dataset
    from tests.simulator.exchange import Request
    from tests.simulator.faults import Fault


@dataclass
class Simulator:
    """A Daktela on loopback; a context manager, or `start` and `stop`.

    Its dataset is changed by drift and by `advance`: give each simulator its own.

    Attributes:
        dataset: The data to serve.
        latency: Seconds that each request takes at least.
        username: Who may log in.
        password: With which password.
        access_token: A token that is always good; empty for none.
        token_lifetime: Seconds of the simulator's clock that a token from `login` lives.
        token_uses: Requests after which a token from `login` is dead; None for no such limit.
        login_shape: What `only_token=1` gives: an `object` on new builds, a `string` on old ones.
        login_status: Status of a successful login.
        prefix: Path under which the instance lives, as `/daktela`; nothing answers without it.
        port: Port to listen on; 0 takes a free one.
        timezone_in_answer: Whether answers say `_timezone` and `_serverTime`, as they do since about 2023.
        total_as: `int`, `string`, or `none` for null; wrong ones: `page` for the number of rows in the page,
            `zero`, `negative`.
        total_limit: What the total says at most; None for no such limit.
        page_cap: Rows that a page holds at most, however many are asked for; None for no such limit.
        ignored: Parts of list requests that have no effect: `skip`, `take`, `sort`, or the operator `gte` or `lt`
            of a filter.
        user_timezone: Zone of the account's user, in which `whoim` tells the time; empty for the instance's.
        data_as: `list`, or `dict` for an object by name.
        bom: Whether answers start with a byte order mark.
        unknown_fields: `ignore` them, or `refuse` them with 400.
        refused_fields: Fields that are refused with 400, whose message does not name them.
        field_limit: Fields that a request may name; more are refused with 400. None for no limit.
        url_limit: Characters that a URL may have from its path on; longer ones get 414. None for no limit.
        tie_break: Order of rows that the sort does not tell apart: `random` at each request, or by `name`.
        strip_relations: Relations that the account may not see, as dotted paths.
        strip_items: Activity types whose item the account may not see.
        forbidden: Endpoints that answer 403.
        missing: Endpoints that answer 404.
        quota: Requests that are answered in each span of `quota_seconds`; further ones get 429, without a word on
            when to come back. None for no such limit.
        quota_seconds: Length of these spans, which begin with the first request.
        quota_counts_refused: Whether a request that gets 429 starts the span again.
        faults: What goes wrong; the first one that is due wins.
        sync_path: Where the CRM synchronization lives, below the prefix.
        sync_limit: Bytes of the largest body that it takes.
        sync_contacts: Whether the contacts of a company that is sent are added and updated, `merge`, or become all
            its contacts, `replace`.
        sync_keep: Whether the bodies and the contents of loads are kept; if not, they are only counted.
        sync_poison: Ids, as texts, of companies and contacts with which a load is refused, and not told why.
        sync_poison_status: With which status; 200 has the error in its body.
        sync_answer: What an accepted load is answered: an envelope as `json`, `empty`, or the `text` OK.
        sync_status: With which status.
        drift: How rows move while they are read.
        crm: What loads have brought; see `Crm`.
        touched: (table, name) of every row that drift has changed.
        max_in_flight: Most requests that were being answered at the same time.
        failures: Errors of the simulator itself; `stop` raises if there are any.
    """

    dataset: Dataset
    latency: float = 0.0
    username: str = "robot"
    password: str = "secret"
    access_token: str = "0123456789abcdef0123456789abcdef01234567"
    token_lifetime: float = 7200
    token_uses: int | None = None
    login_shape: str = "object"
    login_status: int = 201
    prefix: str = ""
    port: int = 0
    timezone_in_answer: bool = True
    total_as: str = "int"
    total_limit: int | None = None
    page_cap: int | None = None
    ignored: set[str] = field(default_factory=set)
    user_timezone: str = ""
    data_as: str = "list"
    bom: bool = False
    unknown_fields: str = "ignore"
    refused_fields: set[str] = field(default_factory=set)
    field_limit: int | None = None
    url_limit: int | None = None
    tie_break: str = "random"
    strip_relations: set[str] = field(default_factory=set)
    strip_items: set[str] = field(default_factory=set)
    forbidden: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    quota: int | None = None
    quota_seconds: float = 60.0
    quota_counts_refused: bool = False
    faults: list[Fault] = field(default_factory=list)
    sync_path: str = PATH
    sync_limit: int = 20_000_000
    sync_contacts: str = "merge"
    sync_keep: bool = True
    sync_poison: set[str] = field(default_factory=set)
    sync_poison_status: int = 400
    sync_answer: str = "json"
    sync_status: int = 200
    drift: Drift | None = None
    crm: Crm = field(default_factory=Crm, init=False)
    touched: Touched = field(default_factory=set, init=False)
    max_in_flight: int = field(default=0, init=False)
    failures: list[BaseException | None] = field(default_factory=list, init=False)
    url: str = field(default="", init=False)

    def __post_init__(self) -> None:
        check_options(vars(self))
        self.lock = RLock()
        self.clock = Clock(self.dataset.now, self.dataset.timezone)
        self.random = Random(f"{self.dataset.seed}:order")
        self.tokens = Tokens()
        self.views = Views()
        self.stores = {name: Store(name, rows, self.dataset.build) for name, rows in self.dataset.tables.items()}
        self._advances = 0
        self._in_flight = 0
        self._requests: list[Request] = []
        self._activities_of: dict[tuple[str, Any], list[Row]] | None = None
        self._server: Server | None = None
        self._span_began = 0.0
        self._in_span = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, in threads of this process."""
        self._server = Server(self, self.port)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{self.prefix}"

    def stop(self) -> None:
        """Close every connection and wait for its thread, hanging requests included."""
        if self._server is not None:
            self._server.stop()
            self._server = None
        if self.failures:
            raise RuntimeError("the simulator itself failed") from self.failures[0]

    # What was asked

    @property
    def requests(self) -> list[Request]:
        """A snapshot of the log, in the order of arrival; the control surface is left out."""
        with self.lock:
            return list(self._requests)

    def clear(self) -> None:
        """Forget requests and `max_in_flight`."""
        with self.lock:
            self._requests.clear()
            self.max_in_flight = self._in_flight

    def begin(self, request: Request) -> None:
        """Log a request that has arrived."""
        with self.lock:
            self._in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self._in_flight)
            request.ordinal = len(self._requests)
            request.in_flight = self._in_flight
            request.time = time.monotonic()
            self._requests.append(request)

    def end(self, request: Request, status: int) -> None:
        """Note what became of a request: its status, or 0 if it got no answer."""
        with self.lock:
            self._in_flight -= 1
            request.status = status
            if request.endpoint == ENDPOINT and not self.sync_keep:
                request.body = b""
            request.seconds = time.monotonic() - request.time

    def is_over_quota(self) -> bool:
        """Count a request; return whether there were too many of late."""
        if self.quota is None:
            return False
        now = time.monotonic()
        if now - self._span_began >= self.quota_seconds:
            self._span_began, self._in_span = now, 0
        self._in_span += 1
        is_over = self._in_span > self.quota
        if is_over and self.quota_counts_refused:
            self._span_began = now
        return is_over

    # The world

    @property
    def now(self) -> str:
        """Local time of the instance; it stands still unless it is set or advanced."""
        return self.clock.now

    @now.setter
    def now(self, text: str) -> None:
        with self.lock:
            self.clock.now = text
            self.dataset.set_now(text)

    def move_clock(self, seconds: float) -> None:
        """Move on by real time."""
        self.clock.advance(seconds)
        self.dataset.set_now(self.clock.now)

    def advance(
        self,
        *,
        minutes: float = 0,
        new_activities: int = 0,
        new_tickets: int = 0,
        edit_tickets: int = 0,
        close_activities: int = 0,
        close_postponed: int = 0,
    ) -> Touched:
        """Let time pass and things happen in it; gives the (table, name) of every row that changed.

        A postponed activity that is closed keeps its closing time, so no date tells of it.
        """
        changes = Changes(minutes, new_activities, new_tickets, edit_tickets, close_activities, close_postponed)
        with self.lock:
            self._advances += 1
            return advance(self, changes, Random(f"{self.dataset.seed}:advance:{self._advances}"))

    def revoke(self) -> None:
        """Kill every token that a login gave, refresh tokens too."""
        with self.lock:
            self.tokens.by_access.clear()

    # Rows

    def insert(self, table: str, row: Row) -> None:
        """Add a row."""
        with self.lock:
            self.dataset.tables[table].append(row)
            self.take_in(table, row)

    def take_in(self, table: str, row: Row) -> None:
        """Serve a row that is in the dataset already."""
        self.stores[table].take_in(row)
        self._came_or_went(table, row)

    def edit(self, table: str, name: Any, **changes: Any) -> None:
        """Change fields of a row, wherever it is embedded."""
        with self.lock:
            row = self.stores[table].by_name[name]
            self.stores[table].edit(row, changes)
            self.views.changed(table, name, changes)

    def remove(self, table: str, name: Any) -> None:
        """Delete a row; rows that embed it go on doing so."""
        with self.lock:
            row = self.stores[table].by_name[name]
            self.stores[table].remove(row)
            self._came_or_went(table, row)

    def refresh(self) -> None:
        """Start afresh from the dataset, after a test has changed its rows directly."""
        with self.lock:
            self._activities_of = None
            self.views.forget()
            for store in self.stores.values():
                store.forget()

    def activities_of(self, table: str, name: Any) -> list[Row]:
        """The activities whose item is this row."""
        if self._activities_of is None:
            self._activities_of = {}
            for row in self.dataset.tables["activities"]:
                if row["item"] is not None:
                    place = ITEM_TABLES[row["type"]]
                    self._activities_of.setdefault((place, row["item"][key_of(place)]), []).append(row)
        return self._activities_of.get((table, name), [])

    def _came_or_went(self, table: str, row: Row) -> None:
        # Of the rows of other tables, only items show which activities there are.
        columns = row if table == "activities" else ()
        self.views.changed(table, row[key_of(table)], columns)
        if table == "activities":
            self._activities_of = None
