"""The simulator: an instance of Daktela on loopback, with a log of its requests.

Every option is an attribute, which can be changed while the simulator runs.
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
    """An instance of Daktela on loopback. Use it as a context manager, or call `start` and `stop`.

    Drift and `advance` change the dataset, so each simulator needs its own.

    Attributes:
        dataset: The data to serve.
        latency: Minimum seconds of each request.
        username: The user who can log in.
        password: The password of this user.
        access_token: A permanent token, empty for none.
        token_lifetime: Seconds by the simulator's clock after which a token from `login` expires.
        token_uses: Number of requests after which a token from `login` expires. None for no limit.
        login_shape: The result of `only_token=1`: an `object` of current builds, a `string` of old ones.
        login_status: Status of a successful login.
        prefix: The path of the instance, such as `/daktela`. Other paths get 404.
        port: The port to listen on, 0 for a free one.
        timezone_in_answer: Whether responses contain `_timezone` and `_serverTime`, as they do since about 2023.
        total_as: `int`, `string`, or `none` for null. Wrong totals: `page` for the number of rows in the page,
            `zero`, `negative`.
        total_limit: The maximum total. None for no limit.
        page_cap: The maximum number of rows in a page, even if more are requested. None for no limit.
        ignored: Parts of list requests that have no effect: `skip`, `take`, `sort`, or the operator `gte` or `lt`
            of a filter.
        user_timezone: Zone of the user, in which `whoim` answers. Empty for the zone of the instance.
        data_as: `list`, or `dict` for an object with the names as keys.
        bom: Whether responses start with a byte order mark.
        unknown_fields: `ignore`, or `refuse` with 400.
        refused_fields: Fields that are refused with 400 and a message that does not name them.
        field_limit: Maximum number of fields in a request. More get 400. None for no limit.
        url_limit: Maximum characters of a URL from its path on. Longer ones get 414. None for no limit.
        tie_break: Order of rows with the same sort key: `random` at each request, or by `name`.
        strip_relations: Relations that the account may not see, as dotted paths.
        strip_items: Activity types whose item the account may not see.
        forbidden: Endpoints that answer 403.
        missing: Endpoints that answer 404.
        quota: Number of requests that are answered in each period of `quota_seconds`. More get 429 without
            `Retry-After`. None for no limit.
        quota_seconds: Length of these periods. The first one begins with the first request.
        quota_counts_refused: Whether a request that gets 429 starts the period again.
        faults: The faults. The first one that is due happens.
        sync_path: The path of the CRM sync below the prefix.
        sync_limit: Maximum bytes of a body of the CRM sync.
        sync_contacts: `merge` adds and updates the contacts of a sent company. `replace` makes them all of its
            contacts.
        sync_keep: Whether the bodies and contents of loads are kept. Otherwise they are only counted.
        sync_poison: Ids, as texts, of companies and contacts with which a load is refused without a reason.
        sync_poison_status: The status of this refusal. 200 has the error in its body.
        sync_answer: The response to an accepted load: an envelope as `json`, `empty`, or the `text` OK.
        sync_status: The status of this response.
        drift: The changes of rows while they are read.
        crm: The content of loads; see `Crm`.
        touched: (table, name) of every row that drift has changed.
        max_in_flight: Maximum number of requests at the same time.
        failures: Errors of the simulator itself. `stop` raises an error if there are any.
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
        """Listen in threads of this process."""
        self._server = Server(self, self.port)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{self.prefix}"

    def stop(self) -> None:
        """Close all connections and wait for their threads, including those that wait."""
        if self._server is not None:
            self._server.stop()
            self._server = None
        if self.failures:
            raise RuntimeError("the simulator itself failed") from self.failures[0]

    # Requests

    @property
    def requests(self) -> list[Request]:
        """A copy of the log in the order of arrival, without requests of the control API."""
        with self.lock:
            return list(self._requests)

    def clear(self) -> None:
        """Clear the log and `max_in_flight`."""
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
        """Log the status of a request, 0 without a response."""
        with self.lock:
            self._in_flight -= 1
            request.status = status
            if request.endpoint == ENDPOINT and not self.sync_keep:
                request.body = b""
            request.seconds = time.monotonic() - request.time

    def is_over_quota(self) -> bool:
        """Count a request, and return whether it exceeds the quota."""
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

    # Changes over time

    @property
    def now(self) -> str:
        """The local time of the instance. It changes only if it is set or advanced."""
        return self.clock.now

    @now.setter
    def now(self, text: str) -> None:
        with self.lock:
            self.clock.now = text
            self.dataset.set_now(text)

    def move_clock(self, seconds: float) -> None:
        """Move the clock forward by elapsed time."""
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
        """Move the clock forward with changes of rows, and return (table, name) of every row that changed.

        A postponed activity that is closed keeps its closing time, so none of its times changes.
        """
        changes = Changes(minutes, new_activities, new_tickets, edit_tickets, close_activities, close_postponed)
        with self.lock:
            self._advances += 1
            return advance(self, changes, Random(f"{self.dataset.seed}:advance:{self._advances}"))

    def revoke(self) -> None:
        """Revoke the tokens of all logins, including refresh tokens."""
        with self.lock:
            self.tokens.by_access.clear()

    # Rows

    def insert(self, table: str, row: Row) -> None:
        """Add a row."""
        with self.lock:
            self.dataset.tables[table].append(row)
            self.take_in(table, row)

    def take_in(self, table: str, row: Row) -> None:
        """Serve a row that has been added to the dataset."""
        self.stores[table].take_in(row)
        self._came_or_went(table, row)

    def edit(self, table: str, name: Any, **changes: Any) -> None:
        """Change fields of a row, wherever it is embedded."""
        with self.lock:
            row = self.stores[table].by_name[name]
            self.stores[table].edit(row, changes)
            self.views.invalidate(table, name, changes)

    def remove(self, table: str, name: Any) -> None:
        """Delete a row. Rows that embed it keep it."""
        with self.lock:
            row = self.stores[table].by_name[name]
            self.stores[table].remove(row)
            self._came_or_went(table, row)

    def refresh(self) -> None:
        """Rebuild all indexes after a test has changed rows of the dataset directly."""
        with self.lock:
            self._activities_of = None
            self.views.clear()
            for store in self.stores.values():
                store.forget()

    def activities_of(self, table: str, name: Any) -> list[Row]:
        """Return the activities whose item is this row."""
        if self._activities_of is None:
            self._activities_of = {}
            for row in self.dataset.tables["activities"]:
                if row["item"] is not None:
                    place = ITEM_TABLES[row["type"]]
                    self._activities_of.setdefault((place, row["item"][key_of(place)]), []).append(row)
        return self._activities_of.get((table, name), [])

    def _came_or_went(self, table: str, row: Row) -> None:
        # Items are the only rows that contain their activities.
        columns = row if table == "activities" else ()
        self.views.invalidate(table, row[key_of(table)], columns)
        if table == "activities":
            self._activities_of = None
