"""`--deliver`: send the staged full load with `delete`, in one request.

Daktela deletes all contacts of the CRM that such a request does not contain (daktela-api.md §7.1). A target cannot
distinguish a tap that finished from one that died. Therefore a run only stages the load, and an orchestrator
starts this command after a run that succeeded. That does not prove that the load is complete, so the load is
checked before it is sent. The request contains everything or is not sent. It is never split, and only repeated
unchanged.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tap_daktela.api.auth import SignInError
from tap_daktela.api.client import Client
from tap_daktela.api.outcome import Action, RequestError
from tap_daktela.api.retry import RetryLimits
from tap_daktela.cli.errors import InputError, RunError
from target_daktela_crm.delivery.batching import encode_request, request_size
from target_daktela_crm.delivery.dry_run import RequestFolder
from target_daktela_crm.delivery.rejects import MAX_EXAMPLES, Rejects
from target_daktela_crm.delivery.sender import DeliveryCounts
from target_daktela_crm.summary import Summary, named, pluralize, write_summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_daktela_crm.inputs.settings import Settings
    from target_daktela_crm.store.store import LoadCounts, Store

_MAX_AGE = timedelta(hours=24)
_CLOCK_TOLERANCE = timedelta(minutes=5)


def deliver_stage(store: Store, settings: Settings, *, accept_unknown: bool) -> None:
    """Send the staged load with `delete`, and write a summary.

    Raises:
        InputError: it must not be sent; one line for each reason.
        RunError: it was sent, but refused or not answered.
    """
    started = time.monotonic()
    stage = store.get("stage")
    if stage is None:
        raise InputError(
            ["nothing is staged: run the target with load_mode full and delete_missing true, and deliver after it"]
        )
    load, queue = store.count_load(), store.queue_load()
    problems = [
        *_stage_problems(stage, store, datetime.now(UTC)),
        *_load_problems(load, store.examples_on_hold(MAX_EXAMPLES), settings),
        *_baseline_problems(store, accept_unknown=accept_unknown),
        *_request_problems(store, settings),
    ]
    if problems:
        raise InputError([f"not delivered: {problem}" for problem in problems])
    _check_complete(store, load)
    missing = named(load.missing, store.examples_missing())
    body = encode_request(store.entries(), delete=True)
    counts = DeliveryCounts()
    if settings.dry_run is not None:
        RequestFolder(settings.dry_run).post(body, RetryLimits())
    else:
        counts.retries = _send(body, store, settings)
        store.mark_load_delivered(stage, datetime.now(UTC).isoformat(timespec="seconds"))
    counts.requests, counts.accepted, counts.bytes = 1, 1, len(body)
    counts.companies, counts.contacts = queue.companies, queue.contacts
    summary = Summary(
        f"Delivery with delete to {settings.address.base}", is_dry=settings.dry_run is not None, states={}
    )
    summary.notes.append(_result(settings, missing))
    if settings.dry_run is None:
        store.set("last_delivery", {"time": store.get("delete_accepted"), **vars(counts)})
        store.commit()
    summary.seconds = time.monotonic() - started
    write_summary(summary, counts, Rejects(settings.rejects_path, settings.max_rejects))


def _stage_problems(stage: Mapping[str, Any], store: Store, now: datetime) -> Iterator[str]:
    yield from _identity_problems(stage, store)
    age = now - datetime.fromisoformat(stage["time"])
    if age < -_CLOCK_TOLERANCE:
        yield f"the load was staged at {stage['time']}, which is in the future: is the clock right?"
    if age > _MAX_AGE:
        yield f"the load was staged at {stage['time']}, more than 24 hours ago; stage another one"
    if stage["cut_off"]:
        yield "the input of the staged load ended in the middle of a line; stage another one"
    if stage["missing_streams"]:
        yield (
            f"the load has no record of {', '.join(stage['missing_streams'])}, which an earlier load had: all of "
            "their records would be missing. If that is right, remove the stream from the mapping (streams)"
        )
    if stage["rejected"]:
        rejected = pluralize(stage["rejected"], "rejected record")
        yield f"the load lacks {rejected}: see the rejects file"


def _identity_problems(stage: Mapping[str, Any], store: Store) -> Iterator[str]:
    if store.was_delivered(stage):
        yield "the staged load was delivered already; stage another one"
    elif store.is_restored:
        yield (
            "the store was put back from a copy, or its journal is missing: the load may have been delivered "
            "already; stage another one"
        )
    if stage["run"] != store.run_number:
        yield "the staged load is not that of the last run, which may have newer data; stage another one"


def _load_problems(load: LoadCounts, examples: list[str], settings: Settings) -> Iterator[str]:
    if not load.contacts:
        yield "the load is empty: all contacts would be deleted"
    if load.on_hold:
        contacts = pluralize(load.on_hold, "contact is", "contacts are")
        yield (
            f"{contacts} on hold ({', '.join(examples)}), since the company is unknown: load the company, or send "
            "such contacts without one (unknown_company detach)"
        )
    if load.known and load.missing / load.known > settings.max_delete_fraction:
        yield (
            f"it would delete {load.missing:,} of {load.known:,} known contacts "
            f"({load.missing / load.known:.1%}), more than max_delete_fraction allows "
            f"({settings.max_delete_fraction:.1%}). If that is right, give --deliver a larger max_delete_fraction"
        )
    hours = settings.business_hours
    if hours is not None and hours.include(datetime.now(UTC)):
        yield f"business_hours: no full load is sent from {hours}"


def _baseline_problems(store: Store, *, accept_unknown: bool) -> Iterator[str]:
    if store.get("delete_accepted"):
        return
    if not store.get("full_accepted"):
        yield (
            "this store has no baseline: run a full load with delete_missing false first, so that the store knows "
            "what Daktela has"
        )
    if not accept_unknown:
        yield (
            "this is the first delivery with delete from this store: contacts that the store has never seen, of "
            "an earlier integration, would be deleted as well. If that is right, give --accept-unknown"
        )


def _request_problems(store: Store, settings: Settings) -> Iterator[str]:
    size = request_size(store.entries(), delete=True)
    if size > settings.max_request_bytes:
        yield (
            f"the load needs {size:,} bytes, and a request may have {settings.max_request_bytes:,} "
            "(max_request_bytes): it cannot be split, since each part would delete the contacts of the others"
        )


def _check_complete(store: Store, load: LoadCounts) -> None:
    """Check that the request will contain all contacts that were counted."""
    contacts = {entry.contact.key for entry in store.entries() if entry.contact is not None}
    if len(contacts) != load.contacts:
        found = f"{len(contacts):,} of the {load.contacts:,} contacts of the load can be read"
        raise InputError([f"not delivered: only {found}, so the store is damaged"])


def _send(body: bytes, store: Store, settings: Settings) -> int:
    """Send the load; return the number of retries."""
    client = Client(settings.address, settings.credentials, settings.http)
    try:
        # Before the outcome becomes unknown, since refused credentials change nothing.
        client.sign_in()
    except (SignInError, RequestError) as error:
        raise RunError(f"{error}. Nothing was delivered, and the load is still staged") from None
    store.begin_delivery()
    try:
        client.post(settings.sync_path, body, RetryLimits())
    except (SignInError, RequestError) as error:
        if _is_certain(error):
            store.clear_unknown_outcome()
            raise RunError(f"{error}. Nothing was delivered or deleted, and the load is still staged") from None
        store.mark_load_undelivered()
        raise RunError(
            f"{error}. Whether the load was delivered is unknown: all of it counts as undelivered now, and what "
            "it left out is not sent until the CRM sends it again. The load is still staged"
        ) from None
    return client.traffic.retries


def _is_certain(error: SignInError | RequestError) -> bool:
    """Return whether the request was certainly refused: at its first attempt."""
    if not isinstance(error, RequestError) or error.repeated or error.outcome.status is None:
        return False
    return error.outcome.action in {Action.FAIL, Action.SIGN_IN}


def _result(settings: Settings, missing: str) -> str:
    if settings.dry_run is not None:
        return (
            f"dry run: nothing was sent, the request is in {settings.dry_run}; known contacts not in it: {missing}"
        )
    return f"known contacts that were not in the load: {missing}; Daktela has deleted all contacts not in it"
