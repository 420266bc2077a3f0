"""A small CRM of invented companies, on two days, as a tap of Salesforce puts it out.

In: nothing; a seed makes it the same each time. Out: files of Singer messages (`write`), or the CRM itself, to
compare a load with. The shape is that of the real taps: SCHEMAs list every field and records only those that were
selected, contacts and accounts come interleaved and most contacts first, links between them come last, a STATE
follows each record, and deleted records come marked. Telephone numbers are of ranges set aside for fiction.
"""

from __future__ import annotations

import json
import random
import sys
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Record: TypeAlias = dict[str, Any]
Crm: TypeAlias = dict[str, dict[str, Record]]
"""Records by stream and Id."""

MONDAY = "2026-03-02T06:00:00.000000Z"
TUESDAY = "2026-03-03T06:00:00.000000Z"


# Who is in it. The cases that a load must get right have names, and are told by the tests what becomes of them.

_TOWNS = ("Middleford", "Nether Quill", "Upper Tansy", "Saltmere", "Vzorov", "Příkladov", "Musterstadt")
_COMPANIES = (
    *("Brackenfield Dairy", "Tansy & Daughters", "Saltmere Ropeworks", "Quill Stationery", "Middleford Cider"),
    *("Vzorové pekárny s.r.o.", "Ukázková doprava a.s.", "Müller-Beispiel GmbH", 'Závod "Test"', "O'Sample Ltd"),
    *(
        "Lantern Street Books",
        "Pewter Kettle Tea",
        "Marram Grass Surveys",
        "Ninefold Packaging",
        "Hollow Oak Joinery",
    ),
    *("Gannet Boatyard", "Thimble Textiles", "Candlewick Lighting", "Fern Gully Nurseries", "Old Weir Brewing"),
    *("Smyšlené lázně", "Nikde a syn", "Příkladná škola", "Řehůřkovy knihy", "Exemple Conseil"),
    *("Copperdale Radiators", "Wren House Hotel", "Slate & Sons Roofing", "Heron Water"),
)
_FIRST = ("Ada", "Bram", "Cleo", "Dana", "Elis", "Fenn", "Greta", "Hynek", "Ivo", "Jana", "Květa", "Łucja", "Mara")
_LAST = (
    "Vzorová",
    "Nikdo",
    "Sample",
    "Příkladný",
    "Testerová",
    "Ashdown",
    "Birdwhistle",
    "Crake",
    "Dunnock",
    "Exemple",
)
_CONTACTS = 108


def account_id(number: int) -> str:
    """Return the Id of an account, with the letters that make it safe where case does not count."""
    return f"0015i{number:010}AAA"


def contact_id(number: int) -> str:
    """Return the Id of a contact."""
    return f"0035i{number:010}AAA"


RENAMED = account_id(1)
"""Has another name on Tuesday; none of its contacts comes with it."""
ALICE_OF_RENAMED = contact_id(201)
PERSON = account_id(40)
"""A person account: an account that is a person, who comes as a contact, too."""
PERSON_CONTACT = contact_id(202)
FREELANCER = contact_id(203)
"""Has no company."""
DIRECTOR = contact_id(204)
"""Sits on the boards of two companies, and works for the first."""
RECEPTION = contact_id(205)
"""Has no last name, for which Salesforce has words of its own."""
CARELESS = contact_id(206)
"""The same number in two spellings, another one that is none, and an e-mail address in capitals."""
LONG_GONE = contact_id(207)
"""Deleted before Monday."""
EARLY = contact_id(208)
LATE_COMPANY = account_id(41)
"""Comes on Tuesday, a day after its contact `EARLY`."""
CALLED = contact_id(209)
"""Has another number on Tuesday; its company does not come with it."""
MOVED = contact_id(210)
"""Works for another company from Tuesday on."""
LEAVER = contact_id(211)
"""Deleted on Tuesday, which Salesforce tells."""
RELOCATED = contact_id(212)
"""Another town on Tuesday: nothing that Daktela would have to know."""
PURGED = contact_id(213)
"""Vanishes on Tuesday without a word."""
NEW_COMPANY = account_id(42)
NEW_CONTACT = contact_id(214)


