"""The company of each contact."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_daktela_crm.store.linking import choose_company
from tests.target_daktela_crm.running import (
    SCHEMAS,
    Crm,
    Message,
    bookmark,
    company,
    contact,
    feed,
    record,
    schema,
)

STATES = {"a": "known", "b": "known", "new": "unknown", "gone": "deleted"}
PRIMARY, OLD_PRIMARY = (True, True), (True, False)
PLAIN, OLD_PLAIN = (False, True), (False, False)


@pytest.mark.parametrize(
    ("own", "links", "chosen"),
    [
        (None, [], None),
        ("a", [], "a"),
        ("gone", [], None),
        ("new", [], "new"),
        ("a", [("b", *PLAIN)], "a"),
        ("a", [("b", *PRIMARY)], "b"),
        ("a", [("new", *PRIMARY)], "new"),
        ("a", [("gone", *PRIMARY)], "a"),
        ("a", [("b", *OLD_PRIMARY)], "a"),
        ("gone", [("b", *OLD_PRIMARY)], "b"),
        ("gone", [("b", *PLAIN)], "b"),
        (None, [("a", *PLAIN), ("b", *PRIMARY)], "b"),
        (None, [("a", *PRIMARY), ("b", *PRIMARY)], "a"),
        (None, [("a", *PLAIN), ("b", *OLD_PRIMARY)], "b"),
        (None, [("new", *PLAIN), ("a", *OLD_PLAIN)], "a"),
        (None, [("new", *PLAIN), ("gone", *PLAIN)], "new"),
        (None, [("gone", *PLAIN)], None),
    ],
)
def test_primary_links_count_before_the_own_company_and_before_other_links(
    own: str | None, links: list[tuple[str, bool, bool]], chosen: str | None
) -> None:
    assert choose_company(own, links, STATES) == chosen


def test_an_older_primary_link_does_not_count_if_the_record_says_that_there_is_no_company() -> None:
    assert choose_company(None, [("a", *OLD_PRIMARY)], STATES) == "a"
    assert choose_company(None, [("a", *OLD_PRIMARY)], STATES, has_none=True) is None
    assert choose_company(None, [("a", *PRIMARY)], STATES, has_none=True) == "a"
    assert choose_company(None, [("a", *OLD_PRIMARY), ("b", *PLAIN)], STATES, has_none=True) == "b"


@given(
    st.none() | st.sampled_from(sorted(STATES)),
    st.lists(st.tuples(st.sampled_from(sorted(STATES)), st.booleans(), st.booleans())),
)
def test_a_contact_has_a_company_that_is_not_deleted_if_there_is_one(
    own: str | None, links: list[tuple[str, bool, bool]]
) -> None:
    live = {company for company in (own, *(link[0] for link in links)) if company and STATES[company] != "deleted"}
    chosen = choose_company(own, links, STATES)
    assert chosen in live if live else chosen is None


LINKS = {
    "links": {
        "link": {
            "id": "id",
            "contact": "contact",
            "company": "company",
            "primary": "main",
            "deleted": "gone",
            "modified": "at",
        }
    }
}


GONE = {
    "companies": {"company": {"deleted": "gone"}},
    "contacts": {"contact": {"deleted": "gone", "modified": "at"}},
}


def link(
    number: int, of: Any, to: Any, *, main: bool = False, gone: bool = False, at: str | None = None
) -> Message:
    return record("links", id=number, contact=of, company=to, main=main, gone=gone, at=at)


def test_a_contact_may_arrive_before_its_company_or_without_one(crm: Crm) -> None:
    crm.run(feed(contact(7, of=1), contact(8), company(1)))
    assert crm.company_of_contacts() == {"7": "1", "8": None}
    assert crm.bodies()[0]["data"][-1].keys() == {"id", "name", "description", "contacts"}


def test_a_contact_moves_to_its_new_company(crm: Crm) -> None:
    crm.run(feed(company(1), company(2), contact(7, of=1)))
    crm.run(feed(contact(7, of=2)))
    assert crm.company_of_contacts() == {"7": "2"}
    crm.run(feed(contact(7)))
    assert crm.company_of_contacts() == {"7": None}


@pytest.mark.parametrize(("here", "there"), [(7, "7"), (7.0, 7), ("27483910200", 27483910200.0)])
def test_ids_match_in_all_spellings_of_a_number(crm: Crm, here: Any, there: Any) -> None:
    crm.run(feed(company(here), contact(1, of=there), bookmark=None))
    assert crm.company_of_contacts() == {"1": str(here).removesuffix(".0")}


def test_ids_are_compared_exactly(crm: Crm) -> None:
    long = 1234567890123456789
    crm.run(
        feed(
            company("007"), company(7), company(long), contact(1, of="007"), contact(2, of=7), contact(3, of=long)
        )
    )
    crm.run(feed(contact(4, of=str(long)), contact(5, of=long + 1)))

    assert crm.company_of_contacts() == {"1": "007", "2": "7", "3": str(long), "4": str(long)}
    ids = [each["id"] for body in crm.bodies() for each in body["data"]]
    assert ids == ["007", long, 7, long]


@pytest.mark.promise("S3")
def test_a_contact_is_on_hold_until_its_company_is_known(crm: Crm) -> None:
    run = crm.run(feed(contact(7, of=1)))
    assert (run.code, bookmark(run), run.summary["on_hold"]) == (0, 1, 1)
    assert not crm.requests()

    run = crm.run(feed(company(1), bookmark=2))
    assert crm.company_of_contacts() == {"7": "1"}
    assert run.summary["on_hold"] == 0


def test_with_detach_a_contact_is_sent_without_its_unknown_company(crm: Crm) -> None:
    crm.settings["unknown_company"] = "detach"
    crm.run(feed(contact(7, of=1)))
    assert crm.company_of_contacts() == {"7": None}
    crm.run(feed(contact(8)))
    assert crm.requests() == 2
    crm.run(feed(company(1)))
    assert crm.company_of_contacts() == {"7": "1", "8": None}


@pytest.mark.promise("S3")
def test_with_reject_a_contact_of_an_unknown_company_is_rejected(crm: Crm) -> None:
    run = crm.run(feed(contact(7, of=1)), unknown_company="reject")
    assert (run.code, bookmark(run)) == (1, 1)
    assert [line["id"] for line in crm.rejects()] == ["7"]
    assert crm.run(feed(company(1)), unknown_company="reject").code == 0
    assert crm.company_of_contacts() == {"7": "1"}


def test_a_delivered_contact_keeps_its_company_if_the_new_one_is_unknown(crm: Crm) -> None:
    crm.run(feed(company(1), contact(7, of=1)))
    crm.run(feed(contact(7, of=2)))
    assert crm.company_of_contacts() == {"7": "1"}


def test_contacts_of_a_deleted_company_have_no_company(crm: Crm) -> None:
    crm.settings["streams"] = GONE
    crm.run(feed(company(1), contact(7, of=1), contact(8, of=2), company(2, gone=True)))
    assert crm.company_of_contacts() == {"7": "1", "8": None}
    crm.run(feed(record("companies", id=1, gone=True)))
    assert crm.company_of_contacts() == {"7": None, "8": None}


@pytest.mark.parametrize("place", ["first", "last", "another run"])
def test_a_link_may_arrive_first_last_or_in_another_run(crm: Crm, place: str) -> None:
    crm.settings["streams"] = LINKS
    links = [schema("links"), link(1, 7, 1)]
    rest = [*SCHEMAS, contact(7), company(1)]
    if place == "another run":
        crm.run(rest)
        assert crm.company_of_contacts() == {"7": None}
        crm.run(links)
    else:
        crm.run([*links, *rest] if place == "first" else [*rest, *links])
    assert crm.company_of_contacts() == {"7": "1"}


@pytest.mark.parametrize(
    ("own", "links", "expected"),
    [
        (1, [], "1"),
        (None, [link(1, 7, 2)], "2"),
        (1, [link(1, 7, 2)], "1"),
        (1, [link(1, 7, 2, main=True)], "2"),
        (1, [link(1, 7, 2, main=True, gone=True)], "1"),
        (None, [link(1, 7, 2, gone=True), link(2, 7, 3)], "3"),
        (None, [link(1, 7, 3), link(2, 7, 2)], "2"),
        (None, [link(1, 7, 3), link(2, 7, 2), link(1, 7, 3)], "3"),
        (None, [link(1, 7, 3, at="2026-03-02"), link(2, 7, 2, at="2026-03-01")], "3"),
        (None, [link(1, 7, 2, at="2026-03-02"), link(1, 7, 2, at="2026-03-02", gone=True), link(2, 7, 3)], "3"),
        (None, [link(1, 7, 9), link(2, 7, 2)], "2"),
        ("gone", [link(1, 7, 2)], "2"),
        ("gone", [link(1, 7, "gone", main=True)], None),
        (None, [link(1, "7", 2.0)], "2"),
        (None, [link(1, 7, 2), link(1, 7, 3)], "3"),
    ],
)
def test_the_company_of_a_contact_with_several_links(
    crm: Crm, own: Any, links: list[Message], expected: str | None
) -> None:
    crm.settings["streams"] = {**LINKS, **GONE}
    companies = [company(number) for number in (1, 2, 3)] + [company("gone", gone=True)]
    crm.run([schema("links"), *feed(*companies, contact(7, of=own), *links)])
    assert crm.company_of_contacts() == {"7": expected}


def test_links_of_two_streams_with_the_same_id_are_two_links(crm: Crm) -> None:
    role = {"link": {"id": "id", "contact": "contact", "company": "company"}}
    crm.settings["streams"] = {"l1": role, "l2": role}
    links = [record("l1", id=1, contact=7, company=1), record("l2", id=1, contact=8, company=2)]
    crm.run([schema("l1"), schema("l2"), *feed(company(1), company(2), contact(7), contact(8), *links)])
    assert crm.company_of_contacts() == {"7": "1", "8": "2"}


def test_a_deleted_link_may_contain_its_id_only(crm: Crm) -> None:
    crm.settings["streams"] = LINKS
    crm.run([schema("links"), *feed(company(1), contact(7), link(1, 7, 1))])
    run = crm.run([schema("links"), record("links", id=1, gone=True)])
    assert run.code == 0
    assert crm.company_of_contacts() == {"7": None}


@pytest.mark.promise("S10")
def test_a_contact_keeps_its_company_if_the_column_is_missing(crm: Crm) -> None:
    inside = [{"id": 7, "name": "Eva"}]
    crm.run(feed(company(1, contacts=inside), contact(8, of=1)))
    crm.run(feed(record("contacts", id=7, name="Eva V."), record("contacts", id=8, name="Jan V.")))
    assert crm.company_of_contacts() == {"7": "1", "8": "1"}
    assert crm.contacts()["7"]["name"] == "Eva V."
    crm.run(feed(record("contacts", id=7, name="Eva V.", company_id=None)))
    assert crm.company_of_contacts() == {"7": None, "8": "1"}


def test_contacts_inside_a_company_belong_to_it(crm: Crm) -> None:
    inside = [{"id": 7, "name": "Inside", "fields": [{"key": "email", "value": ["a@example.com"]}]}]
    crm.run(feed(company(1, contacts=inside), contact(8, of=1)))
    assert crm.company_of_contacts() == {"7": "1", "8": "1"}
    assert crm.contacts()["7"]["fields"] == [{"key": "email", "value": ["a@example.com"]}]


def test_a_person_account_is_never_the_company_of_its_contact(crm: Crm) -> None:
    person = record("Account", Id="001", Name="Petra Osobová", IsPersonAccount=True, PersonContactId="003")
    rows = [person, record("Contact", Id="003", AccountId="001", LastName="Osobová", FirstName="Petra")]
    run = crm.run([schema("Account", "Id"), schema("Contact", "Id"), *rows], preset="salesforce")
    assert run.summary["on_hold"] == 0
    assert crm.company_of_contacts() == {"003": None}
    assert not crm.companies()


def _party(number: int, **more: Any) -> Message:
    return record("parties", id=number, type="person" if "organisation" in more else "organisation", **more)


@pytest.mark.promise("S6")
def test_a_company_without_a_name_gets_the_name_in_its_contacts_records(crm: Crm) -> None:
    crm.settings["preset"] = "capsule"
    crm.run([_party(1, about="first"), _party(7, firstName="Eva", organisation={"id": 1, "name": "Acme"})])
    assert crm.companies()["1"]["name"] == "Acme"
    requests = crm.requests()
    crm.run([_party(1, about="first")])
    assert crm.requests() == requests
    crm.run([_party(8, firstName="Jan", organisation={"id": 1, "name": "Acme & Co"})])
    assert crm.companies()["1"]["name"] == "Acme & Co"
    crm.run([_party(1, about="first", name="Its own")])
    assert crm.companies()["1"]["name"] == "Its own"
    crm.run([_party(9, firstName="Ota", organisation={"id": 1, "name": "Another"})])
    assert crm.companies()["1"]["name"] == "Its own"


def test_a_company_that_only_contacts_name_is_unknown(crm: Crm) -> None:
    run = crm.run([_party(7, firstName="Eva", organisation={"id": 1, "name": "Acme"})], preset="capsule")
    assert run.summary["on_hold"] == 1
    assert not crm.companies()


def test_with_unique_ids_a_contact_is_not_a_company(crm: Crm) -> None:
    rows = [
        record("contact", contactid="A1", lastname="Boss"),
        record("contact", contactid="a2", lastname="Staff", _parentcustomerid_value="a1"),
        record("contact", contactid="a3", lastname="Waits", _parentcustomerid_value="b9"),
    ]
    run = crm.run(rows, preset="dynamics365")
    assert crm.contacts()["a2"]["company"] is None
    assert run.summary["on_hold"] == 1


def test_without_unique_ids_a_company_may_have_the_id_of_a_contact(crm: Crm) -> None:
    run = crm.run(
        [record("persons", id=1, name="Eva"), record("persons", id=2, name="Jan", org_id=1)], preset="pipedrive"
    )
    assert run.summary["on_hold"] == 1


def test_a_contact_that_moves_leaves_its_old_company_without_a_deleted_link(crm: Crm) -> None:
    crm.settings["preset"] = "hubspot"
    link = {"from_id": "5", "label": "Primary", "typeId": 1}
    companies = [record("companies", id="A", name="Acme"), record("companies", id="B", name="Beta")]
    person = {"id": "5", "firstname": "Eva"}
    crm.run(
        [
            *companies,
            record("contacts_v3", **person, associatedcompanyid="A"),
            record("associations_contacts_companies", **link, to_id="A"),
        ]
    )
    assert crm.contacts()["5"]["company"] == "A"
    crm.run([record("contacts_v3", **person, associatedcompanyid="B")])
    assert crm.contacts()["5"]["company"] == "B"
    crm.run([record("contacts_v3", **person), record("associations_contacts_companies", **link, to_id="A")])
    assert crm.contacts()["5"]["company"] == "A"


COLUMNS_OF_COMPANIES: dict[str, tuple[Message, Message, dict[str, Any]]] = {
    "salesforce": (
        record("Account", Id="a", Name="Acme"),
        record("Contact", Id=1, LastName="M"),
        {"AccountId": "a"},
    ),
    "pipedrive": (
        record("organizations", id="a", name="Acme"),
        record("persons", id=1, name="M"),
        {"org_id": "a"},
    ),
    "zoho": (
        record("accounts", id="a", Account_Name="Acme"),
        record("contacts", id=1, Last_Name="M"),
        {"Account_Name": {"id": "a"}},
    ),
    "dynamics365": (
        record("account", accountid="A", name="Acme"),
        record("contact", contactid=1, lastname="M"),
        {"_accountid_value": "A"},
    ),
    "freshsales": (
        record("accounts", id="a", name="Acme"),
        record("contacts", id=1, last_name="M"),
        {"sales_account_id": "a"},
    ),
    "hubspot": (
        record("companies", id="a", name="Acme"),
        record("contacts", id=1, properties={"lastname": "M"}),
        {"companies": ["a"]},
    ),
}


@pytest.mark.promise("S10")
@pytest.mark.parametrize("preset", COLUMNS_OF_COMPANIES)
def test_a_contact_keeps_its_company_if_its_record_lacks_the_preset_s_column(crm: Crm, preset: str) -> None:
    crm.settings["preset"] = preset
    company, person, link = COLUMNS_OF_COMPANIES[preset]
    for expected, more in (("a", link), ("a", {"description": "x"}), (None, dict.fromkeys(link))):
        row = record(person["stream"], **person["record"], **more)
        assert crm.run([company, row] if more is link else [row]).code == 0
        assert crm.contacts()["1"]["company"] == expected


@pytest.mark.promise("S10")
@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        ('{"company":null}', None),
        ("", None),
        (None, None),
        ([], None),
        ({"company": None}, None),
        ({"company": []}, None),
        # No column of the company is selected.
        ({}, "1"),
        ("{}", "1"),
        ({"company": {}}, "1"),
        ({"company": "{}"}, "1"),
        ({"id": 5}, "1"),
    ],
)
def test_an_empty_object_in_place_of_a_company_is_no_information(
    crm: Crm, relation: Any, expected: str | None
) -> None:
    crm.settings["preset"] = "raynet"
    person = {"id": 7, "lastName": "Malá"}
    known = '{"company":{"id":1}}'
    crm.run([record("companies", id=1, name="Acme"), record("persons", **person, primaryRelationship=known)])
    assert crm.contacts()["7"]["company"] == "1"
    crm.run([record("persons", **person, primaryRelationship=relation)])
    assert crm.contacts()["7"]["company"] == expected


def test_a_contact_that_leaves_its_company_does_not_return_to_a_former_one(crm: Crm) -> None:
    crm.settings["preset"] = "hubspot"
    companies = [record("companies", id="A", name="Acme"), record("companies", id="B", name="Beta")]
    link = record("associations_contacts_companies", from_id="5", to_id="A", label="Primary", typeId=1)
    crm.run([*companies, record("contacts", id="5", firstname="Eva", associatedcompanyid="A"), link])
    for expected in ("B", None):
        crm.run([record("contacts", id="5", firstname="Eva", associatedcompanyid=expected)])
        assert crm.contacts()["5"]["company"] == expected


def test_a_link_to_an_unknown_company_does_not_replace_a_known_one(crm: Crm) -> None:
    crm.settings["preset"] = "activecampaign"
    crm.run(
        [
            record("accounts", id=1, name="Acme"),
            record("contacts", id=9, first_name="Eva"),
            record("account_contacts", id=1, contact=9, account=1),
        ]
    )
    run = crm.run([record("account_contacts", id=2, contact=9, account=77)])
    assert run.summary["on_hold"] == 0
    assert crm.contacts()["9"]["company"] == "1"


def _hubspot_of_singer_io(company: int | None) -> Message:
    return record("contacts", id="5", property_firstname="Eva", property_associatedcompanyid=company)


def test_the_company_in_a_hubspot_contact_counts_more_than_links_of_earlier_runs(crm: Crm) -> None:
    crm.settings["preset"] = "hubspot"
    companies = [
        record("companies", companyId=number, property_name={"value": name})
        for number, name in ((1, "A"), (2, "B"))
    ]
    link = record("contacts_by_company", **{"company-id": 1, "contact-id": 5})
    crm.run([_hubspot_of_singer_io(1), *companies, link])
    assert crm.company_of_contacts() == {"5": "1"}
    crm.run([_hubspot_of_singer_io(None)])
    assert crm.company_of_contacts() == {"5": None}
    # A link of the same run, or of a later one, is newer than the record.
    crm.run([_hubspot_of_singer_io(None), record("contacts_by_company", **{"company-id": 2, "contact-id": 5})])
    assert crm.company_of_contacts() == {"5": "2"}
    crm.run([_hubspot_of_singer_io(1)])
    assert crm.company_of_contacts() == {"5": "1"}
    crm.run([record("companies", companyId=1, property_name={"value": "A"}, archived=True)])
    assert crm.company_of_contacts() == {"5": None}


@pytest.mark.parametrize(
    ("account_contacts", "expected"), [([], None), ("[]", None), (["31"], "1"), (None, "1"), (..., "1")]
)
def test_an_active_campaign_contact_without_accounts_leaves_its_company(
    crm: Crm, account_contacts: Any, expected: str | None
) -> None:
    crm.settings["preset"] = "activecampaign"
    person: dict[str, Any] = {"id": 5, "first_name": "Eva", "orgid": 0}
    link = record("account_contacts", id=31, account=1, contact=5)
    crm.run([link, record("accounts", id=1, name="Acme"), record("contacts", **person, account_contacts=["31"])])
    assert crm.company_of_contacts() == {"5": "1"}
    more = {} if account_contacts is ... else {"account_contacts": account_contacts}
    crm.run([record("contacts", **person, **more)])
    assert crm.company_of_contacts() == {"5": expected}


def test_a_later_record_of_a_contact_with_accounts_keeps_the_links_of_earlier_runs(crm: Crm) -> None:
    crm.settings["preset"] = "activecampaign"
    person: dict[str, Any] = {"id": 5, "first_name": "Eva", "orgid": 0}
    crm.run([record("accounts", id=1, name="Acme"), record("contacts", **person, account_contacts=[])])
    crm.run([record("account_contacts", id=31, account=1, contact=5)])
    crm.run([record("contacts", **person, account_contacts=["31"])])
    assert crm.company_of_contacts() == {"5": "1"}


@pytest.mark.promise("S10")
def test_a_record_without_the_company_s_column_leaves_the_links_as_they_were(crm: Crm) -> None:
    crm.settings["streams"] = LINKS
    primary = [schema("links"), link(1, 7, 2, main=True)]
    crm.run([*primary, *feed(company(1), company(2), contact(7, of=1))])
    assert crm.company_of_contacts() == {"7": "2"}
    crm.run(feed(record("contacts", id=7, name="Eva V.")))
    assert crm.company_of_contacts() == {"7": "2"}
    assert crm.contacts()["7"]["name"] == "Eva V."
    crm.run(feed(contact(7, of=1)))
    assert crm.company_of_contacts() == {"7": "1"}
