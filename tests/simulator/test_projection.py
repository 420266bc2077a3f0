"""Field selection, permissions, and no stale encoded row after an edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.asking import by, condition, get, page, rows
from tests.simulator.generate import generate
from tests.simulator.schema import FIELDS, ITEM_TABLES, TABLES, key_of
from tests.simulator.simulator import Simulator

if TYPE_CHECKING:
    from tests.simulator.schema import Row


def one(simulator: Simulator, table: str, name: Any, *fields: str) -> Row:
    found = rows(simulator, table, fields=list(fields), filter=[condition(key_of(table), "eq", name)])
    assert len(found) == 1
    return found[0]


def test_only_requested_fields_are_returned(reading: Simulator) -> None:
    assert one(reading, "tickets", 10001, "stage") == {"stage": reading.dataset.tables["tickets"][0]["stage"]}


@pytest.mark.parametrize("table", TABLES)
def test_every_field_can_be_requested(reading: Simulator, table: str) -> None:
    found = page(reading, table, fields=list(FIELDS[table]), take=1)["data"][0]
    assert set(found) == set(FIELDS[table])


@pytest.mark.parametrize("table", TABLES)
def test_without_fields_rows_are_complete(reading: Simulator, table: str) -> None:
    rows_held = {row[key_of(table)]: row for row in reading.dataset.tables[table]}
    for row in page(reading, table, take=20)["data"]:
        row.pop("activities", None)
        assert row == rows_held[row[key_of(table)]]


def test_unknown_fields_are_silently_absent(reading: Simulator) -> None:
    ticket = next(row for row in reading.dataset.tables["tickets"] if row["user"])
    fields = ("name", "nonsense", "sla_notify", "user.nonsense.deep", "title.deep")
    assert one(reading, "tickets", ticket["name"], *fields) == {"name": ticket["name"], "user": []}


def test_unknown_fields_can_be_refused(simulator: Simulator) -> None:
    simulator.unknown_fields = "refuse"
    for field in ("nonsense", "sla_notify", "user.nonsense"):
        response = get(simulator, "tickets", fields=["name", field])
        assert response.status_code == 400
        assert field in response.json()["error"][0]
    good = ["name", "user.title", "category.sla.title", "customFields", "_sys"]
    assert get(simulator, "tickets", fields=good).status_code == 200
    assert get(simulator, "activities", fields=["item.id_call", "record.customFields.x"]).status_code == 200


def test_some_fields_can_be_refused_without_naming_them(simulator: Simulator) -> None:
    simulator.refused_fields = {"user.title", "stage"}
    for field in simulator.refused_fields:
        response = get(simulator, "tickets", fields=["name", field])
        assert response.status_code == 400
        assert response.json()["error"] == ["Neplatný požadavek"]
    assert get(simulator, "tickets", fields=["name", "user", "user.name"]).status_code == 200


def test_the_number_of_fields_can_be_limited(simulator: Simulator) -> None:
    simulator.field_limit = 2
    assert get(simulator, "tickets", fields=["name", "title"]).status_code == 200
    assert get(simulator, "tickets", fields=["name", "title", "stage"]).status_code == 400


def test_the_length_of_urls_can_be_limited(simulator: Simulator) -> None:
    simulator.url_limit = 300
    assert get(simulator, "tickets", fields=["name"]).status_code == 200
    response = get(simulator, "tickets", fields=["x" * 300])
    assert response.status_code == 414
    assert response.text.startswith("<html>")


def test_comma_joined_fields_are_not_understood(reading: Simulator) -> None:
    assert len(page(reading, "tickets", fields="name,title", take=1)["data"][0]) > 40
    assert page(reading, "tickets", fields=["name,title"], take=1)["data"] == [[]]


def test_dotted_fields_are_nested_objects(reading: Simulator) -> None:
    ticket = next(row for row in reading.dataset.tables["tickets"] if row["user"])
    assert one(reading, "tickets", ticket["name"], "user.name", "user.title", "category.sla.name") == {
        "user": {"name": ticket["user"]["name"], "title": ticket["user"]["title"]},
        "category": {"sla": {"name": ticket["category"]["sla"]["name"]}},
    }


def test_a_path_through_null_is_null(simulator: Simulator) -> None:
    simulator.edit("tickets", 10001, user=None)
    assert one(simulator, "tickets", 10001, "user.name", "user.profile.name") == {"user": None}


def test_a_relation_requested_whole_and_in_part_is_whole(reading: Simulator) -> None:
    for fields in (("category", "category.name"), ("category.name", "category")):
        assert len(one(reading, "tickets", 10001, *fields)["category"]) > 10


def test_custom_fields_are_lists_and_empty_ones_are_php_arrays(simulator: Simulator) -> None:
    simulator.edit("tickets", 10001, customFields={"order": ["1"], "note": []})
    simulator.edit("tickets", 10002, customFields=[])
    assert one(simulator, "tickets", 10001, "customFields.order") == {"customFields": {"order": ["1"]}}
    assert one(simulator, "tickets", 10001, "customFields.other") == {"customFields": []}
    assert one(simulator, "tickets", 10002, "customFields.order") == {"customFields": []}


def test_lists_of_relations_are_always_complete(reading: Simulator) -> None:
    ticket = next(row for row in reading.dataset.tables["tickets"] if row["statuses"])
    statuses = one(reading, "tickets", ticket["name"], "statuses")["statuses"]
    assert statuses == ticket["statuses"]
    assert one(reading, "tickets", ticket["name"], "name", "statuses.name") == {"name": ticket["name"]}


def test_parts_of_items_come_for_their_type_and_null_for_orphans(simulator: Simulator) -> None:
    simulator.dataset.tables["activities"][0]["item"] = None
    simulator.refresh()
    for row in rows(simulator, "activities", fields=["type", "item.id_call", "item.name", "item.id_queue.name"]):
        if row["item"] is None:
            continue
        assert row["type"] in ITEM_TABLES
        assert set(row["item"]) == ({"id_call", "id_queue"} if row["type"] == "CALL" else {"name"})
    assert one(simulator, "activities", simulator.dataset.tables["activities"][0]["name"], "item.name") == {
        "item": None
    }


def test_items_know_their_activities_without_their_items(reading: Simulator) -> None:
    email = reading.dataset.tables["activitiesEmail"][0]
    activities = one(reading, "activitiesEmail", email["name"], "activities")["activities"]
    owners = [row["name"] for row in reading.dataset.tables["activities"] if row["item"] is email]
    assert [row["name"] for row in activities] == owners
    assert {type(row["item"]) for row in activities} == {int}


def test_a_new_activity_shows_in_its_item(simulator: Simulator) -> None:
    activity = next(
        row for row in simulator.dataset.tables["activities"] if row["type"] == "EMAIL" and row["item"]
    )
    email = activity["item"]["name"]
    before = one(simulator, "activitiesEmail", email, "activities")["activities"]
    simulator.insert("activities", activity | {"name": "activities_second"})
    assert len(one(simulator, "activitiesEmail", email, "activities")["activities"]) == len(before) + 1


@pytest.mark.parametrize(("build", "has_gone_fields"), [("2021", True), ("2026", False)])
def test_gone_fields_come_from_old_builds_only(build: str, *, has_gone_fields: bool) -> None:
    tables = {name: {*table.gone, *table.gone_one} for name, table in TABLES.items()}
    with Simulator(generate(activities=300, tickets=30, build=build)) as simulator:
        for name, gone in tables.items():
            found = page(simulator, name, take=1000)["data"]
            assert found, name
            for row in found:
                assert gone & row.keys() == (gone if has_gone_fields else set()), name
        asked = {"activities": "status.name", "tickets": "isBookmarked"}
        for name, field in asked.items():
            row = page(simulator, name, fields=["name", field], take=1)["data"][0]
            assert row.keys() == ({"name", field.split(".")[0]} if has_gone_fields else {"name"})


def test_one_row_can_be_requested_by_name(reading: Simulator) -> None:
    response = get(reading, "tickets/10001", fields=["name", "stage"])
    assert response.json()["result"] == {"name": 10001, "stage": reading.dataset.tables["tickets"][0]["stage"]}
    user = next(row["name"] for row in reading.dataset.tables["users"] if "á" in row["name"])
    assert get(reading, f"users/{user}").json()["result"]["name"] == user
    missing = get(reading, "tickets/99999")
    assert (missing.status_code, missing.content) == (404, b"")


# Rights


def test_relations_without_rights_shrink_to_their_titles(simulator: Simulator) -> None:
    simulator.strip_relations = {"queue", "user"}
    fields = ["queue.name", "user.name", "contact.name"]
    for row in rows(simulator, "activities", fields=fields):
        assert row["queue"] in (None, [])
        assert row["user"] in (None, [])
    assert any(row["contact"] for row in rows(simulator, "activities", fields=fields))
    for row in page(simulator, "activities", fields=["queue", "user.title", "user.alias"])["data"]:
        assert row["queue"] is None or set(row["queue"]) == {"title"}
        assert row["user"] is None or set(row["user"]) == {"title", "alias"}


def test_other_copies_of_a_stripped_relation_stay_whole(simulator: Simulator) -> None:
    simulator.strip_relations = {"queue"}
    calls = [condition("type", "eq", "CALL"), condition("item", "isnotnull"), condition("queue", "isnotnull")]
    row = rows(simulator, "activities", fields=["queue.name", "item.id_queue.name"], filter=calls)[0]
    assert row["queue"] == []
    assert row["item"]["id_queue"]["name"] > 1000
    simulator.strip_relations = {"item.id_queue"}
    row = rows(simulator, "activities", fields=["queue.name", "item.id_queue.name", "item.id_call"], filter=calls)[
        0
    ]
    assert row["queue"]["name"] > 1000
    assert row["item"]["id_queue"] == []
    assert row["item"]["id_call"]


def test_followers_shrink_to_their_titles_too(simulator: Simulator) -> None:
    simulator.strip_relations = {"followers"}
    followers = [each for row in rows(simulator, "tickets", fields=["followers"]) for each in row["followers"]]
    assert followers
    assert all(set(each) == {"title", "alias"} for each in followers)


def test_items_without_rights_are_null(simulator: Simulator) -> None:
    simulator.strip_items = {"CALL"}
    found = rows(simulator, "activities", fields=["type", "item.id_call", "item.name"])
    assert all(row["item"] is None for row in found if row["type"] == "CALL")
    assert any(row["item"] for row in found if row["type"] == "EMAIL")


def test_rights_do_not_change_what_the_server_holds(simulator: Simulator) -> None:
    simulator.strip_relations, simulator.strip_items = {"queue", "item.queue"}, {"CALL"}
    rows(simulator, "activities")
    simulator.strip_relations, simulator.strip_items = set(), set()
    found = rows(simulator, "activities", fields=["queue.name", "item.id_call", "item.queue.name"])
    assert any(row["queue"] for row in found)
    assert any("id_call" in row["item"] for row in found if row["item"])
    assert any(row["item"]["queue"] for row in found if row["item"] and "queue" in row["item"])


# Nothing stale


def test_an_edit_shows_in_the_row_and_wherever_it_is_embedded(simulator: Simulator) -> None:
    activity = next(row for row in simulator.dataset.tables["activities"] if row["ticket"] and row["user"])
    name, ticket, user = activity["name"], activity["ticket"]["name"], activity["user"]["name"]
    fields = ("title", "ticket.title", "user.title", "ticket.category.title")
    one(simulator, "activities", name, *fields)
    simulator.edit("activities", name, title="A")
    simulator.edit("tickets", ticket, title="B")
    simulator.edit("users", user, title="C")
    simulator.edit("ticketsCategories", activity["ticket"]["category"]["name"], title="D")
    assert one(simulator, "activities", name, *fields) == {
        "title": "A",
        "ticket": {"title": "B", "category": {"title": "D"}},
        "user": {"title": "C"},
    }


def test_an_edit_shows_in_items_and_in_whole_relations(simulator: Simulator) -> None:
    activity = next(row for row in simulator.dataset.tables["activities"] if row["type"] == "CALL" and row["item"])
    name, call = activity["name"], activity["item"]["id_call"]
    fields = ("item.duration", "item", "statuses", "created_by")
    simulator.edit("activities", name, statuses=[simulator.dataset.tables["statuses"][0]])
    one(simulator, "activities", name, *fields)
    simulator.edit("activitiesCall", call, duration=4711)
    simulator.edit("statuses", simulator.dataset.tables["statuses"][0]["name"], title="renamed")
    found = one(simulator, "activities", name, *fields)
    assert found["item"]["duration"] == 4711
    assert found["statuses"][0]["title"] == "renamed"


def test_rows_are_inserted_and_removed(simulator: Simulator) -> None:
    template = dict(simulator.dataset.tables["templates"][0], name="templates_new")
    asked: dict[str, Any] = {"fields": ["name"], "sort": by("name")}
    rows(simulator, "templates", **asked)
    simulator.insert("templates", template)
    assert {"name": "templates_new"} in rows(simulator, "templates", **asked)
    simulator.remove("templates", "templates_new")
    assert {"name": "templates_new"} not in rows(simulator, "templates", **asked)


def test_rows_changed_from_outside_are_served_after_a_refresh(simulator: Simulator) -> None:
    asked: dict[str, Any] = {"fields": ["name", "title"], "sort": by("name"), "take": 1}
    rows(simulator, "groups", **asked)
    simulator.dataset.tables["groups"][0] |= {"title": "outside", "name": "groups_"}
    simulator.refresh()
    assert rows(simulator, "groups", **asked) == [{"name": "groups_", "title": "outside"}]
