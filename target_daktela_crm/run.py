"""One run of the target: receive all records, then deliver or stage what they were mapped to.

Nothing is sent before the last record, since a contact may arrive before its company, and the link between them
last. Everything received is stored by then, so a run that ends early loses no data.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tap_daktela.api.auth import SignInError
from tap_daktela.api.client import Client
from tap_daktela.api.retry import RetryLimits
from tap_daktela.cli.errors import RunError
from tap_daktela.cli.progress import reporter
from target_daktela_crm.delivery.batching import encode_request, request_size
from target_daktela_crm.delivery.dry_run import RequestFolder, create_folder
from target_daktela_crm.delivery.endpoint import SyncEndpoint, check_business_hours
from target_daktela_crm.delivery.rejects import MAX_EXAMPLES, Rejects
from target_daktela_crm.delivery.sender import DeliveryCounts, Sender, stop_message
from target_daktela_crm.inputs.paths import is_in_memory
from target_daktela_crm.inputs.settings import for_delivery
from target_daktela_crm.mapping.compiler import compile_mapping
from target_daktela_crm.mapping.preset import load_preset
from target_daktela_crm.receiver import Receiver
from target_daktela_crm.store.store import Store
from target_daktela_crm.summary import Summary, named, write_summary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from target_daktela_crm.business_hours import BusinessHours
    from target_daktela_crm.delivery.endpoint import Endpoint
    from target_daktela_crm.inputs.settings import Settings

logger = logging.getLogger("target-daktela-crm")


class Run:
    """A run of the target."""

    def __init__(self, settings: Settings, config: Mapping[str, Any]) -> None:
        """Open the store and the rejects file.

        Raises:
            RunError: a full load within business hours, or a path that cannot be written to.
            StoreError: the store cannot be used.
        """
        self._settings = settings
        self._config = config
        self._started = time.monotonic()
        self._is_summarized = False
        self.summary = Summary(f"Sync to {settings.address.base}", is_dry=settings.dry_run is not None)
        self.counts = DeliveryCounts()
        check_business_hours(self._full_load_hours)
        if settings.dry_run is not None:
            create_folder(settings.dry_run)
            # The rejects of an earlier dry run.
            _rejects_path(settings).unlink(missing_ok=True)
        self.rejects = Rejects(_rejects_path(settings), settings.max_rejects)
        self.rejects.check()
        self.store = Store.open(settings.store_path, settings.owner, keep=settings.dry_run is None)
        self.store.begin_run(stages=settings.stages)
        self._note_store()
        mapping = compile_mapping(settings.preset, settings.streams, settings.phone_region)
        self.receiver = Receiver(mapping, self.store, self.rejects, self.summary, settings.preset)

    def _note_store(self) -> None:
        """Note whether the store is new, and whether the mapping has changed since the last run."""
        if self.store.is_new:
            self.summary.notes.append(
                f"the store {self._settings.store_path} is new: nothing is known of earlier runs"
            )
        if self.store.is_restored:
            self.summary.notes.append(
                f"the store {self._settings.store_path} was put back from a copy, or its journal is missing: what "
                "Daktela has is unknown, so everything received is sent again. Run once with --full-refresh"
            )
            logger.warning("%s", self.summary.notes[-1])
        if is_in_memory(self._settings.store_path):
            self.summary.notes.append(
                f"the store {self._settings.store_path} is in memory: it is lost when the machine restarts"
            )
            logger.warning("%s", self.summary.notes[-1])
        fingerprint = _fingerprint(self._settings)
        known = self.store.get("mapping")
        if known not in {None, fingerprint}:
            self.summary.notes.append(
                "the mapping has changed: records received earlier keep their old mapping until they are received "
                "again (--full-refresh)"
            )
            logger.warning("%s", self.summary.notes[-1])
        if not self._settings.stages:
            self.store.set("mapping", fingerprint)

    @property
    def _full_load_hours(self) -> BusinessHours | None:
        """The business hours, if the run sends a full load; None if it may send at any time."""
        settings = self._settings
        sends_full_load = settings.is_full and not settings.stages and settings.dry_run is None
        return settings.business_hours if sends_full_load else None

    def finish(self, *, cut_off: bool) -> bool:
        """Deliver or stage what has been received; return whether the state may be written.

        `cut_off` says that the input ended in the middle of a line.

        Raises:
            RunError: not everything could be sent.
        """
        try:
            return self._finish(cut_off=cut_off)
        finally:
            self.summarize()

    def _finish(self, *, cut_off: bool) -> bool:
        self.receiver.finish()
        if self.receiver.is_empty:
            self.summary.notes.append("no record was received")
        self._link()
        if self._settings.stages:
            self.rejects.make_durable()
            self._stage(cut_off=cut_off)
            return False
        is_received = not len(self.rejects) and not cut_off and bool(self.store.count_load().contacts)
        if self._settings.is_full and is_received:
            self._forget_refused()
        try:
            self._deliver()
        finally:
            if self.counts.requests:
                self.store.set("last_delivery", {"time": _now(), **vars(self.counts)})
            # What Daktela has accepted last is not durable yet.
            self.store.commit()
        self.rejects.make_durable()
        self._note_refused_earlier()
        if self._settings.is_full and is_received and not self.store.count_refused():
            self.store.set("full_accepted", _now())
        self.store.commit()
        return self._settings.dry_run is None

    def _note_refused_earlier(self) -> None:
        refused = self.store.refused_earlier() if len(self.rejects) else None
        if refused is not None and refused.total:
            self.summary.notes.append(
                f"of the rejected, {named(*refused)} received by earlier runs: each run tries them again, and a "
                "full load forgets those that the CRM does not have any more"
            )

    def _forget_refused(self) -> None:
        """Withdraw what Daktela has refused in earlier runs, if the CRM does not have it any more.

        A full load may be incremental by mistake. So it must have all streams, and most of the known contacts.
        """
        load = self.store.count_load()
        is_whole = load.missing <= load.known * self._settings.max_delete_fraction
        if is_whole and not self.store.missing_streams(self.receiver.is_mapped):
            self.summary.forgotten = self.store.forget_refused()

    def _link(self) -> None:
        """Map the records with custom values, and find the company of each contact."""
        policy = self._settings.unknown_company
        self.receiver.map_with_custom_values(self.store.run_number if self._settings.stages else 0)
        self.receiver.settle()
        # Before anything is withdrawn: a run that lacks columns stops, and changes as little as possible.
        self.receiver.check_columns(may_be_missing=self._settings.allow_missing_columns)
        self.receiver.drop_excluded()
        self.receiver.note_same_ids()
        self.store.link_contacts(
            detach_unknown=policy == "detach",
            only_this_run=self._settings.stages,
            unique_ids=self.receiver.mapping.unique_ids,
        )
        self.summary.states = self.store.count_received()
        if self.summary.states["on_hold"]:
            self.summary.examples_on_hold = self.store.examples_on_hold(MAX_EXAMPLES)
        if policy == "reject":
            self._reject_contacts_on_hold()
            self.summary.states["on_hold"] = 0

    def _reject_contacts_on_hold(self) -> None:
        for contact in self.store.contacts_on_hold():
            reason = f"its company is unknown (unknown_company is {self._settings.unknown_company})"
            self.rejects.add(contact.stream, contact.key, reason, json.loads(contact.body))

    def _deliver(self) -> None:
        settings = self._settings
        queue = self.store.queue_changes(everything=settings.is_full or not settings.only_changed)
        progress = reporter(logger)
        sender = Sender(self._endpoint(), self.store, self.rejects, settings.max_request_bytes, progress)
        self.counts = sender.counts
        progress.begin("delivering", "companies and contacts", queue.companies + queue.contacts)
        try:
            sender.send(self.store.entries())
        except SignInError as error:
            raise RunError(stop_message(error)) from None
        finally:
            progress.end()

    def _endpoint(self) -> Endpoint:
        settings = self._settings
        if settings.dry_run is not None:
            return RequestFolder(settings.dry_run)
        client = Client(settings.address, settings.credentials, settings.http)
        return SyncEndpoint(client, settings.sync_path, self._full_load_hours)

    def _stage(self, *, cut_off: bool) -> None:
        if self._settings.dry_run is not None:
            self._write_load()
            return
        load = self.store.count_load()
        stage = {
            "time": _now(),
            "rejected": len(self.rejects),
            "cut_off": cut_off,
            "missing_streams": self.store.missing_streams(self.receiver.is_mapped),
            "config": for_delivery(self._config),
            "mapping": _fingerprint(self._settings),
        }
        self.store.stage(json.loads(json.dumps(stage, default=_number)))
        missing = named(load.missing, self.store.examples_missing())
        self.summary.notes.append(
            f"staged, nothing sent: {load.contacts:,} contacts; of the {load.known:,} known ones {missing} "
            "would be deleted. target-daktela-crm --deliver sends it"
        )

    def _write_load(self) -> None:
        """Write the request of a delivery to the dry run's folder, without staging anything."""
        queue = self.store.queue_load()
        endpoint = self._endpoint()
        size, limit = request_size(self.store.entries(), delete=True), self._settings.max_request_bytes
        if size > limit:
            self.summary.notes.append(
                f"the request would have {size:,} bytes, more than max_request_bytes: not written"
            )
            return
        endpoint.post(encode_request(self.store.entries(), delete=True), RetryLimits())
        self.counts.requests, self.counts.accepted, self.counts.bytes = 1, 1, size
        self.counts.companies, self.counts.contacts = queue.companies, queue.contacts
        self.summary.notes.append(
            "the request says delete, and nothing is staged: run without dry_run to stage it"
        )

    def summarize(self) -> None:
        """Log the summary, once."""
        if self._is_summarized:
            return
        self._is_summarized = True
        self.summary.seconds = time.monotonic() - self._started
        left_out = self.receiver.mapping.left_out
        self.summary.left_out, self.summary.examples_left_out = left_out.counts, left_out.examples
        write_summary(self.summary, self.counts, self.rejects)

    def close(self) -> None:
        """Close the store and the rejects file."""
        self.store.close()
        self.rejects.close()


def _rejects_path(settings: Settings) -> Path:
    return settings.rejects_path if settings.dry_run is None else settings.dry_run / "rejects.jsonl"


def _fingerprint(settings: Settings) -> str:
    """Return a hash that changes with the mapping."""
    mapping = [load_preset(settings.preset), settings.streams, settings.phone_region]
    content = json.dumps(mapping, sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _number(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return a decimal of the SDK's configuration reader as a JSON number."""
    return float(str(value))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
