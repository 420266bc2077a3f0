"""The delivery of a staged load with `delete`: a stage in, one request out, or why it must not be sent.

Daktela deletes every contact of the CRM that is not in such a request (daktela-api.md §7.1). A target cannot tell
a tap that finished from one that died, so the run only stages, and this is a command of its own, which an
orchestrator starts after a run that succeeded. That is no proof that the load is complete, hence the guards. The
request holds everything or is not sent; it is never split, and only repeated as it is.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tap_daktela.api.auth import SignInError
from tap_daktela.api.client import Client
from tap_daktela.api.command import InputError, RunError
from tap_daktela.api.retry import Patience
from tap_daktela.api.verdict import Action, RequestError
from target_daktela_crm.delivery.batching import encode, size_of
from target_daktela_crm.delivery.dry_run import folder_poster
from target_daktela_crm.delivery.rejects import EXAMPLES, Rejects
from target_daktela_crm.delivery.sender import Progress
from target_daktela_crm.summary import Summary, pluralize, write_summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_daktela_crm.settings import Settings
    from target_daktela_crm.store.store import LoadCounts, Store

_LONGEST_AGE = timedelta(hours=24)
_CLOCKS_DIFFER = timedelta(minutes=5)


def deliver_stage(store: Store, settings: Settings, *, accept_unknown: bool) -> None:
    """Send the staged load with `delete`, and tell what became of it.

    Raises:
        InputError: it must not be sent; a line for each reason.
        RunError: it was sent, and refused or not answered.
    """
    started = time.monotonic()
    stage = store.get("stage")
    if stage is None:
        raise InputError(
            ["nothing is staged: run the target with load_mode full and delete_missing true, and deliver after it"]
        )
    load, queue = store.count_load(), store.queue_load()
    problems = [
        *_stage_problems(stage, store.run_number, datetime.now(UTC)),
        *_load_problems(load, store.examples_on_hold(EXAMPLES), settings),
        *_baseline_problems(store, accept_unknown=accept_unknown),
        *_request_problems(store, settings),
    ]
    if problems:
        raise InputError([f"not delivered: {problem}" for problem in problems])
    _check_whole(store, load)
    body = encode(store.entries(), delete=True)
    progress = Progress()
    if settings.dry_run is not None:
        folder_poster(settings.dry_run)(body, Patience())
    else:
        progress.retries = _send(body, store, settings)
        _remember(store, stage)
    progress.requests, progress.accepted, progress.bytes = 1, 1, len(body)
    progress.companies, progress.contacts = queue.companies, queue.contacts
    summary = Summary(
        f"Delivery with delete to {settings.address.base}", is_dry=settings.dry_run is not None, states={}
    )
    summary.notes.append(_outcome(settings, load))
    if settings.dry_run is None:
        store.set("last_delivery", {"time": store.get("delete_accepted"), **vars(progress)})
        store.commit()
    summary.seconds = time.monotonic() - started
    write_summary(summary, progress, Rejects(settings.rejects_path, settings.max_rejects))


def _stage_problems(stage: Mapping[str, Any], run: int, now: datetime) -> Iterator[str]:
    if stage["delivered"]:
        yield "the staged load is delivered already; stage another one"
    if stage["run"] != run:
        yield "the staged load is not that of the last run, which may know better; stage another one"
    age = now - datetime.fromisoformat(stage["time"])
    if age < -_CLOCKS_DIFFER:
        yield f"the load was staged at {stage['time']}, which is in the future: is the clock right?"
    if age > _LONGEST_AGE:
        yield f"the load was staged at {stage['time']}, more than 24 hours ago; stage another one"
    if stage["cut_off"]:
        yield "the input of the staged load ended in the middle of a line; stage another one"
    if stage["missing_streams"]:
        yield (
            f"the load has no record of {', '.join(stage['missing_streams'])}, which an earlier one had: "
            "everything in there would be missing. If that is right, take it out of the mapping (streams)"
        )
    if stage["rejected"]:
        rejected = pluralize(stage["rejected"], "rejected record", "rejected records")
        yield f"the load leaves out {rejected}: see the rejects file"


def _load_problems(load: LoadCounts, examples: list[str], settings: Settings) -> Iterator[str]:
    if not load.contacts:
        yield "the load is empty: every contact would be deleted"
    if load.on_hold:
        waiting = pluralize(load.on_hold, "contact is", "contacts are")
        yield (
            f"{waiting} on hold ({', '.join(examples)}), since the company is not known: bring it, or have them "
            "sent without one (unknown_company detach)"
        )
    if load.known and load.missing / load.known > settings.max_delete_fraction:
        yield (
            f"it would delete {load.missing:,} of {load.known:,} known contacts "
            f"({load.missing / load.known:.1%}), more than max_delete_fraction allows "
            f"({settings.max_delete_fraction:.1%}). If they may go, give "
            "--deliver a larger one"
        )
    hours = settings.business_hours
    if hours is not None and hours.include(datetime.now(UTC)):
        yield f"business_hours: a full load is refused from {hours}"


def _baseline_problems(store: Store, *, accept_unknown: bool) -> Iterator[str]:
    if store.get("delete_accepted"):
        return
    if not store.get("full_accepted"):
        yield (
            "this store knows no baseline: run a full load with delete_missing false first, so that it is known "
            "what Daktela has"
        )
    if not accept_unknown:
        yield (
            "this is the first delivery with delete from this store: contacts that it has never seen, of an "
            "earlier integration, would be deleted as well. --accept-unknown says that they may"
        )


def _request_problems(store: Store, settings: Settings) -> Iterator[str]:
    size = size_of(store.entries(), delete=True)
    if size > settings.max_request_bytes:
        yield (
            f"the load needs {size:,} bytes, and one request may have {settings.max_request_bytes:,} "
            "(max_request_bytes): it cannot be split, since each part would delete what is in the others"
        )


def _check_whole(store: Store, load: LoadCounts) -> None:
    """Refuse a request that would not hold every contact that the guards have pluralize."""
    contacts = {entry.contact.key for entry in store.entries() if entry.contact is not None}
    if len(contacts) != load.contacts:
        missing = f"{len(contacts):,} of the {load.contacts:,} contacts of the load can be read"
        raise InputError([f"not delivered: {missing}, so the store is damaged"])


def _send(body: bytes, store: Store, settings: Settings) -> int:
    """Send the load; return how often that had to be repeated."""
    client = Client(settings.address, settings.credentials, settings.transport)
    try:
        # Before anything is in doubt: credentials that are refused change nothing.
        client.sign_in()
    except (SignInError, RequestError) as error:
        raise RunError(f"{error}. Nothing was delivered, and the load is still staged") from None
    store.mark_outcome_unknown()
    try:
        client.post(settings.sync_path, body, Patience())
    except (SignInError, RequestError) as error:
        if _is_certain(error):
            store.clear_unknown_outcome()
            raise RunError(f"{error}. Nothing was delivered or deleted, and the load is still staged") from None
        store.mark_all_undelivered()
        raise RunError(
            f"{error}. Whether the load arrived is unknown: everything counts as undelivered now, and the load is "
            "still staged"
        ) from None
    return client.traffic.retries


def _is_certain(error: SignInError | RequestError) -> bool:
    """Return whether the request has certainly been refused, at its first attempt."""
    if not isinstance(error, RequestError) or error.repeated or error.verdict.status is None:
        return False
    return error.verdict.action in {Action.REFUSE, Action.SIGN_IN}


def _remember(store: Store, stage: Mapping[str, Any]) -> None:
    store.mark_sending(store.entries())
    store.mark_accepted()
    store.forget_deleted()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    store.set("delete_accepted", now)
    store.set("stage", {**stage, "delivered": True})
    store.clear_unknown_outcome()


def _outcome(settings: Settings, load: LoadCounts) -> str:
    if settings.dry_run is not None:
        return f"dry run: the request is in {settings.dry_run}, nothing was sent"
    gone = pluralize(load.missing, "known contact was", "known contacts were")
    return f"{gone} not in the load, and Daktela has deleted what was not in it"
