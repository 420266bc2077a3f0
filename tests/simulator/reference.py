"""Create the invented rows of tables that change rarely, such as queues, statuses and users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulator.dataset import Dataset, chosen, system, unique_name
from tests.simulator.texts import FIRST_NAMES, LAST_NAMES, ODD_TEXTS, PARAGRAPHS, address

if TYPE_CHECKING:
    from random import Random

    from tests.simulator.schema import Row

_QUEUES = (
    # First number, type, direction, number of queues.
    (1001, "in", "in", 4),
    (1501, "out", "out", 2),
    (1701, "dialer", "out", 1),
    (3001, "email", "in", 3),
    (4001, "chat", "in", 2),
    (5001, "sms", "in", 1),
    (6001, "fbm", "in", 1),
    (6101, "igdm", "in", 1),
    (6201, "wap", "in", 1),
    (6301, "vbr", "in", 1),
    (7001, "custom", "in", 1),
)
_PAUSES = (
    ("Oběd", "", True),
    ("Školení", None, True),
    ("Wrap-up", "wrap", True),
    ("Do not disturb", "dnd", False),
    ("Lajdák", "lajdak", False),
    ("Cigareta 🚬", None, False),
)
_STATUSES = (
    "Vyřízeno",
    "Nedovoláno",
    "Zavolat později",
    "Reklamace",
    "Interested",
    "Spam",
    "Ztracený hovor",
    "VIP ⭐",
)
_CATEGORIES = ("Podpora", "Reklamace", "Fakturace", "Obchod", "Customer Support")
_TEMPLATE_USES = (
    *("EMAIL", "SMS", "FBM", "IGDM", "WAP", "WAP_OUTGOING", "VBR", "CHAT", "CHAT_NPS", "EMAIL_SIGN"),
    *("EMAIL_NPS", "SOCIALMEDIA", "USERSIGN"),
)
_LOGINS = ("login{}", "Agent.{}", "agent{}@example.com", "operátor-{}")


def newer(dataset: Dataset, row: Row, removed: Row) -> Row:
    """Add the internal fields of a current build to a row, or the additional fields of an old build."""
    row |= removed if dataset.build == "2021" else {"_rdata": None, "_guiData": []}
    return row


def fill_reference(dataset: Dataset, random: Random, *, users: int, templates: int) -> None:
    """Fill the tables, each after those that it refers to."""
    _databases(dataset)
    _groups(dataset)
    _pauses(dataset)
    _queues(dataset)
    _statuses(dataset, random)
    fill_templates(dataset, random, templates)
    _users(dataset, random, users)
    for place, template in enumerate(dataset.tables["templates"]):
        template["user"] = chosen(random, dataset.tables["users"]) if place % 4 == 0 else None
    _categories(dataset, random)


def _databases(dataset: Dataset) -> None:
    for name, title in (("default", "Výchozí"), ("partners_5f3a1b2c", "Partners")):
        row = {
            "name": name,
            "title": title,
            "description": "",
            "available_cp": False,
            "autofocused_contacts_tab": "",
            "autofocused_accounts_tab": "",
            "default": name == "default",
            "reverse_names": False,
            "_sys": system("crmDatabases"),
        }
        dataset.tables["crmDatabases"].append(newer(dataset, row, {"contactsCFScheme": None}))


def _groups(dataset: Dataset) -> None:
    for serial in range(12):
        kind = ("categories", "queues", "users", "profiles")[serial % 4]
        row = {
            "name": f"groups_{serial:02d}",
            "title": f"Skupina {serial} ({kind})",
            "description": None if serial % 3 else "",
            "type": kind,
            "_sys": system("groups"),
        }
        dataset.tables["groups"].append(newer(dataset, row, {"deleted": False}))


def _pauses(dataset: Dataset) -> None:
    for serial, (title, kind, paid) in enumerate(_PAUSES):
        row = {
            "name": f"pauses_{serial}",
            "type": kind or None,
            "title": title,
            "paid": paid if serial != 2 else "1",
            "max_duration": 30 * serial if serial else 0,
            "calculated_from": "- 1 day" if serial == 1 else "",
            "repeatable": serial % 2 == 0,
            "max_amount": None if serial % 2 else 3,
            "min_timeout": None,
            "auto_pause": False,
            "prevent_direct_calls": serial == 3,
            "_sys": system("pauses"),
        }
        dataset.tables["pauses"].append(newer(dataset, row, {"deleted": "0"}))


def _queues(dataset: Dataset) -> None:
    for first, kind, direction, count in _QUEUES:
        for name in range(first, first + count):
            row = {
                "name": name,
                "title": f"fronta-{kind}-{name}@example.com" if kind == "email" else f"Fronta {kind} {name}",
                "alias": "",
                "description": "",
                "call_steering_description": "",
                "type": kind,
                "direction": direction,
                "options": {"address": f"fronta-{name}@example.com"} if kind == "email" else [],
                "deactivated": name == first + 2,
                "_sys": system("queues"),
            }
            if dataset.build != "2021":
                row["_oauthTokenStatus"] = []
            dataset.tables["queues"].append(newer(dataset, row, {"deleted": False, "usersCount": count}))


def _statuses(dataset: Dataset, random: Random) -> None:
    removed = {"blacklist_database": None, "blacklist_expiration_time": None, "deleted": False}
    for serial, title in enumerate(_STATUSES):
        row = {
            "name": unique_name("statuses", random, serial),
            "title": title,
            "description": None if serial % 2 else "Popis stavu",
            "validation": serial % 3 == 0,
            "nextcall": serial == 2,
            "color": "" if serial % 2 else "#d15b47",
            "_sys": system("statuses"),
        }
        dataset.tables["statuses"].append(newer(dataset, row, dict(removed)))


def fill_templates(dataset: Dataset, random: Random, count: int) -> None:
    """Add templates. Some have a parent template."""
    rows = dataset.tables["templates"]
    for _ in range(count):
        serial = dataset.next_serial()
        use = _TEMPLATE_USES[serial % len(_TEMPLATE_USES)]
        row = {
            "name": unique_name("templates", random, serial),
            "title": f"Šablona {serial}",
            "description": "" if serial % 2 else None,
            "id_template": chosen(random, rows, 0.3),
            "user": None,
            "format": "RICH" if use.startswith("EMAIL") else "PLAIN",
            "usingtype": use,
            "subject": f"Odpověď {serial}" if use == "EMAIL" else None,
            "externalDataUrl": None,
            "content": PARAGRAPHS[serial % len(PARAGRAPHS)] + ODD_TEXTS[serial % len(ODD_TEXTS)],
            "config": [] if serial % 3 else {"columns": 2},
            "_sys": system("templates"),
        }
        rows.append(newer(dataset, row, {"deleted": False}))


def _users(dataset: Dataset, random: Random, count: int) -> None:
    profiles = [_profile(name) for name in ("agents", "supervisors", "api")]
    roles = [_role(name) for name in ("Operátor", "Vedoucí", "API")]
    for serial in range(count):
        user = make_user(dataset, random, serial)
        user["profile"], user["role"] = profiles[serial % 3], roles[serial % 3]
        dataset.tables["users"].append(user)


def make_user(dataset: Dataset, random: Random, serial: int) -> Row:
    """Return a user. Its options contain secrets that no request may ask for."""
    first, last = chosen(random, FIRST_NAMES), chosen(random, LAST_NAMES)
    row = {
        "name": _LOGINS[serial % len(_LOGINS)].format(serial) if serial else "robot",
        "title": f"{first} {last}",
        "firstname": first,
        "lastname": last,
        "type": "CC" if serial % 5 else "BO",
        "alias": "" if serial % 3 else f"agent {serial}",
        "role": None,
        "profile": None,
        "nps_score": serial % 11 if serial % 6 else 7.5,
        "description": "" if serial % 4 else ODD_TEXTS[serial // 4 % len(ODD_TEXTS)],
        "call_steering_description": "",
        "extension": str(500 + serial) if serial % 7 else None,
        "acl": None,
        "extension_state": ("online", "offline", "busy", None)[serial % 4],
        "presence_state": None,
        "clid": "",
        "static": False,
        "frontend_version": "react" if serial % 2 else "angular",
        "allowRecordingInterruption": serial % 2 == 0,
        "recordAtCallStart": "bridged",
        "algo": None,
        "email": address(serial) if serial % 2 else "",
        "emailAuth": "",
        "icon": "",
        "emoji": "🙂" if serial % 9 == 0 else "",
        "mfa_verification": serial % 3,
        "sign": chosen(random, dataset.tables["templates"], 0.1),
        "ctrl_enter_email": True,
        "options": {
            "target": "terminate|busy",
            "registration_ids": [{"type": "FCM", "token": "never-extract"}],
        },
        "fcmSettings": [] if serial % 2 else {"notifications": True},
        "cp_access_crm": False,
        "forwarding_number": "",
        "timezone": "_AUTOMATIC_",
        "deactivated": serial % 10 == 9,
        "_sys": system("users"),
    }
    removed = {"backoffice_user": "", "deleted": False, "recordCalls": True, "backofficeRinging": False}
    return newer(dataset, row, removed)


def _profile(name: str) -> Row:
    return {
        "name": f"profiles_{name}",
        "title": name.capitalize(),
        "description": "",
        "maxActivities": None,
        "maxOutRecords": 5,
        "canTransferCall": "blind and assisted transfer",
        "options": {"extensionRequired": False, "columns": {"user": [], "stage": []}},
        "customViews": [],
        "_sys": system("profiles"),
    }


def _role(title: str) -> Row:
    return {
        "name": f"roles_{title.lower()}",
        "title": title,
        "description": "",
        "options": {"tickets": 31, "activities": 16, "contacts": 23, "_setDependencies": True},
        "shortcuts": [{"icon": "fas fa-search", "type": "search"}],
        "_sys": system("roles"),
    }


def _categories(dataset: Dataset, random: Random) -> None:
    sla = {
        "name": unique_name("sla", random, 1),
        "title": "Základní",
        "unit": "HOURS",
        "response_low": 8,
        "response_normal": 4,
        "response_high": 2,
        "solution_low": 48,
        "solution_normal": 24,
        "solution_high": 8,
        "_sys": system("ticketsSla"),
    }
    queues = {row["type"]: row for row in dataset.tables["queues"]}
    for serial, title in enumerate(_CATEGORIES):
        row = {
            "name": unique_name("categories", random, serial),
            "title": title,
            "description": None,
            "sla": sla,
            "timecondition": None,
            "email_queue": queues["email"] if serial % 2 else None,
            "call_queue": queues["in"] if serial % 3 == 0 else None,
            "sms_queue": None,
            "default_crm_database": dataset.tables["crmDatabases"][0],
            "allow_external_comments": False,
            "status_required": (None, "never", "closing_ticket", "always")[serial % 4],
            "multiple_statuses": serial % 2 == 0,
            "closeCheckChilds": True,
            "auto_archive_tickets": None if serial % 2 else 90,
            "autofocused_tab": "",
            "_sys": system("ticketsCategories"),
        }
        dataset.tables["ticketsCategories"].append(newer(dataset, row, {}))
