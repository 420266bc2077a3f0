"""Several requests at a time: queries in, pages out, in whatever order the reader asks for them.

The threads only make requests and decode answers; what a page means is decided by the one thread that reads.
They are daemons, so that a process told to end does not wait for a server that does not answer.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_daktela.api.client import Client
    from tap_daktela.api.envelope import Page
    from tap_daktela.api.query import Query

Result = TypeVar("Result")

_CHECK_SECONDS = 0.2


class Fetcher:
    """A bounded pool of requests to one instance."""

    def __init__(self, client: Client, concurrency: int, check: Callable[[], None]) -> None:
        """Fetch with `client`; `check` is called while waiting and may raise to end the run."""
        self._client = client
        self._check = check
        self._cancelled = threading.Event()
        self._queue: SimpleQueue[tuple[Callable[[], Any], Future[Any], threading.Event]] = SimpleQueue()
        self.concurrency = concurrency
        self.ahead = 2 * concurrency
        """How many pages may be in flight or waiting to be read, besides the one that is being read."""
        self.held = 0
        """How many there are."""
        self.most_held = 0
        self.requests = 0
        """How many pages have been asked for, retries not counted."""
        for number in range(concurrency):
            threading.Thread(target=self._work, name=f"fetch-{number}", daemon=True).start()

    @property
    def has_room(self) -> bool:
        """Whether another page may be asked for ahead of its turn."""
        return self.held < self.ahead

    def submit(self, query: Query) -> Future[Page]:
        """Ask for a page; it counts as held until it is taken."""
        self.requests += 1
        self.held += 1
        self.most_held = max(self.most_held, self.held)
        return self._put(partial(self._client.page, query, self._cancelled))

    def wait(self, future: Future[Result]) -> Result:
        """Wait for a page and return it; it stays held.

        Raises:
            RequestError, SignInError: as the client raises them.
        """
        while True:
            self._check()
            wait([future], timeout=_CHECK_SECONDS)
            if future.done():
                return future.result()

    def take(self, future: Future[Page]) -> Page:
        """Wait for a page and return it; it is held no longer."""
        try:
            return self.wait(future)
        finally:
            self.held -= 1

    def drop(self, future: Future[Page]) -> None:
        """Forget a page that is not needed after all."""
        future.cancel()
        self.held -= 1

    def page(self, query: Query) -> Page:
        """Ask for a page, wait for it and return it."""
        return self.take(self.submit(query))

    def run(self, request: Callable[[], Result]) -> Result:
        """Make a request of another kind in one of the threads, wait for it and return its result."""
        return self.wait(self._put(request))

    def abandon(self) -> None:
        """Forget all pages asked for: those not yet sent are not, the others are not retried."""
        self._cancelled.set()
        self._cancelled = threading.Event()
        self.held = 0

    def _put(self, request: Callable[[], Result]) -> Future[Result]:
        future: Future[Result] = Future()
        self._queue.put((request, future, self._cancelled))
        return future

    def _work(self) -> None:
        while True:
            request, future, cancelled = self._queue.get()
            if cancelled.is_set() or not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(request())
            except BaseException as error:  # noqa: BLE001 - whoever waits for the result is to have it
                future.set_exception(error)