def monday() -> Crm:
    """Return the CRM as it is on the first day."""
    chance = random.Random(20260302)
    accounts = [
        _account(number, name, Phone=f"01632 960 {100 + number}", Industry=chance.choice(("Retail", "Food", None)))
        for number, name in enumerate(_COMPANIES, 1)
    ]
    accounts[1]["Description"] = "Pays late.\r\nCall before noon\u2028and never on Fridays."
    accounts.append(
        _account(40, "Petra Osobová", FirstName="Petra", LastName="Osobová", Phone="+44 7700 900440")
        | {"IsPersonAccount": True, "PersonContactId": PERSON_CONTACT, "PersonEmail": "petra@example.org"}
    )
    contacts = [_anybody(number, chance) for number in range(1, _CONTACTS + 1)]
    contacts += [
        _contact(201, 1, "Alice", "Brackenfield", Phone="(020) 7946 0201", Email="alice@brackenfield.example"),
        _contact(202, 40, "Petra", "Osobová", MobilePhone="+44 7700 900440", Email="petra@example.org")
        | {"IsPersonAccount": True},
        _contact(203, None, "Felix", "Freelance", MobilePhone="07700 900203"),
        _contact(204, 3, "Dorothea", "Director", MobilePhone="+44 7700 900204"),
        _contact(205, 4, "Reception", "[not provided]", Phone="01632 960 205"),
        _contact(206, 5, "Carl", "Careless", Phone="(020) 7946 0206", MobilePhone="+44 20 7946 0206")
        | {"HomePhone": "ask his sister", "Email": " Carl.CARELESS@Example.ORG "},
        _contact(207, 6, "Greta", "Gone", Phone="01632 960 207", IsDeleted=True),
        _contact(208, 41, "Edgar", "Early", Phone="01632 960 208"),
        _contact(209, 7, "Carol", "Called", MobilePhone="+44 7700 900209"),
        _contact(210, 8, "Mona", "Moved", Email="mona@example.com"),
        _contact(211, 9, "Leo", "Leaver", Email="leo@example.com"),
        _contact(212, 10, "Rhea", "Relocated", MailingCity="Saltmere"),
        _contact(213, 11, "Paul", "Purged", Email="paul@example.com"),
    ]
    relations = [
        _relation(1, DIRECTOR, account_id(12), IsDirect=False, IsActive=True),
        _relation(2, DIRECTOR, account_id(3), IsDirect=True, IsActive=True),
        _relation(3, CALLED, account_id(13), IsDirect=False, IsActive=False),
    ]
    streams = {"Contact": contacts, "Account": accounts, "AccountContactRelation": relations}
    return {stream: {record["Id"]: record for record in records} for stream, records in streams.items()}


def tuesday() -> Crm:
    """Return the CRM as it is a day later."""
    crm = deepcopy(monday())
    accounts, contacts = crm["Account"], crm["Contact"]
    changed = [
        accounts[RENAMED] | {"Name": "Brackenfield Foods"},
        contacts[CALLED] | {"MobilePhone": "+44 7700 900909"},
        contacts[MOVED] | {"AccountId": account_id(12)},
        contacts[LEAVER] | {"IsDeleted": True},
        contacts[RELOCATED] | {"MailingCity": "Vzorov"},
        _account(41, "Latecomer Logistics", Phone="01632 960 141"),
        _account(42, "Dewdrop Orchards", Phone="01632 960 142"),
        _contact(214, 42, "Nora", "Newcomer", Email="nora@dewdrop.example"),
        _contact(215, 42, "Otto", "Orchard", MobilePhone="07700 900215"),
    ]
    for record in changed:
        of = accounts if record["Id"].startswith("001") else contacts
        of[record["Id"]] = record | {"SystemModstamp": TUESDAY, "LastModifiedDate": TUESDAY}
    del contacts[PURGED]
    return crm


def changes(before: Crm, after: Crm) -> Crm:
    """Return what an incremental run reads: the records that are new or different, and not those that vanished."""
    return {
        stream: {key: record for key, record in records.items() if before[stream].get(key) != record}
        for stream, records in after.items()
    }


