"""The number of retries of a request, and the waits between them. No HTTP.

`RetryPolicy` has the waits, `RetryLimits` the limits of a caller for one request, and `Retries` counts its failed
attempts. `RateLimit` makes the requests of several threads wait for one that was answered with 429.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_daktela.api.outcome import Outcome

_EXPIRED = 2
"""Attempts of a request that exceeds the time limit of a whole request."""
_POLL_SECONDS = 0.1


class CancelledError(Exception):
    """The caller no longer needs the request."""


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """The waits between the attempts of a request, in seconds."""

    attempts: int = 6
    """Attempts of a request before it fails; their waits add up to about 25 s."""
    unreachable_attempts: int | None = None
    """Attempts if no connection can be made; None for as many as otherwise. `--test` makes fewer."""
    first_wait: float = 1.0
    max_wait: float = 16.0
    """Waits double from the first to the longest one, with up to 50 % jitter."""
    rate_limit_attempts: int = 10
    """Attempts while the server answers 429; their waits add up to about five minutes."""
    max_rate_limit_wait: float = 90.0
    """The longest wait after a 429. Quotas are usually counted per minute, and some count refused requests,
    too. The jitter is up to 25 %, so that the longest waits are more than a minute."""
    max_retry_after: float = 600.0
    """The longest wait that a `Retry-After` may request."""

    def wait(self, outcome: Outcome, failures: int) -> float:
        """Return the seconds to wait after so many failures of this kind, at least what the server requests."""
        longest, jitter = self.max_wait, 0.5
        if outcome.rate_limited:
            longest, jitter = self.max_rate_limit_wait, 0.25
        # A float would overflow after a thousand failures.
        backoff: float = min(self.first_wait * 2.0 ** min(failures - 1, 30), longest)
        wait = backoff * (1 - random.uniform(0, jitter))  # noqa: S311 - no cryptography
        return max(wait, min(outcome.wait or 0.0, self.max_retry_after))


DEFAULT_RETRIES = RetryPolicy()


@dataclass(frozen=True, kw_only=True)
class RetryLimits:
    """The limits of a caller for one request, besides those of the policy. None means no further limit."""

    attempts: int | None = None
    """Attempts of any kind."""
    time_outs: int | None = None
    """Attempts that time out."""
    reports: int | None = None
    """Attempts that are answered with an error in a 2xx."""
    expired: int | None = None
    """Attempts that exceed the time limit of a whole request."""
    oversized: int | None = None
    """Attempts whose failure a request for fewer rows may avoid."""


class Retries:
    """The failed attempts of one request."""

    def __init__(self, policy: RetryPolicy, limits: RetryLimits | None = None) -> None:
        limits = limits or RetryLimits()
        self._policy = policy
        self.failed = 0
        """The number of failed attempts."""
        self.most = limits.attempts or policy.attempts
        """The total number of attempts if all further ones fail as the last one did."""
        self._rate_limits = 0
        self._left = self.most
        self._rate_limits_left = limits.attempts or policy.rate_limit_attempts
        self.waits_for_quota = limits.attempts is None
        """Whether the request is repeated after a 429 as often as the policy allows."""
        self._unreachable_left = policy.unreachable_attempts or self.most
        self._time_outs_left = limits.time_outs or self.most
        self._reports_left = limits.reports or self.most
        self._expired_left = limits.expired or _EXPIRED
        self._oversized_left = limits.oversized or self.most

    def next_wait(self, outcome: Outcome) -> float | None:
        """Count a failed attempt; return the seconds until the next one, or None if there is no further one."""
        self.failed += 1
        if outcome.rate_limited:
            self._rate_limits += 1
            self._rate_limits_left -= 1
            left, failures = self._rate_limits_left, self._rate_limits
        else:
            left, failures = self._usual_left(outcome), self.failed - self._rate_limits
        self.most = self.failed + max(left, 0)
        return self._policy.wait(outcome, failures) if left > 0 else None

    def _usual_left(self, outcome: Outcome) -> int:
        if outcome.too_large:
            # The same response would be as large again.
            return 0
        self._left -= 1
        self._unreachable_left -= outcome.unreachable
        self._time_outs_left -= outcome.timed_out
        self._reports_left -= outcome.reported
        self._expired_left -= outcome.expired
        self._oversized_left -= outcome.fewer_rows_may_help
        left = [self._left]
        left += [self._unreachable_left] if outcome.unreachable else []
        left += [self._time_outs_left] if outcome.timed_out else []
        left += [self._reports_left] if outcome.reported else []
        left += [self._expired_left] if outcome.expired else []
        left += [self._oversized_left] if outcome.fewer_rows_may_help else []
        return min(left)


class RateLimit:
    """Lets requests to one instance pass freely until one is answered with 429.

    That request is then repeated until it succeeds, while the requests of other threads wait. Otherwise each of
    them would use up the quota that another one waits for. The requests that were refused meanwhile follow one
    by one.

    If a request fails after all its attempts, a further 429 is final until a later request succeeds, so that a run
    does not spend minutes on each of the remaining streams. A request that was sent before does not count: its
    response may have been on its way while the quota was used up.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._holder: int | None = None
        """The thread whose request all others wait for."""
        self._exhaustions = 0
        """How often a request has failed after all its attempts."""
        self._is_exhausted = False

    @property
    def is_exhausted(self) -> bool:
        """Whether a request has failed after all its attempts, and no later one has succeeded."""
        with self._condition:
            return self._is_exhausted

    def wait(self, cancelled: threading.Event) -> int:
        """Wait for the request of another thread that was answered with 429, if there is one.

        Returns a number for `note_success`.

        Raises:
            CancelledError: `cancelled` was set meanwhile.
        """
        with self._condition:
            self._wait(cancelled)
            return self._exhaustions

    def note_exhausted(self) -> None:
        """Note that a request has failed after all its attempts."""
        with self._condition:
            self._exhaustions += 1
            self._is_exhausted = True

    def note_success(self, number: int) -> None:
        """Note that a request has succeeded; `number` is what `wait` returned before it was sent."""
        with self._condition:
            if number == self._exhaustions:
                self._is_exhausted = False

    def hold(self, cancelled: threading.Event) -> bool:
        """Make the requests of other threads wait; return whether this one waited for another thread first.

        Raises:
            CancelledError: `cancelled` was set meanwhile.
        """
        with self._condition:
            waited = self._wait(cancelled)
            self._holder = threading.get_ident()
            return waited

    def release(self) -> None:
        """Let the requests of other threads pass if they wait for this thread."""
        with self._condition:
            if self._holder == threading.get_ident():
                self._holder = None
                self._condition.notify_all()

    def _wait(self, cancelled: threading.Event) -> bool:
        waited = False
        while self._holder not in {None, threading.get_ident()}:
            waited = True
            if cancelled.is_set():
                raise CancelledError
            self._condition.wait(_POLL_SECONDS)
        return waited
