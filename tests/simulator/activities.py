"""Create invented activities together with their item: a call, an e-mail, a chat or a message.

Rows are written as literals, because half of the time for a large dataset is spent here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.simulator.clock import stamp
from tests.simulator.dataset import Dataset, chosen, spell_oddly, system, unique_name
from tests.simulator.schema import ITEM_TABLES, Row, key_of
from tests.simulator.texts import BROWSERS, LANGUAGES, ODD_TEXTS, SUBJECTS, address, body, phone

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

KINDS = (
    *(["CALL"] * 46 + ["EMAIL"] * 24 + ["CHAT"] * 9 + ["SMS"] * 4 + ["FBM"] * 3 + ["WAP"] * 2),
    *(["IGDM", "VBR"] + ["CUSTOM"] * 2 + ["COMMENT"] * 3 + [""] * 5),
)
"""The types of 100 activities, in their usual proportion."""

ORPHANABLE = frozenset({"CALL", "EMAIL", "CHAT"})
TRANSFER_SHARE = 0.06
TRANSFER_WITHIN = 1800
MISSED_SHARE = 0.18

_QUEUE_TYPES = {
    "CALL": "in",
    "EMAIL": "email",
    "CHAT": "chat",
    "SMS": "sms",
    "FBM": "fbm",
    "IGDM": "igdm",
    "WAP": "wap",
    "VBR": "vbr",
    "CUSTOM": "custom",
}
_ITEM_PREFIXES = {kind: table.removeprefix("activities").lower() for kind, table in ITEM_TABLES.items()}
_CONNECTOR = {"name": "connectors_1", "title": "Příchozí"}
_SENDER = {"name": "external_contacts_1", "title": "Profil bez jména"}
_SYSTEM = {table: system(table) for table in ("activities", *ITEM_TABLES.values())}

Maker: TypeAlias = "Callable[[Encounter], Row]"


@dataclass
class Encounter:
    """The values that an activity and its item share."""

    kind: str
    serial: int
    moment: int
    queue: Row | None
    user: Row | None
    contact: Row | None
    inbound: bool
    answered: bool
    wait: int
    talk: int
    now: int
    pending: bool = False


@dataclass
class Switchboard:
    """Creates activities. It keeps the last call, since the next activity can be a transfer of it."""

    dataset: Dataset
    random: Random
    queues: dict[str, list[Row]] = field(init=False)
    last_call: Row | None = None
    last_moment: int = 0

    def __post_init__(self) -> None:
        self.queues = {}
        for row in self.dataset.tables["queues"]:
            self.queues.setdefault(row["type"], []).append(row)

    def activity(self, moment: int, kind: str | None = None) -> Row:
        """Create an activity and its item at a moment. Both are added to their tables."""
        dataset, random = self.dataset, self.random
        if kind is None:
            kind = KINDS[int(random.random() * len(KINDS))]
        encounter = self._encounter(kind, moment)
        course = self._course(encounter)
        encounter.pending = course["time_close"] is None
        row = self._row(encounter, course, self._item(encounter))
        spell_oddly(row, encounter.serial, ("priority", "duration"), ("important",))
        if dataset.build == "2021":
            row["status"] = chosen(random, dataset.tables["statuses"], 0.3)
        dataset.tables["activities"].append(row)
        return row

    def _encounter(self, kind: str, moment: int) -> Encounter:
        dataset, random = self.dataset, self.random
        draw = random.random
        inbound = draw() < 0.7
        answered = not inbound or draw() >= MISSED_SHARE
        wait = int(draw() * 60)
        talk = int(draw() ** 2 * 900) + 5 if answered else 0
        queues = self.queues.get("out" if kind == "CALL" and not inbound else _QUEUE_TYPES.get(kind, ""), [])
        return Encounter(
            kind=kind,
            serial=dataset.next_serial(),
            moment=moment,
            queue=chosen(random, queues, 0.98),
            user=chosen(random, dataset.tables["users"], 0.97) if answered else None,
            contact=chosen(random, dataset.tables["contacts"], 0.8),
            inbound=inbound,
            answered=answered,
            wait=wait,
            talk=talk,
            now=dataset.moment_now,
        )

    def _item(self, encounter: Encounter) -> Row | None:
        kind, random = encounter.kind, self.random
        make = _ITEMS.get(kind)
        if make is None or (kind in ORPHANABLE and random.random() < self.dataset.orphans):
            return None
        if kind == "CALL":
            recent = encounter.moment - self.last_moment < TRANSFER_WITHIN
            if self.last_call is not None and recent and random.random() < TRANSFER_SHARE:
                return self.last_call
        item = make(encounter)
        table = ITEM_TABLES[kind]
        key = key_of(table)
        if key == "name":
            item[key] = unique_name(_ITEM_PREFIXES[kind], random, encounter.serial)
        else:
            item[key] = f"{random.getrandbits(32):08x}-{encounter.moment}.{encounter.serial}"
            self.last_call, self.last_moment = item, encounter.moment
        spell_oddly(item, encounter.serial, ("duration",), ("answered",))
        if self.dataset.build == "2021":
            item |= _removed_fields(encounter)
        self.dataset.tables[table].append(item)
        return item

    def _course(self, encounter: Encounter) -> Row:
        """Return the state of the activity: closed, open, waiting or postponed."""
        dataset, moment = self.dataset, encounter.moment
        opened = moment + encounter.wait
        ended = opened + encounter.talk
        draw = 1.0 if encounter.kind == "CALL" else self.random.random()
        if draw < dataset.open_share:
            waits = draw < dataset.open_share / 2
            return _state("WAIT" if waits else "OPEN", moment, None if waits else moment, None)
        if draw < dataset.open_share + dataset.postponed_share:
            # The platform sets the closing time when an activity is postponed, and does not change it later.
            return _state("POSTPONE", moment, moment, min(ended, dataset.moment_now))
        if ended > dataset.moment_now:
            return _state("OPEN", moment, moment, None)
        return _state("CLOSE", moment, opened if encounter.answered else None, ended)

    def _row(self, encounter: Encounter, course: Row, item: Row | None) -> Row:
        dataset, random, serial = self.dataset, self.random, encounter.serial
        tables, kind = dataset.tables, encounter.kind
        talk = encounter.talk
        return {
            "name": unique_name("activities", random, serial),
            "ticket": chosen(random, tables["tickets"], 0.8 if kind in ("EMAIL", "", "COMMENT") else 0.2),
            "title": SUBJECTS[serial % len(SUBJECTS)] if serial % 23 else ODD_TEXTS[serial % len(ODD_TEXTS)],
            "important": serial % 17 == 0,
            "action": course["action"],
            "type": kind,
            "item": item,
            "queue": encounter.queue,
            "user": encounter.user,
            "contact": encounter.contact,
            "survey": None,
            "record": chosen(random, tables["campaignsRecords"], 0.1) if kind == "CALL" else None,
            "priority": serial % 3,
            "options": None if serial % 4 else [],
            "description": ODD_TEXTS[serial % len(ODD_TEXTS)] if serial % 13 == 0 else "",
            "time": stamp(encounter.moment),
            "time_wait": course["time_wait"],
            "time_open": course["time_open"],
            "time_close": course["time_close"],
            "baw": 0,
            "aaw": serial % 30,
            "duration": 0 if encounter.pending else talk,
            "focus_time": talk // 2,
            "focus_disruptions": serial % 4,
            "ringing_time": encounter.wait // 4,
            "created_by": encounter.user if serial % 3 == 0 else None,
            "statuses": [chosen(random, tables["statuses"])] if serial % 6 == 0 else [],
            "customFields": {"topic": [str(serial % 9)]} if serial % 10 == 0 else [],
            "anonymized": False,
            "attachments": [],
            "_sys": _SYSTEM["activities"],
        }


def _state(action: str, waiting: int, opened: int | None, closed: int | None) -> Row:
    return {
        "action": action,
        "time_wait": stamp(waiting) if action == "WAIT" else None,
        "time_open": None if opened is None else stamp(opened),
        "time_close": None if closed is None else stamp(closed),
    }


def closing(row: Row, moment: int) -> Row:
    """Return the changes of an open activity when it is closed. A postponed one keeps its closing time."""
    changes: Row = {"action": "CLOSE"}
    if row["time_close"] is None:
        changes["time_close"] = stamp(moment)
        changes["duration"] = 60
        changes["time_open"] = row["time_open"] or row["time"]
    return changes


def closing_item(kind: str, item: Row) -> Row:
    """Return the changes of an item when its activity is closed. A received e-mail has no duration."""
    received = kind == "EMAIL" and item["direction"] == "in"
    return {"duration": 60} if item["duration"] is None and not received else {}


def _call(encounter: Encounter) -> Row:
    serial, answered, missed = encounter.serial, encounter.answered, None
    if not answered:
        missed = serial % 2
    return {
        "id_call": "",
        "call_time": stamp(encounter.moment),
        "direction": ("in" if encounter.inbound else "out") if serial % 50 else "internal",
        "answered": answered,
        "id_queue": encounter.queue,
        "id_agent": encounter.user,
        "clid": phone(serial) if serial % 20 else "",
        "contact": encounter.contact,
        "prefix_clid_name": "VIP" if serial % 15 == 0 else "",
        "did": phone(900 + serial % 5),
        "waiting_time": encounter.wait,
        "ringing_time": encounter.wait // 4,
        "hold_time": 0 if serial % 9 else 12,
        "duration": None if encounter.pending else encounter.talk,
        "disposition_cause": (("caller", "agent", "transfer", "system")[serial % 4]) if answered else None,
        "disconnection_cause": "" if answered else ("abandon", "exitwithtimeout", "noanswer", "busy")[serial % 4],
        "pressed_key": "1" if serial % 11 == 0 else "",
        "missed_call": missed,
        "missed_call_time": stamp(min(encounter.moment + 300, encounter.now)) if missed == 0 else None,
        "missed_callback": None,
        "attempts": serial % 3,
        "options": [] if answered else {"missedagentname": "nikdo"},
        "cdr": None,
        "_sys": _SYSTEM["activitiesCall"],
    }


def _email(encounter: Encounter) -> Row:
    serial, inbound = encounter.serial, encounter.inbound
    sender = {"address": address(serial), "display": address(serial), "is_group": False}
    # An outgoing e-mail is sent after its activity was opened.
    sent = encounter.moment + (0 if inbound else min(encounter.talk, 41))
    return {
        "name": "",
        "queue": encounter.queue,
        "user": None if inbound else encounter.user,
        "contact": encounter.contact,
        "title": SUBJECTS[serial % len(SUBJECTS)],
        "address": address(serial),
        "direction": "in" if inbound else "out",
        "wait_time": None if inbound else encounter.wait,
        "duration": None if inbound or encounter.pending else encounter.talk,
        "answered": encounter.answered,
        "text": body(serial),
        "options": {
            "headers": {
                "cc": ("", [], [sender])[serial % 3],
                "from": [sender],
                "reply-to": [],
                "message-id": f"<{serial}@example.com>",
                "auto-submitted": False,
            }
        },
        "time": stamp(sent),
        "state": None if inbound else ("SENT", "SENT", "FAILED", "DRAFT")[serial % 4],
        "files": [
            {
                "file": serial,
                "inline": "0",
                "cid": "",
                "title": "příloha.pdf",
                "type": "application/pdf",
                "size": 967,
            }
        ]
        if serial % 8 == 0
        else [],
        "attachments": [],
        "_sys": _SYSTEM["activitiesEmail"],
    }


def _chat(encounter: Encounter) -> Row:
    serial, answered = encounter.serial, encounter.answered
    return {
        "name": "",
        "title": f"Návštěvník {serial}",
        "state": "",
        "connector": _CONNECTOR,
        "user": encounter.user,
        "queue": encounter.queue,
        "contact": encounter.contact,
        "answered": answered,
        "options": [],
        "duration": None if encounter.pending else encounter.talk,
        "time": stamp(encounter.moment),
        "wait_time": encounter.wait,
        "disconnection": ("USER", "CLIENT", "TIMEOUT")[serial % 3] if answered else "NOT_AVAIL",
        "missed": "" if answered else ("YES", "NO")[serial % 2],
        "missed_time": None,
        "email": address(serial) if serial % 2 else "",
        "phone": phone(serial) if serial % 3 else None,
        "context": [],
        "routing_duration": 3,
        "host": "www.example.com",
        "referer": f"https://www.example.com/produkt?id={serial}&ref=č",
        "refererLast": None,
        "browser": BROWSERS[serial % len(BROWSERS)],
        "mobileDevice": serial % 2 == 0,
        "privateMode": False,
        "users": [],
        "customer": {"name": f"Návštěvník {serial}"},
        "customFields": [],
        "hasFocus": True,
        "isVisible": True,
        "gdpr": serial % 3 == 0,
        "language": LANGUAGES[serial % len(LANGUAGES)],
        "ipaddress": f"192.0.2.{serial % 256}",
        "heartbeat": stamp(encounter.moment),
        "_sys": _SYSTEM["activitiesWeb"],
    }


def _message(encounter: Encounter) -> Row:
    serial, answered = encounter.serial, encounter.answered
    row: Row = {
        "name": "",
        "state": "",
        "connector": _CONNECTOR,
        "user": encounter.user,
        "queue": encounter.queue,
        "contact": encounter.contact,
        "sender": phone(serial),
        "answered": answered,
        "options": [],
        "duration": None if encounter.pending else encounter.talk,
        "time": stamp(encounter.moment),
        "wait_time": encounter.wait,
        "direction": "" if serial % 10 == 0 else ("IN" if encounter.inbound else "OUT"),
        "disconnection": ("USER", "CLIENT", "TIMEOUT")[serial % 3] if answered else "OUT_OF_TIME",
        "missed": "" if answered else "YES",
        "missed_time": None,
        "_sys": _SYSTEM[ITEM_TABLES[encounter.kind]],
    }
    if encounter.kind != "SMS":
        row |= {"title": f"Profil {serial}", "external_contact": _SENDER, "sender": f"psid-{serial}"}
    if encounter.kind == "IGDM":
        row["type"] = ("DM", "STORY_REPLY", "STORY_MENTION")[serial % 3]
    return row


_ITEMS: dict[str, Maker] = {
    "CALL": _call,
    "EMAIL": _email,
    "CHAT": _chat,
    **dict.fromkeys(("SMS", "FBM", "IGDM", "WAP", "VBR"), _message),
}


def _removed_fields(encounter: Encounter) -> Row:
    """Return the fields that only items of an old build have."""
    serial = encounter.serial
    fields: dict[str, dict[str, Any]] = {
        "CALL": {
            "orig_pos": serial % 5,
            "position": serial % 4,
            "score": None if serial % 4 else "8",
            "note": "Poznámka k hovoru" if serial % 10 == 0 else "",
            "dialer_time": None,
            "qa_user_id": None,
            "attemps": serial % 3,
        },
        "EMAIL": {"result": None},
        "CHAT": {
            "ip": f"192.0.2.{serial % 256}",
            "country_code": "CZ",
            "country_name": "Czechia",
            "region_code": "10",
            "region_name": "Hlavní město Praha",
            "city": "Praha",
            "zip_code": "110 00",
            "time_zone": "Europe/Prague",
            "latitude": "50.08",
            "longitude": "14.42",
            "metro_code": "0",
            "queue_title": None if encounter.queue is None else encounter.queue["title"],
        },
        "SMS": {"clid": phone(serial)},
    }
    return fields.get(encounter.kind, {"full_name": f"Profil {serial}"})
