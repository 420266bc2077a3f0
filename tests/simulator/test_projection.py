"""Field selection and permissions. After an edit, no response contains a stale row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.asking import by, condition, get, page, rows
from tests.simulator.generate import generate
from tests.simulator.schema import FIELDS, ITEM_TABLES, TABLES, key_of
from tests.simulator.simulator import Simulator

if TYPE_CHECKING:
    from tests.simulator.schema import Row


def row_of(simulator: Simulator, table: str, name: Any, *fields: str) -> Row:
    """Return the row with a key."""
    found = rows(simulator, table, fields=list(fields), filter=[condition(key_of(table), "eq", name)])
    assert len(found) == 1
    return found[0]


def test_only_requested_fields_are_returned(reading: Simulator) -> None:
    assert row_of(reading, "tickets", 10001, "stage") == {"stage": reading.dataset.tables["tickets"][0]["stage"]}


@pytest.mark.parametrize("table", TABLES)
def test_every_field_can_be_requested(reading: Simulator, table: str) -> None:
    found = page(reading, table, fields=list(FIELDS[table]), take=1)["data"][0]
    assert set(found) == set(FIELDS[table])


@pytest.mark.parametrize("table", TABLES)
def test_without_fields_rows_are_complete(reading: Simulator, table: str) -> None:
    rows_by_key = {row[key_of(table)]: row for row in reading.dataset.tables[table]}
    for row in page(reading, table, take=20)["data"]:
        row.pop("activities", None)
        assert row == rows_by_key[row[key_of(table)]]


def test_unknown_fields_are_ignored(reading: Simulator) -> None:
    ticket = next(row for row in reading.dataset.tables["tickets"] if row["user"])
    fields = ("name", "nonsense", "sla_notify", "user.nonsense.deep", "title.deep")
    assert row_of(reading, "tickets", ticket["name"], *fields) == {"name": ticket["name"], "user": []}


def test_unknown_fields_can_be_refused(simulator: Simulator) -> None:
    simulator.unknown_fields = "refuse"
    for field in ("nonsense", "sla_notify", "user.nonsense"):
        response = get(simulator, "tickets", fields=["name", field])
        assert response.status_code == 400
        assert field in response.json()["error"][0]
    good = ["name", "user.title", "category.sla.title", "customFields", "_sys"]
    assert get(simulator, "tickets", fields=good).status_code == 200
    assert get(simulator, "activities", fields=["item.id_call", "record.customFields.x"]).status_code == 200


def test_an_error_need_not_name_the_refused_field(simulator: Simulator) -> None:
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


def test_fields_that_are_joined_with_commas_are_not_split(reading: Simulator) -> None:
    assert len(page(reading, "tickets", fields="name,title", take=1)["data"][0]) > 40
    assert page(reading, "tickets", fields=["name,title"], take=1)["data"] == [[]]


def test_dotted_fields_return_nested_objects(reading: Simulator) -> None:
    ticket = next(row for row in reading.dataset.tables["tickets"] if row["user"])
    assert row_of(reading, "tickets", ticket["name"], "user.name", "user.title", "category.sla.name") == {
        "user": {"name": ticket["user"]["name"], "title": ticket["user"]["title"]},
        "category": {"sla": {"name": ticket["category"]["sla"]["name"]}},
    }


def test_a_field_of_a_relation_that_is_null_returns_null(simulator: Simulator) -> None:
    simulator.edit("tickets", 10001, user=None)
    assert row_of(simulator, "tickets", 10001, "user.name", "user.profile.name") == {"user": None}


def test_a_relation_that_is_requested_as_a_whole_and_in_part_is_complete(reading: Simulator) -> None:
    for fields in (("category", "category.name"), ("category.name", "category")):
        assert len(row_of(reading, "tickets", 10001, *fields)["category"]) > 10


def test_custom_fields_are_lists_and_an_empty_object_is_an_empty_list(simulator: Simulator) -> None:
    simulator.edit("tickets", 10001, customFields={"order": ["1"], "note": []})
    simulator.edit("tickets", 10002, customFields=[])
    assert row_of(simulator, "tickets", 10001, "customFields.order") == {"customFields": {"order": ["1"]}}
    assert row_of(simulator, "tickets", 10001, "customFields.other") == {"customFields": []}
    assert row_of(simulator, "tickets", 10002, "customFields.order") == {"customFields": []}


def test_lists_of_relations_are_always_complete(reading: Simulator) -> None:
    ticket = next(row for row in reading.dataset.tables["tickets"] if row["statuses"])
    statuses = row_of(reading, "tickets", ticket["name"], "statuses")["statuses"]
    assert statuses == ticket["statuses"]
    assert row_of(reading, "tickets", ticket["name"], "name", "statuses.name") == {"name": ticket["name"]}


def test_items_contain_the_requested_fields_of_their_type_and_orphans_have_none(simulator: Simulator) -> None:
    simulator.dataset.tables["activities"][0]["item"] = None
    simulator.refresh()
    for row in rows(simulator, "activities", fields=["type", "item.id_call", "item.name", "item.id_queue.name"]):
        if row["item"] is None:
            continue
        assert row["type"] in ITEM_TABLES
        assert set(row["item"]) == ({"id_call", "id_queue"} if row["type"] == "CALL" else {"name"})
    assert row_of(simulator, "activities", simulator.dataset.tables["activities"][0]["name"], "item.name") == {
        "item": None
    }


def test_activities_within_an_item_contain_a_number_in_place_of_the_item(reading: Simulator) -> None:
    email = reading.dataset.tables["activitiesEmail"][0]
    activities = row_of(reading, "activitiesEmail", email["name"], "activities")["activities"]
    expected = [row["name"] for row in reading.dataset.tables["activities"] if row["item"] is email]
    assert [row["name"] for row in activities] == expected
    assert {type(row["item"]) for row in activities} == {int}


def test_an_item_contains_its_new_activity(simulator: Simulator) -> None:
    activity = next(
        row for row in simulator.dataset.tables["activities"] if row["type"] == "EMAIL" and row["item"]
    )
    email = activity["item"]["name"]
    before = row_of(simulator, "activitiesEmail", email, "activities")["activities"]
    simulator.insert("activities", activity | {"name": "activities_second"})
    assert len(row_of(simulator, "activitiesEmail", email, "activities")["activities"]) == len(before) + 1


@pytest.mark.parametrize(("build", "has_removed_fields"), [("2021", True), ("2026", False)])
def test_only_old_builds_have_the_removed_fields(build: str, *, has_removed_fields: bool) -> None:
    tables = {name: {*table.removed, *table.removed_one} for name, table in TABLES.items()}
    with Simulator(generate(activities=300, tickets=30, build=build)) as simulator:
        for name, removed in tables.items():
            found = page(simulator, name, take=1000)["data"]
            assert found, name
            for row in found:
                assert removed & row.keys() == (removed if has_removed_fields else set()), name
        examples = {"activities": "status.name", "tickets": "isBookmarked"}
        for name, field in examples.items():
            row = page(simulator, name, fields=["name", field], take=1)["data"][0]
            assert row.keys() == ({"name", field.split(".")[0]} if has_removed_fields else {"name"})


def test_one_row_can_be_requested_by_name(reading: Simulator) -> None:
    response = get(reading, "tickets/10001", fields=["name", "stage"])
    assert response.json()["result"] == {"name": 10001, "stage": reading.dataset.tables["tickets"][0]["stage"]}
    user = next(row["name"] for row in reading.dataset.tables["users"] if "á" in row["name"])
    assert get(reading, f"users/{user}").json()["result"]["name"] == user
    missing = get(reading, "tickets/99999")
    assert (missing.status_code, missing.content) == (404, b"")


# Permissions


def test_relations_without_permission_contain_only_their_titles(simulator: Simulator) -> None:
    simulator.strip_relations = {"queue", "user"}
    fields = ["queue.name", "user.name", "contact.name"]
    for row in rows(simulator, "activities", fields=fields):
        assert row["queue"] in (None, [])
        assert row["user"] in (None, [])
    assert any(row["contact"] for row in rows(simulator, "activities", fields=fields))
    for row in page(simulator, "activities", fields=["queue", "user.title", "user.alias"])["data"]:
        assert row["queue"] is None or set(row["queue"]) == {"title"}
        assert row["user"] is None or set(row["user"]) == {"title", "alias"}


def test_other_relations_to_the_same_table_stay_complete(simulator: Simulator) -> None:
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


def test_a_list_of_users_without_permission_contains_only_titles_and_aliases(simulator: Simulator) -> None:
    simulator.strip_relations = {"followers"}
    followers = [each for row in rows(simulator, "tickets", fields=["followers"]) for each in row["followers"]]
    assert followers
    assert all(set(each) == {"title", "alias"} for each in followers)


def test_items_without_permission_are_null(simulator: Simulator) -> None:
    simulator.strip_items = {"CALL"}
    found = rows(simulator, "activities", fields=["type", "item.id_call", "item.name"])
    assert all(row["item"] is None for row in found if row["type"] == "CALL")
    assert any(row["item"] for row in found if row["type"] == "EMAIL")


def test_restrictions_do_not_change_the_data_of_the_server(simulator: Simulator) -> None:
    simulator.strip_relations, simulator.strip_items = {"queue", "item.queue"}, {"CALL"}
    rows(simulator, "activities")
    simulator.strip_relations, simulator.strip_items = set(), set()
    found = rows(simulator, "activities", fields=["queue.name", "item.id_call", "item.queue.name"])
    assert any(row["queue"] for row in found)
    assert any("id_call" in row["item"] for row in found if row["item"])
    assert any(row["item"]["queue"] for row in found if row["item"] and "queue" in row["item"])


# Edits


def test_an_edit_changes_the_row_and_all_rows_that_embed_it(simulator: Simulator) -> None:
    activity = next(row for row in simulator.dataset.tables["activities"] if row["ticket"] and row["user"])
    name, ticket, user = activity["name"], activity["ticket"]["name"], activity["user"]["name"]
    fields = ("title", "ticket.title", "user.title", "ticket.category.title")
    row_of(simulator, "activities", name, *fields)
    simulator.edit("activities", name, title="A")
    simulator.edit("tickets", ticket, title="B")
    simulator.edit("users", user, title="C")
    simulator.edit("ticketsCategories", activity["ticket"]["category"]["name"], title="D")
    assert row_of(simulator, "activities", name, *fields) == {
        "title": "A",
        "ticket": {"title": "B", "category": {"title": "D"}},
        "user": {"title": "C"},
    }


def test_an_edit_changes_items_and_complete_relations(simulator: Simulator) -> None:
    activity = next(row for row in simulator.dataset.tables["activities"] if row["type"] == "CALL" and row["item"])
    name, call = activity["name"], activity["item"]["id_call"]
    fields = ("item.duration", "item", "statuses", "created_by")
    simulator.edit("activities", name, statuses=[simulator.dataset.tables["statuses"][0]])
    row_of(simulator, "activities", name, *fields)
    simulator.edit("activitiesCall", call, duration=4711)
    simulator.edit("statuses", simulator.dataset.tables["statuses"][0]["name"], title="renamed")
    found = row_of(simulator, "activities", name, *fields)
    assert found["item"]["duration"] == 4711
    assert found["statuses"][0]["title"] == "renamed"


def test_rows_are_inserted_and_removed(simulator: Simulator) -> None:
    template = dict(simulator.dataset.tables["templates"][0], name="templates_new")
    parameters: dict[str, Any] = {"fields": ["name"], "sort": by("name")}
    rows(simulator, "templates", **parameters)
    simulator.insert("templates", template)
    assert {"name": "templates_new"} in rows(simulator, "templates", **parameters)
    simulator.remove("templates", "templates_new")
    assert {"name": "templates_new"} not in rows(simulator, "templates", **parameters)


def test_rows_that_a_test_changed_directly_are_served_after_a_refresh(simulator: Simulator) -> None:
    parameters: dict[str, Any] = {"fields": ["name", "title"], "sort": by("name"), "take": 1}
    rows(simulator, "groups", **parameters)
    simulator.dataset.tables["groups"][0] |= {"title": "outside", "name": "groups_"}
    simulator.refresh()
    assert rows(simulator, "groups", **parameters) == [{"name": "groups_", "title": "outside"}]
