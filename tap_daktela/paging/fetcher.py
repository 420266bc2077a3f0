"""Several requests at a time: queries in, pages out, in whatever order the reader asks for them.

The threads only make requests, and repeat those whose answers are no pages. What a page holds, and what it means,
is found out by the one thread that reads. Decoded where they arrive, answers would cost 5 % more: the threads take
turns at it, and when a page's turn comes, others have taken its place in the processor's cache.
They are daemons, so that a process that ends does not wait for a server that does not answer. They start when
there is work for them, and `close` ends them.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from tap_daktela.api.outcome import RequestError
from tap_daktela.paging.smaller_pages import fetch_with_fewer_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_daktela.api.client import Client
    from tap_daktela.api.envelope import Page
    from tap_daktela.api.query import Query
    from tap_daktela.api.unread import Unread

Result = TypeVar("Result")

_CHECK_SECONDS = 0.2


class Fetcher:
    """A bounded pool of requests to one instance."""

    def __init__(self, client: Client, concurrency: int, check: Callable[[], None]) -> None:
        """Fetch with `client`; `check` is called while waiting and may raise to end the run."""
        self._client = client
        self._check = check
        self._cancellations: dict[Future[Any], threading.Event] = {}
        """For each request that has not been taken: set if it is no longer needed."""
        self._workers = _Workers(concurrency)
        self.concurrency = concurrency
        self.max_outstanding = 2 * concurrency
        """How many pages may be in flight or waiting to be read, besides the one that is being read."""
        self.outstanding = 0
        """How many there are."""

    @property
    def has_room(self) -> bool:
        """Whether another page may be asked for ahead of its turn."""
        return self.outstanding < self.max_outstanding

    def submit(self, query: Query) -> Future[Unread]:
        """Request a page, with fewer rows if the server cannot send as many; it is held until it is taken."""
        self.outstanding += 1
        return self._put(partial(self._ask, query))

    def wait(self, future: Future[Unread]) -> Page:
        """Wait for a page and return it; it stays held until it is released.

        Raises:
            RequestError, SignInError: as the client raises them.
        """
        unread = self._wait(future)
        if unread.page is None:
            return self._wait(self._again(unread))
        return replace(unread.page, take=unread.query.take)

    def peek(self, future: Future[Unread], fields: tuple[str, ...]) -> Page | None:
        """Return some fields of a page if it is there, and None if it is not, or not yet, or cannot be had.

        It stays held, as it came: a page takes three times as much memory once it is read as a whole.
        """
        if not future.done() or future.exception() is not None:
            return None
        unread = future.result()
        if unread.again is None and (page := unread.glance(fields)) is not None:
            return replace(page, take=unread.query.take)
        self._again(unread)
        return None

    def take(self, future: Future[Unread]) -> Page:
        """Wait for a page and return it; it is held no longer."""
        try:
            return self.wait(future)
        finally:
            self.release()

    def release(self) -> None:
        """Hold a page less."""
        self.outstanding -= 1

    def discard(self, future: Future[Unread]) -> None:
        """Forget a page that is not needed after all; its request is not repeated."""
        future.cancel()
        self._cancellations.pop(future).set()
        self.release()

    def page(self, query: Query) -> Page:
        """Ask for a page, wait for it and return it."""
        return self.take(self.submit(query))

    def run(self, request: Callable[[], Result]) -> Result:
        """Make a request of another kind in one of the threads, wait for it and return its result."""
        return self._wait(self._put(lambda _cancelled: request()))

    def cancel_all(self) -> None:
        """Forget all requests: those that have not been sent are not, the others are not repeated."""
        for cancelled in self._cancellations.values():
            cancelled.set()
        self._cancellations.clear()
        self.outstanding = 0

    def close(self) -> None:
        """End the threads and close the idle connections. A later request starts and opens new ones."""
        self.cancel_all()
        self._workers.stop()
        self._workers = _Workers(self.concurrency)
        self._client.close()

    def _again(self, unread: Unread) -> Future[Page]:
        """Return the repetition of a request whose answer is no page, which begins when that is found out."""
        if unread.again is None:
            unread.again = self._put(partial(self._ask_again, unread))
        return unread.again

    def _ask(self, query: Query, cancelled: threading.Event) -> Unread:
        return fetch_with_fewer_rows(query, lambda smaller, limits: self._client.ask(smaller, cancelled, limits))

    def _ask_again(self, unread: Unread, cancelled: threading.Event) -> Page:
        query = unread.query
        try:
            return self._client.ask_again(unread, cancelled)
        except RequestError as error:
            return fetch_with_fewer_rows(
                query,
                lambda smaller, limits: replace(self._client.page(smaller, limits, cancelled), take=smaller.take),
                error,
            )

    def _wait(self, future: Future[Result]) -> Result:
        while True:
            self._check()
            wait([future], timeout=_CHECK_SECONDS)
            if future.done():
                self._cancellations.pop(future, None)
                return future.result()

    def _put(self, request: Callable[[threading.Event], Result]) -> Future[Result]:
        """Have a request made; it is passed what is set if its result is no longer needed."""
        future: Future[Result] = Future()
        cancelled = self._cancellations[future] = threading.Event()
        self._workers.put(partial(_make, partial(request, cancelled), future, cancelled))
        return future


class _Workers:
    """Threads that do one task after the other; each starts when all others are busy."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._started = 0
        self._open = 0
        """Tasks that are waiting or being done."""

    def put(self, task: Callable[[], None]) -> None:
        """Have a task done by the next free thread."""
        with self._lock:
            self._open += 1
            number = self._started
            starts = number < min(self._open, self._most)
            self._started += starts
        self._queue.put(task)
        if starts:
            threading.Thread(target=self._work, name=f"fetch-{number}", daemon=True).start()

    def stop(self) -> None:
        """End each thread after the tasks before it in the queue."""
        for _ in range(self._started):
            self._queue.put(None)

    def _work(self) -> None:
        # Not in a variable of this function, which would hold a page until the next task.
        while _do(self._queue.get()):
            with self._lock:
                self._open -= 1


def _do(task: Callable[[], None] | None) -> bool:
    """Do a task; return whether there was one."""
    if task is None:
        return False
    task()
    return True


def _make(request: Callable[[], Any], future: Future[Any], cancelled: threading.Event) -> None:
    """Make a request and hand its result over."""
    if cancelled.is_set() or not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(request())
    except BaseException as error:  # noqa: BLE001 - whoever waits for the result is to have it
        future.set_exception(error)
