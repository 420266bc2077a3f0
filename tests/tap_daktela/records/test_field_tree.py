from __future__ import annotations

from zoneinfo import ZoneInfo

from tap_daktela.records.field_tree import FieldTree, field_tree
from tap_daktela.streams.fields import SERVER, Field, Kind, key, relation, relations, scalar_relation, text


def _tree(*columns: Field) -> FieldTree:
    return field_tree(columns, "acme_", ZoneInfo("UTC"), local_datetimes=False)


def test_columns_are_at_the_places_of_their_values() -> None:
    tree = _tree(key("name", "Key."), text("item_clid", "Number.", "item.clid"), SERVER)
    assert [leaf.column for leaf in tree.leaves] == ["name"]
    assert [(leaf.name, leaf.column) for leaf in tree.branches["item"].leaves] == [("clid", "item_clid")]
    assert [*tree.paths()] == ["name", "item.clid"]


def test_an_object_is_a_relation_if_its_name_is_a_key() -> None:
    tree = _tree(*relation("queue", "the queue"), text("ticket_title", "Title.", "ticket.title"))
    assert tree.branches["queue"].relation == "queue"
    assert tree.branches["ticket"].relation == ""


def test_an_item_is_no_relation_but_its_relations_are() -> None:
    tree = _tree(key("item_name", "Key.", "item.name"), key("item_queue_name", "Key.", "item.queue.name"))
    assert tree.branches["item"].relation == ""
    assert tree.branches["item"].branches["queue"].relation == "item.queue"


def test_a_list_of_related_objects_is_one_value_with_two_columns() -> None:
    tree = _tree(*relations("statuses", "the statuses"))
    assert tree.lists == {"statuses": "statuses"}
    assert [(leaf.name, leaf.kind) for leaf in tree.leaves] == [("statuses", Kind.KEYS), ("statuses", Kind.TITLES)]


def test_the_path_of_a_value_that_is_also_an_object_is_that_of_the_object() -> None:
    tree = _tree(scalar_relation("survey", "Survey."), key("survey_name", "Key.", "survey.name"))
    assert [*tree.paths()] == ["survey.name"]
