"""Request bodies to Daktela, one at a time, in order: entries of the store in, the fate of each of them out.

A body that is taken in is marked before the next one is sent, so that a crash costs one body at most; the endpoint
upserts by id, so repeating one does no harm. What is refused is looked for by halving, and rejected alone. What
follows is about bodies without `delete`; one with it is sent by `deletion.py`, whole or not at all.

    taken in            marked as delivered
    413                 sent again in halves, and the smaller size is kept for the run
    two time-outs       as 413
    400, 422            sent again in halves, down to the one that is refused, which is rejected
    an error in a 2xx   repeated with growing waits; if it stays, as 400
    500                 likewise, but nothing is rejected unless a part of the same body is taken in: then it is a
                        record that makes the endpoint fail, and not the endpoint itself
    429, other 5xx, HTML, connection errors   repeated with growing waits; then the run stops
    401, 403, 404, 3xx  the run stops
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from itertools import filterfalse
from typing import TYPE_CHECKING, Protocol

from tap_daktela.api.command import RunError
from tap_daktela.api.retry import Patience
from tap_daktela.api.verdict import Action, RequestError
from target_daktela_crm.delivery.batching import Body, encode, pack, size_of
from target_daktela_crm.entities import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tap_daktela.api.auth import SignInError
    from target_daktela_crm.delivery.rejects import Rejects
    from target_daktela_crm.entities import Part

logger = logging.getLogger(__name__)

_TIME_OUTS = 2
"""Of the same body, after which it is halved."""
_MOST_TIME_OUTS = 12
"""Without an answer in between, after which nobody is there: enough to halve a body six times."""
_FEWER = 2
"""Attempts for the parts of a body that was waited for in vain."""
_SUSPECTS = 3
"""Entries that alone make the endpoint fail, one after the other, before it is the endpoint that fails."""
_REFUSALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})


class Ledger(Protocol):
    """Where the fate of entries is kept; the store is one."""

    def mark_sending(self, entries: Iterable[Entry]) -> None:
        """Note that these are on their way."""

    def mark_accepted(self) -> None:
        """Note that these have arrived."""

    def mark_refused(self) -> None:
        """Note that these have certainly been refused."""

    def stream_of(self, part: Part, *, is_contact: bool) -> str:
        """Return the stream that a contact or company came from."""


class _TooLargeError(Exception):
    """The endpoint does not take that many bytes."""


class _TooSlowError(_TooLargeError):
    """The endpoint does not take them in time."""


class _RefusedError(Exception):
    """The endpoint does not take what is in the body; the message says why."""


class Progress:
    """What has been sent so far."""

    def __init__(self) -> None:
        self.requests = 0
        self.retries = 0
        self.accepted = 0
        self.bytes = 0
        self.companies = 0
        self.contacts = 0


class Delivery:
    """The requests of one run."""

    def __init__(
        self,
        post: Callable[[bytes, Patience], None],
        ledger: Ledger,
        rejects: Rejects,
        limit: int,
        *,
        may_send: Callable[[], None],
    ) -> None:
        """Take `post`, which returns once a body is taken in, and `may_send`, which raises if none may be sent."""
        self.progress = Progress()
        self._post = post
        self._ledger = ledger
        self._rejects = rejects
        self._most = limit
        self._limit = limit
        self._may_send = may_send
        self._silence = 0
        self._reports = False
        self._failure: RequestError | None = None
        self._accepted_before = 0
        self._suspects: list[tuple[Entry, str]] = []
        self._suspect_companies: set[str] = set()
        self._failures = 0
        self._refusals = 0
        self._refused_companies: dict[str, str] = {}

    def deliver(self, entries: Iterable[Entry]) -> None:
        """Send everything, or reject it.

        Raises:
            RunError: nothing more can be sent; what has been taken in is marked.
            TooManyRejectsError: likewise, since too much was refused.
        """
        for packed in pack(filterfalse(self._follows, entries), lambda: self._limit, self._most):
            self._reports, self._failure = False, None
            self._accepted_before = self.progress.accepted
            if isinstance(packed, Body):
                self._send(packed.entries)
                self._settle_suspects()
            else:
                self._reject(packed.entry, f"is over max_request_bytes alone ({packed.size:,} bytes)")
            # Or it would be in memory together with the next one.
            del packed

    def _send(self, entries: Sequence[Entry]) -> None:
        """Send what fits a body, in parts if it must be; what follows a refused company is left out."""
        entries = [entry for entry in entries if not self._follows(entry)]
        if not entries:
            return
        try:
            self._attempt(entries)
        except _TooLargeError as error:
            self._send_smaller(entries, error)
        except _RefusedError as error:
            self._search(entries, str(error))

    def _send_smaller(self, entries: Sequence[Entry], error: _TooLargeError) -> None:
        if len(entries) == 1:
            self._reject(entries[0], f"is too large alone: Daktela {error}")
            return
        half = size_of(entries) // 2
        # A body that is small already and is not answered in time tells nothing of what is too large.
        if not isinstance(error, _TooSlowError) or 2 * half > self._limit // 2:
            self._limit = min(self._limit, half)
        logger.warning("Daktela %s: going on with requests of at most %s bytes", error, f"{self._limit:,}")
        for packed in pack(entries, lambda: min(half, self._limit), self._most):
            if isinstance(packed, Body):
                self._send(packed.entries)

    def _search(self, entries: Sequence[Entry], reason: str) -> None:
        """Find what is refused among entries that together were."""
        if len(entries) == 1:
            self._blame(entries[0], reason)
            return
        middle = len(entries) // 2
        first, second = entries[:middle], entries[middle:]
        before = self._refusals
        self._send(first)
        if self._refusals == before and len(second) > 1:
            # Then it is in the other half, which need not be refused once more. A single entry must, though: what
            # was refused may have been an accident.
            self._search(second, reason)
        else:
            self._send(second)

    def _blame(self, entry: Entry, reason: str) -> None:
        """Reject a contact that was refused, or its company if that is refused alone, too."""
        if entry.company is not None and entry.contact is not None:
            alone = Entry(entry.company, None)
            try:
                self._attempt([alone], again=True)
            except _RefusedError as error:
                self._blame(alone, str(error))
                self._follows(entry)
                return
            except _TooLargeError:
                # Then it cannot be told what was wrong with both; the company is sent with the next contact of it.
                pass
        if self._failure is None or self.progress.accepted > self._accepted_before:
            self._condemn(entry, reason)
            return
        self._suspects.append((entry, reason))
        if entry.contact is None and entry.company is not None:
            self._suspect_companies.add(entry.company.key)
        self._failures += 1
        if self._failures == _SUSPECTS:
            raise RunError(stopped(self._failure))

    def _condemn(self, entry: Entry, reason: str) -> None:
        """Reject what is to blame; a contact only follows its company."""
        follows = (
            entry.contact is not None
            and entry.company is not None
            and (entry.company.key in self._refused_companies)
        )
        if entry.contact is None and entry.company is not None:
            # Before it is rejected, which may end the run. No more of them are kept than may be rejected.
            self._refused_companies[entry.company.key] = reason
        self._reject(entry, reason, follows=follows)

    def _settle_suspects(self) -> None:
        """Reject what made the endpoint fail, if that was not the endpoint's fault: other parts were taken in."""
        suspects, self._suspects = self._suspects, []
        self._suspect_companies.clear()
        self._failures = 0
        if suspects and self._failure is not None and self.progress.accepted == self._accepted_before:
            raise RunError(stopped(self._failure))
        for entry, reason in suspects:
            self._condemn(entry, reason)

    def _follows(self, entry: Entry) -> bool:
        """Return whether an entry's company is to blame, or a suspect; the entry then shares its fate."""
        if not self._suspect_companies and not self._refused_companies:
            return False
        key = entry.company.key if entry.company is not None else None
        if key in self._suspect_companies and entry.contact is not None:
            self._suspects.append((entry, "its company was refused: it makes the endpoint fail"))
            return True
        if key is None or key not in self._refused_companies:
            return False
        # The company is one reject, however many contacts it has.
        if entry.contact is not None:
            self._reject(entry, f"its company was refused: {self._refused_companies[key]}", follows=True)
        return True

    def _attempt(self, entries: Sequence[Entry], *, again: bool = False) -> None:
        """Send a body until it is taken in; what is sent `again` is not pluralize once more.

        Raises:
            _TooLargeError: it must be smaller.
            _RefusedError: something in it must be left out.
            RunError: nothing can be sent.
        """
        body = encode(entries)
        self._may_send()
        self._ledger.mark_sending(entries)
        patience = Patience(
            attempts=_FEWER if self._failure else None,
            time_outs=_TIME_OUTS,
            reports=1 if self._reports else None,
        )
        self.progress.requests += 1
        self.progress.bytes += len(body)
        try:
            self._post(body, patience)
        except RequestError as error:
            if not error.repeated and error.verdict.action in {Action.REFUSE, Action.SIGN_IN}:
                self._ledger.mark_refused()
            self._sort_out(error, len(entries))
        self._silence = 0
        self.progress.accepted += 1
        self._ledger.mark_accepted()
        companies = sum(entry.contact is None for entry in entries)
        self.progress.contacts += len(entries) - companies
        # Those that head their contacts only have been delivered before.
        self.progress.companies += 0 if again else companies

    def _sort_out(self, error: RequestError, entries: int) -> None:
        verdict = error.verdict
        self._silence = self._silence + _TIME_OUTS if verdict.timed_out else 0
        # One contact that is not answered in time tells of the server, not of the contact.
        if verdict.timed_out and entries > 1 and self._silence < _MOST_TIME_OUTS:
            raise _TooSlowError(verdict.reason) from None
        if verdict.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise _TooLargeError(verdict.reason) from None
        if verdict.status in _REFUSALS or verdict.reported:
            # Once it has been waited for in vain, what is left of the body is not waited for again.
            self._reports = self._reports or verdict.reported
            self._refusals += 1
            raise _RefusedError(verdict.reason) from None
        if verdict.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self._failure = error
            self._refusals += 1
            raise _RefusedError(verdict.reason) from None
        raise RunError(stopped(error)) from None

    def _reject(self, entry: Entry, reason: str, *, follows: bool = False) -> None:
        part = entry.contact or entry.company
        if part is not None:
            stream = self._ledger.stream_of(part, is_contact=entry.contact is not None)
            self._rejects.add(stream, part.key, reason, json.loads(part.body), follows=follows)


_HINTS: dict[int | None, str] = {
    HTTPStatus.FORBIDDEN: "the account may not use the endpoint",
    HTTPStatus.NOT_FOUND: "there is no such endpoint: have Daktela set it up, or see sync_path",
    HTTPStatus.METHOD_NOT_ALLOWED: "it is another endpoint: see sync_path",
}


def stopped(error: RequestError | SignInError) -> str:
    """Return what to tell about a request that ends a run."""
    hint = ""
    if isinstance(error, RequestError) and not error.verdict.from_gateway:
        hint = _HINTS.get(error.verdict.status, "")
    return (
        f"{error}{': ' if hint else ''}{hint}. Nothing more is sent, and no state is put out: what has been "
        "received is in the store, and the next run sends what Daktela does not have"
    )
