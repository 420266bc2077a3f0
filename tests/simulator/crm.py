"""Create invented accounts, contacts, tickets, CRM records and campaign records, one at a time.

Each function adds the row to its table and returns it. `created` is in naive seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulator.clock import DAY, stamp
from tests.simulator.dataset import Dataset, chosen, spell_oddly, system, unique_name
from tests.simulator.reference import newer
from tests.simulator.texts import (
    COMPANIES,
    FIRST_NAMES,
    LAST_NAMES,
    LEGAL_FORMS,
    ODD_TEXTS,
    SUBJECTS,
    address,
    phone,
)

if TYPE_CHECKING:
    from random import Random

    from tests.simulator.schema import Row

FIRST_TICKET = 10001

_SCHEME = {
    name: {"type": kind, "title": title, "hidden": False, "readonly": False, "multiple": kind != "TEXTAREA"}
    for name, kind, title in (
        ("number", "PHONE", "Telefon"),
        ("email", "EMAIL", "E-mail"),
        ("address", "ADDRESS", "Adresa"),
        ("note", "TEXTAREA", "Poznámka"),
    )
}


def edited_after(dataset: Dataset, random: Random, created: int) -> int:
    """Return a time of the last change: often the creation itself, otherwise any time until now."""
    if random.random() < 0.3:
        return created
    return created + int(random.random() * max(dataset.moment_now - created, 1))


def make_account(dataset: Dataset, random: Random, created: int) -> Row:
    """Create a company. Its key can come from a CRM, so new rows are not the last ones in the order of keys."""
    serial = dataset.next_serial()
    company = f"{COMPANIES[serial % len(COMPANIES)]} {LEGAL_FORMS[serial % len(LEGAL_FORMS)]}".strip()
    row = {
        "name": (unique_name("accounts", random, serial), f"crm_{random.getrandbits(32)}_{serial}")[serial % 2],
        "title": company,
        "database": dataset.tables["crmDatabases"][serial % 5 == 0],
        "sla": None,
        "user": chosen(random, dataset.tables["users"], 0.6),
        "description": "" if serial % 3 else ODD_TEXTS[serial // 3 % len(ODD_TEXTS)],
        "created": stamp(created),
        "edited": stamp(edited_after(dataset, random, created)),
        "customFields": {"number": [phone(serial)], "email": []} if serial % 2 else [],
        "_sys": system("accounts"),
    }
    dataset.tables["accounts"].append(newer(dataset, row, {"survey": None, "deleted": False}))
    return row


def make_contact(dataset: Dataset, random: Random, created: int) -> Row:
    """Create a person, with or without a company."""
    serial = dataset.next_serial()
    first, last = chosen(random, FIRST_NAMES), chosen(random, LAST_NAMES)
    row = {
        "name": (unique_name("contacts", random, serial), f"Crm-Person-{random.getrandbits(24):X}-{serial}")[
            serial % 2
        ],
        "title": f"{first} {last}",
        "firstname": first if serial % 8 else "",
        "lastname": last,
        "database": dataset.tables["crmDatabases"][serial % 7 == 0],
        "account": chosen(random, dataset.tables["accounts"], 0.7),
        "user": chosen(random, dataset.tables["users"], 0.3),
        "description": None if serial % 4 == 0 else "",
        "nps_score": None if serial % 6 == 0 else serial % 11 + 0.5 * (serial % 5 == 0),
        "created": stamp(created),
        "edited": stamp(edited_after(dataset, random, created)),
        "duplicateContacts": None,
        "notDuplicateContacts": None,
        "customFields": {
            "number": [phone(serial), phone(serial + 1)][: serial % 3],
            "email": [address(serial)] if serial % 2 else [],
            "address": [],
            "note": [ODD_TEXTS[serial % len(ODD_TEXTS)]] if serial % 5 == 0 else [],
        },
        "_sys": {**system("contacts"), "cfScheme": _SCHEME},
    }
    dataset.tables["contacts"].append(newer(dataset, row, {}))
    return row


def make_ticket(dataset: Dataset, random: Random, created: int) -> Row:
    """Create a ticket. Its key is the next integer."""
    rows, serial = dataset.tables["tickets"], dataset.next_serial()
    name = rows[-1]["name"] + 1 if rows else FIRST_TICKET
    users = dataset.tables["users"]
    contact = chosen(random, dataset.tables["contacts"], 0.8)
    edited = edited_after(dataset, random, created)
    stage = ("OPEN", "CLOSE", "WAIT", "CLOSE", "ARCHIVE", "CLOSE", "OPEN")[serial % 7]
    ended = stage in ("CLOSE", "ARCHIVE")
    row = {
        "name": name,
        "title": SUBJECTS[serial % len(SUBJECTS)]
        if serial % 9
        else f"{ODD_TEXTS[serial % len(ODD_TEXTS)]} #{name}",
        "id_merge": chosen(random, rows[-50:], 0.02),
        "category": chosen(random, dataset.tables["ticketsCategories"]),
        "user": chosen(random, users, 0.85),
        "email": (address(serial), "", None)[serial % 3],
        "contact": contact,
        "parentTicket": chosen(random, rows[-50:], 0.03),
        "isParent": False,
        "description": ("", None, ODD_TEXTS[serial % len(ODD_TEXTS)])[serial % 3],
        "stage": stage,
        "priority": ("LOW", "MEDIUM", "HIGH")[serial % 3],
        "sla_overdue": serial % 5 * 600,
        "sla_deadtime": stamp(created + 2 * DAY),
        "sla_close_deadline": stamp(created + 2 * DAY),
        "sla_change": stamp(edited),
        "sla_duration": (edited - created) // 2,
        "sla_custom": serial % 8 == 0 if serial % 6 else None,
        "interaction_activity_count": serial % 6,
        # A date far in the future means that the ticket is postponed forever. Closed tickets can have it, too.
        "reopen": "2030-01-01 00:00:00" if serial % 12 == 0 else None,
        "created": stamp(created),
        "created_by": chosen(random, users, 0.5),
        "edited": stamp(edited),
        "edited_by": chosen(random, users, 0.9),
        **_answered(created, edited, serial),
        "closed": stamp(edited) if ended else None,
        "unread": serial % 4 == 0,
        "last_unread_date": None,
        "has_attachment": (True, False, None)[serial % 3],
        "followers": [chosen(random, users)] if serial % 5 == 0 and users else [],
        "statuses": [chosen(random, dataset.tables["statuses"])] if serial % 2 else [],
        "last_activity": stamp(edited) if serial % 5 else None,
        "last_activity_operator": stamp(edited) if serial % 2 else None,
        "last_activity_client": stamp(created) if serial % 3 else None,
        "customFields": {"order": [str(serial)], "note": []} if serial % 4 == 0 else [],
        "isFollowed": False,
        "_sys": system("tickets"),
    }
    integers, booleans = ("sla_duration", "interaction_activity_count"), ("unread", "has_attachment")
    spell_oddly(row, serial, integers, booleans)
    rows.append(newer(dataset, row, _removed_fields_of_ticket(serial)))
    return row


def _answered(created: int, edited: int, serial: int) -> Row:
    answered = edited > created and serial % 3 > 0
    return {
        "first_answer": stamp(min(created + 900, edited)) if answered else None,
        "first_answer_duration": min(900, edited - created) if answered else (None, 0)[serial % 2],
        "first_answer_deadline": stamp(created + DAY // 6),
        "first_answer_overdue": 0,
    }


def _removed_fields_of_ticket(serial: int) -> Row:
    return {
        "sla_notify": None,
        "survey": None,
        "survey_offered": "0",
        "satisfaction": serial % 5 + 1 if serial % 4 == 0 else None,
        "satisfaction_comment": "Děkuji 👍" if serial % 8 == 0 else "",
        "deleted": False,
        "isBookmarked": "",
    }


def make_crm_record(dataset: Dataset, random: Random, created: int) -> Row:
    """Create a CRM record of a contact, an account or a ticket."""
    serial = dataset.next_serial()
    edited = edited_after(dataset, random, created)
    row = {
        "name": unique_name("records", random, serial),
        "type": {"name": "crmRecordsTypes_orders", "title": "Objednávky", "_sys": system("crmRecordsTypes")},
        "user": chosen(random, dataset.tables["users"], 0.7),
        "contact": chosen(random, dataset.tables["contacts"], 0.6),
        "account": chosen(random, dataset.tables["accounts"], 0.6),
        "ticket": chosen(random, dataset.tables["tickets"], 0.4),
        "title": f"Objednávka {serial}",
        "description": "",
        "status": chosen(random, dataset.tables["statuses"], 0.3),
        "created": stamp(created),
        "edited": stamp(edited),
        "stage": "OPEN" if serial % 2 else "CLOSE",
        "customFields": {"amount": [str(serial * 10)]} if serial % 2 else [],
        "_sys": system("crmRecords"),
    }
    dataset.tables["crmRecords"].append(newer(dataset, row, {"deleted": False}))
    return row


def make_campaign_record(dataset: Dataset, random: Random, created: int) -> Row:
    """Create a campaign record, with the custom fields that the original extractor requested."""
    serial = dataset.next_serial()
    row = {
        "name": unique_name("campaignsRecords", random, serial),
        "user": chosen(random, dataset.tables["users"], 0.5),
        "record_type": {
            "name": "campaignsTypes_survey",
            "title": "Průzkum",
            "_sys": system("campaignsTypes"),
        },
        "database": {"name": "databases_default", "title": "Databáze", "_sys": system("databases")},
        "nextcall": stamp(created + 3 * DAY) if serial % 3 == 0 else None,
        "action": serial % 7 if serial % 10 else str(serial % 7),
        "call_id": None,
        "activity": None,
        "options": [],
        "contact": chosen(random, dataset.tables["contacts"], 0.9),
        "edited": stamp(edited_after(dataset, random, created)),
        "created": stamp(created),
        "statuses": [chosen(random, dataset.tables["statuses"])] if serial % 3 else [],
        "customFields": {
            "hodnoceni": [str(serial % 5)],
            "operator": ["a", "b"][: serial % 3],
            "id_hovoru": [],
        }
        if serial % 4
        else [],
        "_sys": system("campaignsRecords"),
    }
    removed = {"number": phone(serial), "title": f"Průzkum {serial}", "queue": dataset.tables["queues"][0]}
    dataset.tables["campaignsRecords"].append(newer(dataset, row, removed))
    return row
