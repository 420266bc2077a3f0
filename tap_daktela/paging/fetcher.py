"""A bounded pool of concurrent requests to one instance.

A response is decoded in the thread that received it, so a future holds a page or an exception.

The threads are daemons: the end of the process does not wait for a server that does not respond. They start when
there is work for them, and `close` ends them.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from tap_daktela.paging.smaller_pages import fetch_with_fewer_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_daktela.api.client import Client
    from tap_daktela.api.envelope import Page
    from tap_daktela.api.query import Query

Result = TypeVar("Result")

_CHECK_SECONDS = 0.2


class Fetcher:
    """Fetches pages of one instance in several threads."""

    def __init__(self, client: Client, concurrency: int, check: Callable[[], None]) -> None:
        """Fetch with `client`; `check` is called while waiting and may raise to end the run."""
        self._client = client
        self._check = check
        self._cancellations: dict[Future[Any], threading.Event] = {}
        """For each request whose result has not been taken: the event that cancels it."""
        self._workers = _Workers(concurrency)
        self.concurrency = concurrency
        self.max_outstanding = 2 * concurrency
        """How many pages may be requested or in memory, besides the one whose rows are being processed."""
        self.outstanding = 0
        """How many pages have been submitted, and neither taken nor discarded."""

    def submit(self, query: Query) -> Future[Page]:
        """Request a page, with fewer rows if the server cannot send as many."""
        self.outstanding += 1
        return self._start(partial(self._fetch, query))

    def ready(self, future: Future[Page]) -> Page | None:
        """Return a page that has arrived, None if it has not or if its request failed. It remains outstanding."""
        return future.result() if future.done() and future.exception() is None else None

    def take(self, future: Future[Page]) -> Page:
        """Wait for a page and return it; it is no longer outstanding.

        Raises:
            RequestError, SignInError: as the client raises them.
        """
        try:
            return self._wait(future)
        finally:
            self.outstanding -= 1

    def discard(self, future: Future[Page]) -> None:
        """Cancel the request for a page that is not needed."""
        future.cancel()
        self._cancellations.pop(future).set()
        self.outstanding -= 1

    def page(self, query: Query) -> Page:
        """Request a page, wait for it and return it."""
        return self.take(self.submit(query))

    def run(self, request: Callable[[], Result]) -> Result:
        """Call a function in one of the threads, wait for it and return its result."""
        return self._wait(self._start(lambda _cancelled: request()))

    def cancel_all(self) -> None:
        """Cancel all requests: those that have not been sent are not sent, the others are not retried."""
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

    def _fetch(self, query: Query, cancelled: threading.Event) -> Page:
        return fetch_with_fewer_rows(query, lambda smaller, limits: self._client.page(smaller, limits, cancelled))

    def _wait(self, future: Future[Result]) -> Result:
        while True:
            self._check()
            wait([future], timeout=_CHECK_SECONDS)
            if future.done():
                self._cancellations.pop(future, None)
                return future.result()

    def _start(self, task: Callable[[threading.Event], Result]) -> Future[Result]:
        """Call `task` in a thread, with an event that is set when its result is no longer needed."""
        future: Future[Result] = Future()
        cancelled = self._cancellations[future] = threading.Event()
        self._workers.put(partial(_run, partial(task, cancelled), future, cancelled))
        return future


class _Workers:
    """Threads that run one task after the other; each starts when all others are busy."""

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._started = 0
        self._unfinished = 0
        """Tasks that are waiting or running."""

    def put(self, task: Callable[[], None]) -> None:
        """Queue a task for the next free thread."""
        with self._lock:
            self._unfinished += 1
            number = self._started
            starts = number < min(self._unfinished, self._max_threads)
            self._started += starts
        self._queue.put(task)
        if starts:
            threading.Thread(target=self._work, name=f"fetch-{number}", daemon=True).start()

    def stop(self) -> None:
        """End each thread after the tasks before it in the queue."""
        for _ in range(self._started):
            self._queue.put(None)

    def _work(self) -> None:
        while (task := self._queue.get()) is not None:
            task()
            # It holds the future with the page. A thread would keep that until its next task.
            del task
            with self._lock:
                self._unfinished -= 1


def _run(task: Callable[[], Any], future: Future[Any], cancelled: threading.Event) -> None:
    """Run a task and set the result of its future."""
    if cancelled.is_set() or not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(task())
    except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for the result
        future.set_exception(error)
