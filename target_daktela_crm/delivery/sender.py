"""Send requests one at a time and in order, and record what became of each company and contact.

An accepted request is marked before the next one is sent, so that a crash causes at most one repetition.
Repetition is harmless, since the endpoint updates companies and contacts by their ids. The entry that a request is
refused for is searched by halving the request, and only that entry is rejected. All of this applies to requests
without `delete`; one with `delete` is sent completely or not at all by `commands/deliver.py`.

    accepted            marked as delivered
    413                 sent again in halves; the smaller size applies to all further requests of the run
    two timeouts        as 413
    400, 422            sent again in halves, down to the refused entry, which is rejected
    an error in a 2xx   repeated with increasing waits; if the error stays, as 400
    500                 likewise, but an entry is rejected only if another part of the same request is accepted;
                        otherwise the endpoint itself fails, and the run stops
    429, other 5xx, HTML, connection errors   repeated with increasing waits; then the run stops
    401, 403, 404, 3xx  the run stops
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from itertools import filterfalse
from typing import TYPE_CHECKING, Protocol

from tap_daktela.api.outcome import Action, RequestError
from tap_daktela.api.retry import RetryLimits
from tap_daktela.cli.errors import RunError
from target_daktela_crm.delivery.batching import Batch, encode_request, pack, request_size
from target_daktela_crm.entities import QueueEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tap_daktela.api.auth import SignInError
    from tap_daktela.cli.progress import Reporter
    from target_daktela_crm.delivery.endpoint import Endpoint
    from target_daktela_crm.delivery.rejects import Rejects
    from target_daktela_crm.entities import StoredEntity

logger = logging.getLogger(__name__)

_MAX_TIMEOUTS = 2
"""Timeouts of a request, after which it is halved."""
_MAX_UNANSWERED = 12
"""Timeouts without any answer in between, after which the run stops: enough to halve a request six times."""
_FEWER_ATTEMPTS = 2
"""Attempts for parts of a request that has failed after all retries."""
_MAX_UNCONFIRMED_FAILURES = 3
"""Entries that cause a 500 one after the other, after which the endpoint itself is considered to fail."""
_REFUSALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})


class DeliveryStore(Protocol):
    """The part of the store that keeps the state of each entry."""

    def mark_sending(self, entries: Iterable[QueueEntry]) -> None:
        """Note that the entries are being sent."""

    def mark_accepted(self) -> None:
        """Note that the sent entries were accepted."""

    def mark_refused(self) -> None:
        """Note that the sent entries were certainly refused."""

    def mark_rejected(self, entity: StoredEntity, *, is_contact: bool) -> str:
        """Note that a contact or company is rejected; return the stream that it was received from."""


class _TooLargeError(Exception):
    """The endpoint does not accept a request of this size."""


class _TooSlowError(_TooLargeError):
    """The endpoint does not accept a request of this size in time."""


class _RefusedError(Exception):
    """The endpoint does not accept the content of a request; the message says why."""


class DeliveryCounts:
    """What has been sent so far."""

    def __init__(self) -> None:
        self.requests = 0
        self.retries = 0
        self.accepted = 0
        self.bytes = 0
        self.companies = 0
        self.contacts = 0
        self.earlier_companies = 0
        self.earlier_contacts = 0
        """Of these, the ones that only earlier runs have received."""


class Sender:
    """Sends the requests of one run."""

    def __init__(
        self, endpoint: Endpoint, store: DeliveryStore, rejects: Rejects, max_bytes: int, reporter: Reporter
    ) -> None:
        self.counts = DeliveryCounts()
        self._endpoint = endpoint
        self._store = store
        self._rejects = rejects
        self._max_bytes = max_bytes
        self._reporter = reporter
        self._limit = max_bytes
        """Bytes of a request; shrinks when the endpoint does not accept one."""
        self._unanswered = 0
        """Timeouts since the last answer."""
        self._refused_companies: dict[str, str] = {}
        """Why companies were rejected, by key."""
        # Of the current request:
        self._refusals = 0
        self._reports_errors = False
        """Whether the endpoint has answered with an error in a 2xx."""
        self._failure: RequestError | None = None
        """The last 500."""
        self._accepted_before = 0
        self._unconfirmed: list[tuple[QueueEntry, str]] = []
        """Entries that have caused a 500, which may be a failure of the endpoint itself, and why."""
        self._unconfirmed_companies: set[str] = set()
        self._unconfirmed_failures = 0

    def send(self, entries: Iterable[QueueEntry]) -> None:
        """Send all entries, or reject them.

        Raises:
            RunError: nothing more can be sent. Accepted entries are marked.
            TooManyRejectsError: likewise, since too many entries were refused.
        """
        for batch in pack(filterfalse(self._is_of_refused_company, entries), lambda: self._limit, self._max_bytes):
            self._reports_errors, self._failure = False, None
            self._accepted_before = self.counts.accepted
            if isinstance(batch, Batch):
                self._send(batch.entries)
                self._reject_unconfirmed()
            else:
                self._write_reject(
                    batch.entry, f"is larger than max_request_bytes by itself ({batch.size:,} bytes)"
                )
            # Free this batch before the next one is packed.
            del batch

    def _send(self, entries: Sequence[QueueEntry]) -> None:
        """Send a request, in parts if necessary; contacts of refused companies are left out."""
        entries = [entry for entry in entries if not self._is_of_refused_company(entry)]
        if not entries:
            return
        try:
            self._post(entries)
        except _TooLargeError as error:
            self._send_smaller(entries, error)
        except _RefusedError as error:
            self._bisect(entries, str(error))

    def _send_smaller(self, entries: Sequence[QueueEntry], error: _TooLargeError) -> None:
        if len(entries) == 1:
            self._write_reject(entries[0], f"is too large by itself: Daktela {error}")
            return
        half = request_size(entries) // 2
        # A timeout of a request that is small already says nothing about the accepted size.
        if not isinstance(error, _TooSlowError) or 2 * half > self._limit // 2:
            self._limit = min(self._limit, half)
        logger.warning("Daktela %s: continuing with requests of at most %s bytes", error, f"{self._limit:,}")
        for batch in pack(entries, lambda: min(half, self._limit), self._max_bytes):
            if isinstance(batch, Batch):
                self._send(batch.entries)

    def _bisect(self, entries: Sequence[QueueEntry], reason: str) -> None:
        """Find the refused entry among entries that were refused together."""
        if len(entries) == 1:
            self._reject_refused(entries[0], reason)
            return
        middle = len(entries) // 2
        first, second = entries[:middle], entries[middle:]
        before = self._refusals
        self._send(first)
        if self._refusals == before and len(second) > 1:
            # The second half contains the entry, so it need not be refused as a whole again. A single entry is
            # sent again before it is rejected, in case the refusal was temporary.
            self._bisect(second, reason)
        else:
            self._send(second)

    def _reject_refused(self, entry: QueueEntry, reason: str) -> None:
        """Reject a refused contact, or its company if that is also refused without the contact."""
        if entry.company is not None and entry.contact is not None:
            company_only = QueueEntry(entry.company, None)
            try:
                self._post([company_only], is_repetition=True)
            except _RefusedError as error:
                self._reject_refused(company_only, str(error))
                self._is_of_refused_company(entry)
                return
            except _TooLargeError:
                # It is unknown which of the two was refused. The company is sent with its next contact.
                pass
        if self._failure is None or self.counts.accepted > self._accepted_before:
            self._reject(entry, reason)
            return
        self._unconfirmed.append((entry, reason))
        if entry.contact is None and entry.company is not None:
            self._unconfirmed_companies.add(entry.company.key)
        self._unconfirmed_failures += 1
        if self._unconfirmed_failures == _MAX_UNCONFIRMED_FAILURES:
            raise RunError(stop_message(self._failure))

    def _reject_unconfirmed(self) -> None:
        """Reject entries that caused a 500, if other parts of the request were accepted.

        Raises:
            RunError: no part was accepted, so the endpoint itself fails.
        """
        unconfirmed, self._unconfirmed = self._unconfirmed, []
        self._unconfirmed_companies.clear()
        self._unconfirmed_failures = 0
        if unconfirmed and self._failure is not None and self.counts.accepted == self._accepted_before:
            raise RunError(stop_message(self._failure))
        for entry, reason in unconfirmed:
            self._reject(entry, reason)

    def _reject(self, entry: QueueEntry, reason: str) -> None:
        """Reject an entry; the contacts of a rejected company do not count towards `max_rejects`."""
        is_consequence = (
            entry.contact is not None
            and entry.company is not None
            and (entry.company.key in self._refused_companies)
        )
        if entry.contact is None and entry.company is not None:
            # Before the reject, which may end the run. No more companies are kept than may be rejected.
            self._refused_companies[entry.company.key] = reason
        self._write_reject(entry, reason, is_consequence=is_consequence)

    def _is_of_refused_company(self, entry: QueueEntry) -> bool:
        """Return whether an entry's company was refused; the entry is then rejected, too."""
        if not self._unconfirmed_companies and not self._refused_companies:
            return False
        key = entry.company.key if entry.company is not None else None
        if key in self._unconfirmed_companies and entry.contact is not None:
            self._unconfirmed.append((entry, "its company was refused: it causes the endpoint to fail"))
            return True
        if key is None or key not in self._refused_companies:
            return False
        # The company is one reject, however many contacts it has.
        if entry.contact is not None:
            reason = f"its company was refused: {self._refused_companies[key]}"
            self._write_reject(entry, reason, is_consequence=True)
        return True

    def _post(self, entries: Sequence[QueueEntry], *, is_repetition: bool = False) -> None:
        """Send one request with all of its retries; companies of a repetition are not counted again.

        Raises:
            _TooLargeError: the request must be smaller.
            _RefusedError: an entry must be left out.
            RunError: nothing more can be sent.
        """
        body = encode_request(entries)
        self._endpoint.check()
        self._reporter.update(self.counts.companies + self.counts.contacts)
        self._store.mark_sending(entries)
        limits = RetryLimits(
            attempts=_FEWER_ATTEMPTS if self._failure else None,
            time_outs=_MAX_TIMEOUTS,
            reports=1 if self._reports_errors else None,
        )
        self.counts.requests += 1
        self.counts.bytes += len(body)
        try:
            self._endpoint.post(body, limits)
        except RequestError as error:
            if not error.repeated and error.outcome.action in {Action.FAIL, Action.SIGN_IN}:
                self._store.mark_refused()
            self._raise(error, len(entries))
        finally:
            self.counts.retries = self._endpoint.retries
        self._unanswered = 0
        self.counts.accepted += 1
        self._store.mark_accepted()
        self._count(entries, is_repetition=is_repetition)

    def _count(self, entries: Sequence[QueueEntry], *, is_repetition: bool) -> None:
        """Count accepted entries; companies that are only sent with their contacts were delivered before."""
        contacts = [entry.contact for entry in entries if entry.contact is not None]
        self.counts.contacts += len(contacts)
        self.counts.earlier_contacts += sum(contact.is_earlier for contact in contacts)
        if not is_repetition:
            companies = [entry.company for entry in entries if entry.contact is None and entry.company is not None]
            self.counts.companies += len(companies)
            self.counts.earlier_companies += sum(company.is_earlier for company in companies)

    def _raise(self, error: RequestError, entries: int) -> None:
        """Raise an exception for the way in which a request of so many entries has failed."""
        outcome = error.outcome
        self._unanswered = self._unanswered + _MAX_TIMEOUTS if outcome.timed_out else 0
        # A timeout of a single entry is caused by the server, not by the entry.
        if outcome.timed_out and entries > 1 and self._unanswered < _MAX_UNANSWERED:
            raise _TooSlowError(outcome.reason) from None
        if outcome.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise _TooLargeError(outcome.reason) from None
        if outcome.status in _REFUSALS or outcome.reported:
            # The parts of this request are not repeated if they are answered with an error in a 2xx.
            self._reports_errors = self._reports_errors or outcome.reported
            self._refusals += 1
            raise _RefusedError(outcome.reason) from None
        if outcome.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self._failure = error
            self._refusals += 1
            raise _RefusedError(outcome.reason) from None
        raise RunError(stop_message(error)) from None

    def _write_reject(self, entry: QueueEntry, reason: str, *, is_consequence: bool = False) -> None:
        entity = entry.contact or entry.company
        if entity is not None:
            stream = self._store.mark_rejected(entity, is_contact=entry.contact is not None)
            self._rejects.add(stream, entity.key, reason, json.loads(entity.body), is_consequence=is_consequence)


_HINTS: dict[int | None, str] = {
    HTTPStatus.FORBIDDEN: "the account may not use the endpoint",
    HTTPStatus.NOT_FOUND: "there is no such endpoint: have Daktela set it up, or see sync_path",
    HTTPStatus.METHOD_NOT_ALLOWED: "this is another endpoint: see sync_path",
}


def stop_message(error: RequestError | SignInError) -> str:
    """Return the message of a run that a request has stopped."""
    hint = ""
    if isinstance(error, RequestError) and not error.outcome.from_gateway:
        hint = _HINTS.get(error.outcome.status, "")
    return (
        f"{error}{': ' if hint else ''}{hint}. Nothing more is sent, and no STATE message was written: all "
        "received records are in the store, and the next run sends what Daktela does not have"
    )