def write(folder: Path) -> dict[str, Path]:
    """Write files of messages: `monday` and `tuesday`, as incremental runs, and `in-full`, all of Tuesday."""
    before, after = monday(), tuesday()
    runs = {"monday": before, "tuesday": changes(before, after), "in-full": after}
    paths = {name: folder / f"{name}.jsonl" for name in runs}
    for name, crm in runs.items():
        with paths[name].open("w") as file:
            file.writelines(f"{json.dumps(message)}\n" for message in messages(crm))
    return paths


# Records.


def _account(number: int, name: str, **values: Any) -> Record:
    town = _TOWNS[number % len(_TOWNS)]
    return {
        "Id": account_id(number),
        "IsDeleted": False,
        "MasterRecordId": None,
        "Name": name,
        "FirstName": None,
        "LastName": None,
        "Type": "Customer",
        "ParentId": None,
        "BillingStreet": f"{number} Mill Lane",
        "BillingCity": town,
        "BillingAddress": {"street": f"{number} Mill Lane", "city": town, "latitude": None, "longitude": None},
        "Phone": None,
        "Fax": "01632 960 999",
        "Website": None,
        "Industry": None,
        "AnnualRevenue": 1250000.0,
        "NumberOfEmployees": number * 3,
        "Description": None,
        "OwnerId": "0055i0000000001AAA",
        "CreatedDate": "2024-05-06T07:08:09.000000Z",
        "LastModifiedDate": MONDAY,
        "SystemModstamp": MONDAY,
        "IsPersonAccount": False,
        "PersonContactId": None,
        "PersonEmail": None,
    } | values


def _contact(number: int, account: int | None, first: str, last: str, **values: Any) -> Record:
    return {
        "Id": contact_id(number),
        "IsDeleted": False,
        "MasterRecordId": None,
        "AccountId": None if account is None else account_id(account),
        "FirstName": first,
        "LastName": last,
        "Salutation": None,
        "Name": f"{first} {last}",
        "MailingCity": None,
        "Phone": None,
        "MobilePhone": None,
        "HomePhone": None,
        "OtherPhone": None,
        "AssistantPhone": "01632 960 998",
        "Email": None,
        "Title": None,
        "Department": None,
        "Description": None,
        "HasOptedOutOfEmail": False,
        "OwnerId": "0055i0000000001AAA",
        "CreatedDate": "2024-05-06T07:08:09.000000Z",
        "LastModifiedDate": MONDAY,
        "SystemModstamp": MONDAY,
        "IsPersonAccount": False,
    } | values


def _relation(number: int, contact: str, account: str, **values: Any) -> Record:
    return {
        "Id": f"07k5i{number:010}AAA",
        "AccountId": account,
        "ContactId": contact,
        "IsDeleted": False,
        "LastModifiedDate": MONDAY,
        "SystemModstamp": MONDAY,
    } | values


def _anybody(number: int, chance: random.Random) -> Record:
    first, last = chance.choice(_FIRST), chance.choice(_LAST)
    return _contact(
        number,
        chance.randint(1, len(_COMPANIES)),
        first,
        last,
        Phone=chance.choice((None, f"01632 960 {600 + number}")),
        MobilePhone=chance.choice((None, f"+44 7700 900{600 + number}")),
        Email=chance.choice((None, f"person{number}@example.com")),
        Title=chance.choice((None, "Buyer", "Head of Everything")),
    )


# Messages.

