"""Daktela's endpoints as data: the fields of each table, their kinds and their relations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]

EMBEDDED = ""
"""The target of a relation to objects without a table (service levels, profiles, connectors)."""


@dataclass(frozen=True)
class Table:
    """The fields of one endpoint, by kind. Names are separated by spaces.

    Attributes:
        one: Field -> table of the related object.
        many: Field -> table of the objects in a list.
        removed: Field -> kind, for fields that only builds until about 2021 have.
        removed_one: The same for relations to one object: field -> table.
        key: The primary key.
    """

    text: str
    integer: str = ""
    boolean: str = ""
    datetime: str = ""
    other: str = ""
    one: dict[str, str] = field(default_factory=dict)
    many: dict[str, str] = field(default_factory=dict)
    removed: dict[str, str] = field(default_factory=dict)
    removed_one: dict[str, str] = field(default_factory=dict)
    key: str = "name"


_PEOPLE = {"queue": "queues", "user": "users", "contact": "contacts"}

_MESSAGING = Table(
    text="name title state sender direction disconnection missed",
    integer="duration wait_time",
    boolean="answered",
    datetime="time missed_time",
    other="options",
    one={**_PEOPLE, "connector": EMBEDDED, "external_contact": EMBEDDED},
    removed={"full_name": "text"},
)

TABLES: dict[str, Table] = {
    "activities": Table(
        text="name title action type description",
        integer="priority baw aaw duration focus_time focus_disruptions ringing_time",
        boolean="important anonymized",
        datetime="time time_wait time_open time_close",
        other="item options customFields attachments",
        one={
            **_PEOPLE,
            "ticket": "tickets",
            "record": "campaignsRecords",
            "created_by": "users",
            "survey": EMBEDDED,
        },
        many={"statuses": "statuses"},
        removed_one={"status": "statuses"},
    ),
    "activitiesCall": Table(
        key="id_call",
        text="id_call direction clid prefix_clid_name did disposition_cause disconnection_cause pressed_key",
        integer="waiting_time ringing_time hold_time duration missed_call attempts",
        boolean="answered",
        datetime="call_time missed_call_time",
        other="options activities",
        one={
            "id_queue": "queues",
            "id_agent": "users",
            "contact": "contacts",
            "missed_callback": "activitiesCall",
            "cdr": EMBEDDED,
        },
        removed={
            "orig_pos": "integer",
            "position": "integer",
            "score": "integer",
            "note": "text",
            "dialer_time": "integer",
            "qa_user_id": "text",
            "attemps": "integer",
        },
    ),
    "activitiesEmail": Table(
        text="name title address direction text state",
        integer="wait_time duration",
        boolean="answered",
        datetime="time",
        other="options activities files attachments",
        one=_PEOPLE,
        removed={"result": "text"},
    ),
    "activitiesWeb": Table(
        text="name title state disconnection missed email phone host referer refererLast browser language "
        "ipaddress",
        integer="duration wait_time routing_duration",
        boolean="answered mobileDevice privateMode hasFocus isVisible gdpr",
        datetime="time missed_time heartbeat",
        other="options context users customer customFields",
        one={**_PEOPLE, "connector": EMBEDDED},
        removed=dict.fromkeys(
            (
                *("ip", "country_code", "country_name", "region_code", "region_name", "city", "zip_code"),
                *("time_zone", "latitude", "longitude", "metro_code", "queue_title"),
            ),
            "text",
        ),
    ),
    "activitiesSms": Table(
        text="name state sender direction disconnection missed",
        integer="duration wait_time",
        boolean="answered",
        datetime="time missed_time",
        other="options",
        one={**_PEOPLE, "connector": EMBEDDED},
        removed={"clid": "text"},
    ),
    "activitiesFbm": _MESSAGING,
    "activitiesIgdm": Table(
        text=_MESSAGING.text + " type",
        integer=_MESSAGING.integer,
        boolean=_MESSAGING.boolean,
        datetime=_MESSAGING.datetime,
        other=_MESSAGING.other,
        one=_MESSAGING.one,
        removed=_MESSAGING.removed,
    ),
    "activitiesWap": _MESSAGING,
    "activitiesVbr": _MESSAGING,
    "tickets": Table(
        text="name title email description stage priority",
        integer="sla_overdue sla_duration interaction_activity_count first_answer_duration first_answer_overdue",
        boolean="isParent sla_custom unread has_attachment",
        datetime="sla_deadtime sla_close_deadline sla_change reopen created edited first_answer "
        "first_answer_deadline closed last_unread_date last_activity last_activity_operator "
        "last_activity_client",
        other="customFields",
        one={
            "id_merge": "tickets",
            "category": "ticketsCategories",
            "user": "users",
            "contact": "contacts",
            "parentTicket": "tickets",
            "created_by": "users",
            "edited_by": "users",
        },
        many={"followers": "users", "statuses": "statuses"},
        removed={
            "sla_notify": "datetime",
            "survey_offered": "boolean",
            "satisfaction": "integer",
            "satisfaction_comment": "text",
            "deleted": "boolean",
            "isBookmarked": "boolean",
        },
        removed_one={"survey": EMBEDDED},
    ),
    "accounts": Table(
        text="name title description",
        datetime="created edited",
        other="customFields",
        one={"database": "crmDatabases", "sla": EMBEDDED, "user": "users"},
        removed={"deleted": "boolean"},
        removed_one={"survey": EMBEDDED},
    ),
    "contacts": Table(
        text="name title firstname lastname description",
        integer="nps_score",
        datetime="created edited",
        other="duplicateContacts notDuplicateContacts customFields",
        one={"database": "crmDatabases", "account": "accounts", "user": "users"},
    ),
    "groups": Table(text="name title description type", removed={"deleted": "boolean"}),
    "pauses": Table(
        text="name type title calculated_from",
        integer="max_duration max_amount min_timeout",
        boolean="paid repeatable auto_pause prevent_direct_calls",
        removed={"deleted": "boolean"},
    ),
    "queues": Table(
        text="name title alias description call_steering_description type direction",
        boolean="deactivated",
        other="options",
        removed={"deleted": "boolean", "usersCount": "integer"},
    ),
    "statuses": Table(
        text="name title description color",
        boolean="validation nextcall",
        removed={"blacklist_database": "text", "blacklist_expiration_time": "integer", "deleted": "boolean"},
    ),
    "templates": Table(
        text="name title description format usingtype subject externalDataUrl content",
        other="config",
        one={"id_template": "templates", "user": "users"},
        removed={"deleted": "boolean"},
    ),
    "users": Table(
        text="name title type alias description call_steering_description extension extension_state "
        "presence_state clid frontend_version recordAtCallStart email emailAuth icon emoji "
        "forwarding_number timezone firstname lastname",
        integer="nps_score mfa_verification",
        boolean="static allowRecordingInterruption ctrl_enter_email cp_access_crm deactivated",
        other="options fcmSettings",
        one={
            "role": EMBEDDED,
            "profile": EMBEDDED,
            "acl": EMBEDDED,
            "algo": EMBEDDED,
            "sign": "templates",
        },
        removed={
            "backoffice_user": "boolean",
            "deleted": "boolean",
            "recordCalls": "boolean",
            "backofficeRinging": "boolean",
        },
    ),
    "ticketsCategories": Table(
        text="name title description status_required autofocused_tab",
        integer="auto_archive_tickets",
        boolean="allow_external_comments multiple_statuses closeCheckChilds",
        one={
            "sla": EMBEDDED,
            "timecondition": EMBEDDED,
            "email_queue": "queues",
            "call_queue": "queues",
            "sms_queue": "queues",
            "default_crm_database": "crmDatabases",
        },
    ),
    "campaignsRecords": Table(
        text="name call_id activity",
        integer="action",
        datetime="nextcall edited created",
        other="options customFields",
        one={"user": "users", "record_type": EMBEDDED, "database": EMBEDDED, "contact": "contacts"},
        many={"statuses": "statuses"},
        removed={"number": "text", "title": "text"},
        removed_one={"queue": "queues"},
    ),
    "crmRecords": Table(
        text="name title description stage",
        datetime="created edited",
        other="customFields",
        one={
            "type": EMBEDDED,
            "user": "users",
            "contact": "contacts",
            "account": "accounts",
            "ticket": "tickets",
            "status": "statuses",
        },
        removed={"deleted": "boolean"},
    ),
    "crmDatabases": Table(
        text="name title description autofocused_contacts_tab autofocused_accounts_tab",
        boolean="available_cp default reverse_names",
        removed={"contactsCFScheme": "text"},
    ),
}

NUMBERED = frozenset({"tickets", "queues"})
"""Tables whose key is a JSON integer. All other keys are texts."""

ITEM_TABLES = {
    "CALL": "activitiesCall",
    "EMAIL": "activitiesEmail",
    "CHAT": "activitiesWeb",
    "SMS": "activitiesSms",
    "FBM": "activitiesFbm",
    "IGDM": "activitiesIgdm",
    "WAP": "activitiesWap",
    "VBR": "activitiesVbr",
}
"""Type of an activity -> the table of its `item`."""

MOVING = frozenset({"tickets", "activities", *ITEM_TABLES.values()})
"""Tables that a client reads by time. It reads all other tables completely."""


def _kinds(name: str, table: Table) -> dict[str, str]:
    kinds = {
        column: kind
        for kind in ("text", "integer", "boolean", "datetime", "other")
        for column in getattr(table, kind).split()
    }
    kinds |= dict.fromkeys(table.one, "one") | dict.fromkeys(table.many, "many")
    if name in NUMBERED:
        kinds[table.key] = "integer"
    return kinds


FIELDS = {name: _kinds(name, table) for name, table in TABLES.items()}
"""Table -> field of the current build -> kind: text, integer, boolean, datetime, other, one or many."""

REMOVED = {name: table.removed | dict.fromkeys(table.removed_one, "one") for name, table in TABLES.items()}
"""Table -> field that only builds until about 2021 have -> kind."""


def key_of(table: str) -> str:
    """Return the name of a table's primary key. For an embedded object, it is `name`."""
    return TABLES[table].key if table in TABLES else "name"


def fields_of(table: str, build: str) -> dict[str, str]:
    """Return the kinds of the fields that a build has."""
    return FIELDS[table] | REMOVED[table] if build == "2021" else FIELDS[table]


def target_of(table: str, column: str) -> str | None:
    """Return the table of a relation, `EMBEDDED` for objects without a table, None if it is not a relation."""
    if table not in TABLES:
        return None
    relations = TABLES[table]
    return (relations.one | relations.many | relations.removed_one).get(column)
