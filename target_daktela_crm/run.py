"""One run: records in, one after the other; when the input has ended, requests out, and whether state may follow.

Nothing is sent before the last record: a contact may come before its company, and the link between them last. What
has been received is in the store by then, so that a run that ends early costs the next one nothing but time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tap_daktela.api.auth import SignInError
from tap_daktela.api.client import Client, Patience
from tap_daktela.api.command import RunError
from tap_daktela.api.progress import reporter
from target_daktela_crm.delivery.batching import encode, size_of
from target_daktela_crm.delivery.dry_run import folder_poster, make_folder
from target_daktela_crm.delivery.rejects import EXAMPLES, Rejects
from target_daktela_crm.delivery.sender import Delivery, Progress, stopped
from target_daktela_crm.mapping.columns import Unseen
from target_daktela_crm.mapping.compiler import read_mapping
from target_daktela_crm.mapping.preset import load_preset
from target_daktela_crm.mapping.roles import Definition, MappingError, Refusal, Value
from target_daktela_crm.settings import for_delivery
from target_daktela_crm.store.store import Store
from target_daktela_crm.summary import Summary, counted, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from target_daktela_crm.mapping.compiler import StreamMapping
    from target_daktela_crm.mapping.roles import Company, Contact
    from target_daktela_crm.settings import Settings

logger = logging.getLogger("target-daktela-crm")

_UNTIL_TOLD = 100
"""Records between two looks at the clock."""
_HELD = 1_000
"""Records of a stream that may look as if they were of another CRM, before the run ends for that."""
_NAMED = 8
"""Columns that an error names."""


class Run:
    """A run of the target."""

    def __init__(self, settings: Settings, config: Mapping[str, Any]) -> None:
        """Open the store and count the run.

        Raises:
            RunError: a full load within business hours.
            StoreError: the store cannot be used.
        """
        self.mapping = read_mapping(settings.preset, settings.streams, settings.phone_region)
        self._settings = settings
        self._config = config
        self._started = time.monotonic()
        # While it reads, a tap in front of it may draw on the same terminal.
        self._reporter = reporter(logger, may_draw=False)
        self._reporter.begin("receiving", "records")
        self._heard = 0
        self._is_told = False
        self._schemas: set[str] = set()
        self._fitting: set[str] = set()
        self._seen_whole: set[str] = set()
        self._held: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        self._unseen = Unseen({each.name: each.wanted for each in self.mapping.streams})
        self._kinds_unseen = Unseen({each.name: each.kinds for each in self.mapping.streams})
        self.summary = Summary(f"Sync to {settings.address.base}", is_dry=settings.dry_run is not None)
        self.progress = Progress()
        self._check_hours()
        if settings.dry_run is not None:
            make_folder(settings.dry_run)
            # Those of another dry run.
            _rejects_path(settings).unlink(missing_ok=True)
        self.rejects = Rejects(_rejects_path(settings), settings.max_rejects)
        self.rejects.check()
        self.store = Store.open(settings.store_path, settings.owner, keep=settings.dry_run is None)
        self.store.begin_run()
        self._note_store()

    def _note_store(self) -> None:
        if self.store.is_new:
            self.summary.notes.append(
                f"the store {self._settings.store_path} is new: nothing is known of earlier runs"
            )
        digest = _fingerprint(self._settings)
        known = self.store.get("mapping")
        if known not in {None, digest}:
            self.summary.notes.append(
                "the mapping has changed: records received earlier keep their shape until they come again "
                "(--full-refresh)"
            )
            logger.warning("%s", self.summary.notes[-1])
        self.store.set("mapping", digest)

    def _check_hours(self) -> None:
        hours = self._settings.business_hours
        sends = self._settings.is_full and not self._settings.stages and self._settings.dry_run is None
        if sends and hours is not None and hours.include(datetime.now(UTC)):
            raise RunError(
                f"business_hours: a full load is refused from {hours}. Run it later, or use load_mode partial"
            )

    # Receiving.

    def expect(self, stream: str, properties: Mapping[str, Any]) -> None:
        """Note that a mapped stream has been announced, with these properties."""
        self._schemas.add(stream)
        mapping = self.mapping.stream(stream)
        if mapping is not None and mapping.fits(properties):
            self._believe(mapping)
            self._see(mapping, properties)

    def needs_no_mapping(self, mapping: StreamMapping) -> bool:
        """Return whether what its records are may come by `receive_native` from now on."""
        return mapping.native is not None and mapping.name in self._seen_whole

    def receive_native(self, stream: str, entity: Company | Contact) -> None:
        """Take in what a record is, which was read without its mapping."""
        self.store.put(entity, stream, self.store.run)
        self._note_received(stream)

    def receive(self, mapping: StreamMapping, stream: str, record: dict[str, Any]) -> None:
        """Take in a record of a mapped stream.

        Raises:
            RunError: none of many records has what tells the mapping's streams from those of another CRM.
        """
        self._note_received(stream)
        if mapping.name in self._seen_whole:
            self._map(mapping, stream, record, self.store.run)
        elif mapping.name in self._fitting:
            self._take(mapping, stream, record)
        elif mapping.fits(record) or mapping.is_stub(record):
            self._believe(mapping)
            self._take(mapping, stream, record)
        else:
            held_back = self._held.setdefault(mapping.name, [])
            held_back.append((stream, record))
            if len(held_back) >= _HELD:
                self._refuse_held(mapping)

    def _note_received(self, stream: str) -> None:
        self.summary.received[stream] += 1
        self._heard += 1
        if self._heard % _UNTIL_TOLD == 0:
            self._reporter.tell(self._heard)

    def _believe(self, mapping: StreamMapping) -> None:
        """Note that a stream is what the mapping takes it for, and take in those of its records that were held."""
        self._fitting.add(mapping.name)
        for stream, record in self._held.pop(mapping.name, []):
            self._take(mapping, stream, record)

    def _take(self, mapping: StreamMapping, stream: str, record: dict[str, Any]) -> None:
        self._see(mapping, record)
        if mapping.name not in self.mapping.with_values:
            if mapping.name not in self._unseen and mapping.name not in self._kinds_unseen:
                self._seen_whole.add(mapping.name)
            self._map(mapping, stream, record, self.store.run)
            return
        try:
            key, modified = mapping.identify(record)
        except MappingError as error:
            self.rejects.add(stream, error.identifier, str(error), record)
        else:
            self.store.keep(mapping.name, key, record, modified)
            self.store.note_stream(stream)

    def _map(self, mapping: StreamMapping, stream: str, record: dict[str, Any], run: int) -> None:
        """Put what a record becomes into the store, or reject it."""
        told = False
        for role in mapping.roles:
            try:
                for entity in role(record):
                    told = True
                    if isinstance(entity, Refusal):
                        self.rejects.add(stream, entity.identifier, entity.reason, entity.part)
                    elif isinstance(entity, (Value, Definition)):
                        self.store.put(entity, mapping.name, run)
                    else:
                        self.store.put(entity, stream, run)
            except MappingError as error:
                told = True
                self.rejects.add(stream, error.identifier, str(error), record)
            except RecursionError:
                told = True
                self.rejects.add(stream, None, "a text holds JSON that is nested too deeply", record)
        if not told:
            self.summary.passed_over += 1

    def _assemble(self) -> None:
        """Map the records whose values came as rows of other streams."""
        since = self.store.run if self._settings.stages else 0
        for whole in self.store.assembly.assembled(self.mapping, since):
            mapping = self.mapping.stream(whole.stream)
            if mapping is not None:
                self._map(mapping, whole.stream, whole.record, whole.run)
        self.store.flush()

    def _see(self, mapping: StreamMapping, record: Mapping[str, Any]) -> None:
        """Note which of the columns that are looked for a record, or the properties of a schema, has."""
        self._unseen.see(mapping.name, record)
        self._kinds_unseen.see(mapping.name, record)

    def _tell_unseen(self) -> None:
        came = {mapping.name for stream in self.summary.received if (mapping := self.mapping.stream(stream))}
        for stream, column in self._unseen.names():
            if stream in came:
                text = f"no record has the column {column}: is it selected, and spelled as the tap spells it?"
                logger.warning("streams.%s: %s", stream, text)
                self.summary.notes.append(f"streams.{stream}: {text}")
        self.summary.notes += [
            f"{stream}: no record has a column for {kind}: are they selected, and is the preset that of the tap?"
            for stream, kind in self._kinds_unseen.names()
            if stream in came
        ]

    def _check_held(self) -> None:
        """Refuse records that have none of the columns that the mapping reads: those of another CRM."""
        if self._held:
            most = max(self._held, key=lambda name: len(self._held[name]))
            mapping = self.mapping.stream(most)
            assert mapping is not None  # noqa: S101 - it is one of the mapping's
            self._refuse_held(mapping)

    def _refuse_held(self, mapping: StreamMapping) -> None:
        held = self._held[mapping.name]
        came = ", ".join(sorted({key for _, record in held for key in record})[:_NAMED])
        records = counted(len(held), "record", "records")
        streams = ", ".join(sorted({*self.summary.received, *self.summary.unmapped}))
        raise RunError(
            f"{mapping.name}: nothing matched in {records}: they have {came}, and preset {self._settings.preset} "
            f"reads {', '.join(mapping.telling[:_NAMED])}. Streams on the input: {streams}; read: {self._read()}. "
            "Is the preset that of the tap? Nothing is sent"
        )

    def _read(self) -> str:
        return ", ".join(sorted(each.name for each in self.mapping.streams))

    def ignore(self, stream: str) -> None:
        """Count a record of a stream that nothing maps; the first of each is told."""
        if stream not in self.summary.unmapped:
            logger.warning("%s: no stream of the mapping, its records are ignored", stream)
        self.summary.unmapped[stream] += 1

    def reject_line(self, line: bytes, number: int, reason: str) -> None:
        """Reject a line of the input that is no message."""
        logger.error("line %d of the input %s", number, reason)
        self.rejects.add(None, None, f"a line of the input {reason}", line.decode("utf-8", "replace").rstrip("\n"))

    def reject_record(self, stream: str | None, reason: str, record: object) -> None:
        """Reject a record that did not come as far as its mapping."""
        self.rejects.add(stream, None, reason, record)

    # Ending.

    def finish(self, *, cut_off: bool) -> bool:
        """Deliver what has been received, or stage it; return whether state may be put out.

        Raises:
            RunError: not everything could be sent.
        """
        try:
            return self._finish(cut_off=cut_off)
        finally:
            self.summarize()

    def _finish(self, *, cut_off: bool) -> bool:
        self._check_streams()
        self._check_held()
        self._tell_unseen()
        if not self.summary.received and not self._schemas:
            self.summary.notes.append("the input was empty")
        policy = self._settings.unknown_company
        self.store.flush()
        self._assemble()
        self.store.join(
            detach_unknown=policy == "detach",
            is_whole=self._settings.stages,
            unique_ids=self.mapping.unique_ids,
        )
        self.summary.states = self.store.received()
        if self.summary.states["on_hold"]:
            self.summary.examples_on_hold = self.store.examples_on_hold(EXAMPLES)
        if policy == "reject":
            self._reject_waiting()
            self.summary.states["on_hold"] = 0
        if self._settings.stages:
            self.rejects.settle()
            self._stage(cut_off=cut_off)
            return False
        try:
            self._deliver()
        finally:
            if self.progress.requests:
                self.store.set("last_delivery", {"time": _now(), **vars(self.progress)})
            # What has been taken in last is not durable yet.
            self.store.commit()
        self.rejects.settle()
        if self._settings.is_full and not len(self.rejects) and not cut_off and self.store.load().contacts:
            self.store.set("full_accepted", _now())
        self.store.commit()
        return self._settings.dry_run is None

    def _check_streams(self) -> None:
        """Refuse an input of which nothing is mapped."""
        if self.summary.unmapped and not self._schemas and not self.summary.received:
            records = counted(self.summary.unmapped.total(), "record", "records")
            raise RunError(
                f"nothing matched in {records}: the streams {', '.join(sorted(self.summary.unmapped))} came, and "
                f"preset {self._settings.preset} with the setting streams reads {self._read()}. Nothing is sent"
            )

    def _reject_waiting(self) -> None:
        for contact in self.store.waiting():
            reason = f"its company is not known (unknown_company is {self._settings.unknown_company})"
            self.rejects.add(contact.stream, contact.key, reason, json.loads(contact.body))

    def _deliver(self) -> None:
        queue = self.store.queue(everything=self._settings.is_full or not self._settings.only_changed)
        delivery = Delivery(
            self._poster(),
            self.store,
            self.rejects,
            self._settings.max_request_bytes,
            may_send=self._before_request,
        )
        self.progress = delivery.progress
        self._reporter = reporter(logger)
        self._reporter.begin("delivering", "companies and contacts", queue.companies + queue.contacts)
        try:
            delivery.deliver(self.store.entries())
        except SignInError as error:
            raise RunError(stopped(error)) from None
        finally:
            self._reporter.end()

    def _before_request(self) -> None:
        self._check_hours()
        self._reporter.tell(self.progress.companies + self.progress.contacts)

    def _poster(self) -> Callable[[bytes, Patience], None]:
        settings = self._settings
        if settings.dry_run is not None:
            return folder_poster(settings.dry_run)
        client = Client(settings.address, settings.credentials, settings.transport)

        def post(body: bytes, patience: Patience) -> None:
            try:
                client.post(settings.sync_path, body, patience)
            finally:
                self.progress.retries = client.traffic.retries

        return post

    def _stage(self, *, cut_off: bool) -> None:
        if self._settings.dry_run is not None:
            self._write_load()
            return
        load = self.store.load()
        stage = {
            "run": self.store.run,
            "time": _now(),
            "rejected": len(self.rejects),
            "cut_off": cut_off,
            "missing_streams": self.store.missing_streams(lambda name: self.mapping.stream(name) is not None),
            "config": for_delivery(self._config),
            "delivered": False,
        }
        self.store.set("stage", json.loads(json.dumps(stage, default=_plain)))
        self.store.commit()
        self.summary.notes.append(
            f"staged, nothing sent: {load.contacts:,} contacts; of the {load.known:,} known ones {load.gone:,} "
            "would be deleted. target-daktela-crm --deliver sends it"
        )

    def _write_load(self) -> None:
        """Write what a delivery would send; nothing is staged."""
        queue = self.store.queue_load()
        post = self._poster()
        size, limit = size_of(self.store.entries(), delete=True), self._settings.max_request_bytes
        if size > limit:
            self.summary.notes.append(
                f"the request would have {size:,} bytes, more than max_request_bytes: not written"
            )
            return
        post(encode(self.store.entries(), delete=True), Patience())
        self.progress.requests, self.progress.accepted, self.progress.bytes = 1, 1, size
        self.progress.companies, self.progress.contacts = queue.companies, queue.contacts
        self.summary.notes.append(
            "the request says delete, and nothing is staged: run without dry_run to stage it"
        )

    # Telling.

    def summarize(self) -> None:
        """Tell what the run did, once."""
        if self._is_told:
            return
        self._is_told = True
        self.summary.seconds = time.monotonic() - self._started
        self.summary.left_out = self.mapping.left_out
        tell(self.summary, self.progress, self.rejects)

    def close(self) -> None:
        """Give the store and the rejects file back."""
        self.store.close()
        self.rejects.close()


def _rejects_path(settings: Settings) -> Path:
    return settings.rejects_path if settings.dry_run is None else settings.dry_run / "rejects.jsonl"


def _fingerprint(settings: Settings) -> str:
    """Return what tells two mappings apart."""
    mapping = [load_preset(settings.preset), settings.streams, settings.phone_region]
    content = json.dumps(mapping, sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return a decimal of the SDK's configuration reader as a number."""
    return float(str(value))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