_ADDRESS = "Street City State PostalCode Country Latitude Longitude GeocodeAccuracy Address"
_FIELDS = {
    "Account": f"""
        Id IsDeleted MasterRecordId Name LastName FirstName Salutation Type RecordTypeId ParentId
        Billing({_ADDRESS}) Shipping({_ADDRESS})
        Phone Fax AccountNumber Website PhotoUrl Sic Industry AnnualRevenue NumberOfEmployees Ownership
        TickerSymbol Description Rating Site OwnerId CreatedDate CreatedById LastModifiedDate LastModifiedById
        SystemModstamp LastActivityDate LastViewedDate LastReferencedDate PersonContactId IsPersonAccount
        PersonMobilePhone PersonHomePhone PersonOtherPhone PersonEmail PersonTitle PersonBirthdate Jigsaw
        JigsawCompanyId AccountSource SicDesc CleanStatus DunsNumber Tradestyle NaicsCode YearStarted
    """,
    "Contact": f"""
        Id IsDeleted MasterRecordId AccountId LastName FirstName Salutation Name
        Mailing({_ADDRESS}) Other({_ADDRESS})
        Phone Fax MobilePhone HomePhone OtherPhone AssistantPhone ReportsToId Email Title Department AssistantName
        LeadSource Birthdate Description OwnerId HasOptedOutOfEmail HasOptedOutOfFax DoNotCall CreatedDate
        CreatedById LastModifiedDate LastModifiedById SystemModstamp LastActivityDate LastCURequestDate
        LastCUUpdateDate LastViewedDate LastReferencedDate EmailBouncedReason EmailBouncedDate IsEmailBounced
        PhotoUrl Jigsaw JigsawContactId CleanStatus IndividualId IsPersonAccount
    """,
    "AccountContactRelation": """
        Id AccountId ContactId Roles IsDirect IsActive StartDate EndDate IsDeleted CreatedDate CreatedById
        LastModifiedDate LastModifiedById SystemModstamp
    """,
}
_NUMBERS = ("Latitude", "Longitude", "AnnualRevenue", "NumberOfEmployees")
_MOMENTS = ("Date", "SystemModstamp", "Birthdate")


def messages(crm: Crm) -> Iterator[Record]:
    """Yield the messages of a run that reads these records."""
    state: Record = {"current_stream": None, "bookmarks": {}}
    for stream in crm:
        yield _schema(stream)
        yield {"type": "ACTIVATE_VERSION", "stream": stream, "version": _version(stream)}
    for stream, record in _in_order(crm):
        yield {
            "type": "RECORD",
            "stream": stream,
            "record": record,
            "version": _version(stream),
            "time_extracted": record["SystemModstamp"],
        }
        state["current_stream"] = stream
        state["bookmarks"][stream] = {"version": _version(stream), "SystemModstamp": record["SystemModstamp"]}
        yield {"type": "STATE", "value": deepcopy(state)}


def _in_order(crm: Crm) -> Iterator[tuple[str, Record]]:
    """Yield records in the order in which they come: contacts, more of them among accounts, and links."""
    contacts = [("Contact", record) for record in crm["Contact"].values()]
    accounts = [("Account", record) for record in crm["Account"].values()]
    first = len(contacts) // 3
    mixed = contacts[first:] + accounts
    random.Random(len(mixed)).shuffle(mixed)
    yield from contacts[:first]
    yield from mixed
    yield from (("AccountContactRelation", record) for record in crm["AccountContactRelation"].values())


def _schema(stream: str) -> Record:
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: _property(name) for name in _names(_FIELDS[stream])},
        },
        "key_properties": ["Id"],
        "bookmark_properties": ["SystemModstamp"],
    }


def _names(fields: str) -> Iterator[str]:
    """Yield the names, with those in brackets behind the prefix in front of them."""
    prefix = ""
    for word in fields.split():
        head, bracket, tail = word.partition("(")
        prefix = head if bracket else prefix
        yield prefix + (tail if bracket else head).removesuffix(")")
        prefix = "" if word.endswith(")") else prefix


def _property(name: str) -> Record:
    if name == "Id":
        return {"type": "string"}
    if name.endswith(_MOMENTS):
        return {"anyOf": [{"type": "string", "format": "date-time"}, {"type": ["string", "null"]}]}
    if name.endswith(_NUMBERS):
        return {"type": ["null", "number"]}
    if name.startswith(("Is", "HasOptedOut", "DoNot")):
        return {"type": ["null", "boolean"]}
    if name.endswith("Address"):
        return {"type": ["null", "object"], "properties": {}, "additionalProperties": {}}
    return {"type": ["null", "string"]}


def _version(stream: str) -> int:
    return 1772431200000 + len(stream)


if __name__ == "__main__":
    for path in write(Path(sys.argv[1])).values():
        sys.stdout.write(f"{path}\n")
