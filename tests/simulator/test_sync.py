"""The CRM sync: valid and invalid loads, and their effects on companies and contacts."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.simulator.asking import TIMEOUT, get
from tests.simulator.dataset import Dataset
from tests.simulator.faults import Fault
from tests.simulator.load import LoadError, read_load
from tests.simulator.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PATH = "/custom/crm/sync.php"

AS_PRINTED = """
{
  "data":
    [{
      "id": 1,
      "name": "Ledvina a syn, s.r.o.",
      "description": "test description",
      "fields": [
        {"key": "number", "value": ["700000001", "700000002"]},
        {"key": "email", "value": ["obchod@example.com"]}
      ],
      "contacts": [{
        "id": 2,
        "name": "Žofie Ledvinová",
        "firstname": "Žofie",
        "lastname": "Ledvinová",
        "description": "test contact description",
        "fields": [
          {"key": "number", "value": ["700000001"]},
          {"key": "email", "value": ["zofie@example.com"]}
        ]
      }
    ]
  },
  {
    "id": null,
    "name": null,
    "description": null,
    "contacts": [{
      "id": 3,
      "name": "Kryštof Bezejmenný",
      "firstname": "Kryštof",
      "lastname": "Bezejmenný",
      "description": "test contact description",
      "fields": [
        {"key": "number", "value": ["700000003"]},
        {"key": "email", "value": ["krystof@example.com"]}
      ]
    }
  ]
},
  "delete": false
}
"""
"""The structure of the example in the white paper, with other people. The `]` at the end of `data` is missing."""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Return an instance without rows, since the sync needs none."""
    with Simulator(Dataset()) as running:
        yield running


def contact(key: Any, **more: Any) -> dict[str, Any]:
    names = {"name": "Ota Vrba", "firstname": "Ota", "lastname": "Vrba", "description": None}
    return {"id": key, **names, "fields": [{"key": "number", "value": ["700000009"]}], **more}


def company(key: Any, *contacts: Any, **more: Any) -> dict[str, Any]:
    return {"id": key, "name": "Vrba a.s.", "description": None, "fields": [], "contacts": list(contacts), **more}


def nobody(*contacts: Any) -> dict[str, Any]:
    return {"id": None, "name": None, "description": None, "contacts": list(contacts)}


def without(entry: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != key}


def post(simulator: Simulator, body: bytes | Iterable[bytes], path: str = PATH) -> requests.Response:
    headers = {"X-AUTH-TOKEN": simulator.access_token, "Content-Type": "application/json"}
    return requests.post(simulator.url + path, data=body, headers=headers, timeout=TIMEOUT)


def load(*companies: Any, **more: Any) -> bytes:
    return json.dumps({"data": list(companies), **more}).encode()


def send(simulator: Simulator, *companies: Any, **more: Any) -> None:
    response = post(simulator, load(*companies, **more))
    assert response.status_code == 200, response.text
    assert response.json()["error"] == []


def people(simulator: Simulator) -> dict[str, Any]:
    """Return the company of each contact."""
    return {key: each["company"] for key, each in simulator.crm.contacts.items()}


# Who may ask


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_405_with_an_empty_body(simulator: Simulator, method: str) -> None:
    response = requests.request(method, simulator.url + PATH, data=load(company(1)), timeout=TIMEOUT)
    assert (response.status_code, response.content) == (405, b"")
    assert simulator.requests[0].endpoint == "sync"
    assert simulator.crm.companies == {}


def test_without_a_valid_token_no_load_is_accepted(simulator: Simulator) -> None:
    for headers in ({}, {"X-AUTH-TOKEN": "wrong"}):
        response = requests.post(simulator.url + PATH, data=load(company(1)), headers=headers, timeout=TIMEOUT)
        assert (response.status_code, response.content) == (401, b"")
    assert simulator.crm.companies == {}


def test_it_can_be_forbidden_or_missing(simulator: Simulator) -> None:
    simulator.forbidden = {"sync"}
    first = post(simulator, load(company(1)))
    simulator.forbidden, simulator.missing = set(), {"sync"}
    second = post(simulator, load(company(1)))
    assert [(each.status_code, each.content) for each in (first, second)] == [(403, b""), (404, b"")]
    assert simulator.crm.companies == {}


def test_its_path_is_an_option() -> None:
    with Simulator(Dataset(), sync_path="/custom/sf/sync.php", prefix="/daktela") as simulator:
        assert post(simulator, load(company(1)), "/custom/sf/sync.php").status_code == 200
        assert post(simulator, load(company(2))).status_code == 404
        simulator.url = simulator.url.removesuffix("/daktela")
        assert post(simulator, load(company(3)), "/custom/sf/sync.php").status_code == 404
        assert list(simulator.crm.companies) == ["1"]
        assert [each.endpoint for each in simulator.requests] == ["sync", "", ""]


def test_its_name_is_not_a_path(simulator: Simulator) -> None:
    simulator.prefix = "/daktela"
    assert post(simulator, load(company(1)), "/daktelasync").status_code == 404
    assert simulator.crm.companies == {}


# What is taken


def test_the_example_is_accepted_with_the_missing_bracket(simulator: Simulator) -> None:
    refused = post(simulator, AS_PRINTED.encode())
    assert (refused.status_code, refused.json()["error"]) == (400, {"primary": ["is not JSON"]})
    assert simulator.crm.companies == {}
    repaired = AS_PRINTED.replace('},\n  "delete"', '}],\n  "delete"')
    assert post(simulator, repaired.encode()).status_code == 200
    assert simulator.crm.companies == {
        "1": {
            "id": 1,
            "name": "Ledvina a syn, s.r.o.",
            "description": "test description",
            "fields": [
                {"key": "number", "value": ["700000001", "700000002"]},
                {"key": "email", "value": ["obchod@example.com"]},
            ],
        },
    }
    assert people(simulator) == {"2": "1", "3": None}
    assert simulator.crm.contacts["3"] == {
        "id": 3,
        "name": "Kryštof Bezejmenný",
        "firstname": "Kryštof",
        "lastname": "Bezejmenný",
        "description": "test contact description",
        "fields": [
            {"key": "number", "value": ["700000003"]},
            {"key": "email", "value": ["krystof@example.com"]},
        ],
        "company": None,
    }


@pytest.mark.parametrize(
    "companies",
    [
        [],
        [company("003-A"), company(-7), company(2**63 - 1), company("ž")],
        [without(company(1), "fields")],
        [company(1, name=None), company(2, name="", description="")],
        [company(1, fields=[{"key": "x", "value": []}, {"key": "y", "value": ["", "👩‍👩‍👧"]}])],
        [nobody(contact(1)), nobody(contact(2)), nobody()],
        [nobody() | {"fields": []}],
        [company(1, contact(1))],
        [company(1, contact("1", name=None, firstname=None, lastname=None, fields=[]))],
        [company("07"), company("7"), company("7.0")],
    ],
)
def test_valid_loads_are_accepted(simulator: Simulator, companies: list[Any]) -> None:
    send(simulator, *companies)
    assert simulator.crm.accepted == [{"data": companies}]


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""]
)
def test_the_content_type_does_not_matter(simulator: Simulator, content_type: str) -> None:
    headers = {"X-AUTH-TOKEN": simulator.access_token, "Content-Type": content_type}
    response = requests.post(simulator.url + PATH, data=load(company(1)), headers=headers, timeout=TIMEOUT)
    assert response.status_code == 200
    assert simulator.requests[0].body_keys == ["data"]


# What is refused

FIELD = {"key": "email", "value": ["a@example.com"]}

WRONG_BODIES = {
    "nothing": b"",
    "blanks": b" \n",
    "not JSON": b"{'data': []}",
    "cut": load(company(1))[:-1],
    "two of them": load() * 2,
    "a comma too much": b'{"data": [],}',
    "a list": b"[]",
    "null": b"null",
    "a byte order mark": b"\xef\xbb\xbf" + load(),
    "UTF-16": json.dumps({"data": []}).encode("utf-16"),
    "UTF-16 without a mark": json.dumps({"data": []}).encode("utf-16-le"),
    "half a character": load(company(1, name="ab")).replace(b"ab", b"\xc5"),
    "Latin-1": '{"data": [], "delete": "ž"}'.encode("cp1250"),
    "NaN": b'{"data": [], "delete": NaN}',
    "endless brackets": b'{"data": ' + b"[" * 100_000,
    "a number without end": b'{"data": ' + b"9" * 5000 + b"}",
    "a raw control character": load(company(1, name="x")).replace(b'"x"', b'"\x01"'),
    "a form": b"data=%5B%5D",
    "data twice": b'{"data": [], "data": []}',
    "an id twice": load(company(1)).replace(b'"id": 1', b'"id": 1, "id": 1'),
    "a field's key twice": load(company(1, fields=[FIELD])).replace(b'"key"', b'"key": "email", "key"'),
}


@pytest.mark.parametrize("body", WRONG_BODIES.values(), ids=WRONG_BODIES)
def test_a_body_that_is_not_one_json_object_is_refused(simulator: Simulator, body: bytes) -> None:
    simulator.crm.seed([company(1, contact(1))])
    before = simulator.crm.snapshot()
    response = post(simulator, body)
    assert response.status_code == 400
    content = response.json()
    assert (list(content["error"] or ()), content["result"]) in ((["primary"], None), (["form"], None))
    assert simulator.crm.snapshot() == before
    assert simulator.requests[0].facts["applied"] is False


NO_TEXT: tuple[Any, ...] = (1, True, ["x"], {}, "a\0b", "\ud800", "\udfff")
NO_ID: tuple[Any, ...] = ("", True, False, 1.0, 1.5, [], {}, "a\0", "\ud800", 2**63, -(2**63) - 1)
NO_LIST: tuple[Any, ...] = (None, {}, "x", 1, {"email": ["x"]})
NO_OBJECT: tuple[Any, ...] = (None, [], "x", 1)
NO_FIELD: tuple[Any, ...] = (*NO_OBJECT, {**FIELD, "x": 1}, {"key": "x"}, {"value": []})
NO_BOOLEAN: tuple[Any, ...] = (None, "true", "false", 0, 1, [], {})
NO_KEY = ("", None, 1, ["email"], "\0", "\udc00")
NO_TEXTS = (*NO_LIST, [1], [None], ["x", True], [["x"]], ["\0"], ["\ud800"])
NAMES = ("name", "firstname", "lastname", "description")


def wrong(place: str, make: Callable[[Any], Any], values: Iterable[Any]) -> list[tuple[str, Any]]:
    """Return loads with one company each, all invalid at the same place."""
    return [(place, {"data": [make(value)]}) for value in values]


def named(key: str) -> Callable[[Any], Any]:
    return lambda value: nobody(contact(1, **{key: value}))


WRONG_LOADS: list[tuple[str, Any]] = [
    ("", {}),
    ("", {"delete": True}),
    ("", {"data": [], "deleted": True}),
    ("", {"data": [], "x": 1}),
    *(("delete", {"data": [], "delete": value}) for value in NO_BOOLEAN),
    *(("data", {"data": value}) for value in (*NO_LIST, {"0": company(1)})),
    *wrong("data.0", lambda value: value, NO_OBJECT),
    *wrong("data.0", lambda key: without(company(1), key), ("id", "name", "description", "contacts")),
    *wrong("data.0", lambda key: company(1, **{key: None}), ("Id", "firstname", "account", "customFields")),
    *wrong("data.0.id", company, NO_ID),
    *wrong("data.0.name", lambda value: company(1, name=value), NO_TEXT),
    *wrong("data.0.description", lambda value: company(1, description=value), NO_TEXT),
    *wrong("data.0.name", lambda value: nobody() | {"name": value}, ("", "x", 1)),
    *wrong("data.0.description", lambda value: nobody() | {"description": value}, ("", "x", 1)),
    *wrong("data.0.fields", lambda value: company(1, fields=value), NO_LIST),
    *wrong("data.0.fields", lambda value: nobody() | {"fields": value}, NO_LIST),
    *wrong("data.0.fields.1", lambda value: company(1, fields=[FIELD, value]), NO_FIELD),
    *wrong("data.0.fields.0.key", lambda value: company(1, fields=[FIELD | {"key": value}]), NO_KEY),
    *wrong("data.0.fields.0.value", lambda value: company(1, fields=[FIELD | {"value": value}]), NO_TEXTS),
    *wrong("data.0.contacts", lambda value: company(1) | {"contacts": value}, NO_LIST),
    *wrong("data.0.contacts.1", lambda value: company(1, contact(1), value), NO_OBJECT),
    *wrong("data.0.contacts.0", lambda key: nobody(without(contact(1), key)), contact(1)),
    *wrong("data.0.contacts.0", lambda key: nobody(contact(1, **{key: None})), ("company", "contacts", "ID")),
    *wrong("data.0.contacts.0.id", lambda value: nobody(contact(value)), (*NO_ID, None)),
    *(each for key in NAMES for each in wrong(f"data.0.contacts.0.{key}", named(key), NO_TEXT)),
    *wrong("data.0.contacts.0.fields", lambda value: nobody(contact(1, fields=value)), NO_LIST),
    *wrong("data.0.contacts.0.fields.0", lambda value: nobody(contact(1, fields=[value])), NO_FIELD),
    # The same ids, compared as texts.
    ("data.1.id", {"data": [company(7), company("7")]}),
    ("data.2.id", {"data": [company(7), nobody(), company(7)]}),
    ("data.0.contacts.1.id", {"data": [company(1, contact(7), contact(7))]}),
    ("data.1.contacts.0.id", {"data": [company(1, contact(7)), nobody(contact("7"))]}),
    ("data.1.contacts.0.id", {"data": [nobody(contact("7")), nobody(contact(7))]}),
]


@pytest.mark.parametrize(("place", "content"), WRONG_LOADS)
def test_a_load_of_another_shape_is_refused(place: str, content: Any) -> None:
    with pytest.raises(LoadError) as refusal:
        read_load(json.dumps(content).encode())
    assert refusal.value.place == place


def test_a_refusal_is_an_envelope_with_the_place(simulator: Simulator) -> None:
    response = post(simulator, load(company(1, contact(1)), company(2, contact(2, name=5))))
    assert response.status_code == 400
    assert response.headers["Content-Type"].startswith("application/json")
    place = "data.1.contacts.0.name"
    assert (response.json()["error"], response.json()["result"]) == (
        {"form": {place: "must be a text or null"}},
        None,
    )
    assert simulator.requests[0].facts == {"applied": False, "refusal": f"{place}: must be a text or null"}


def test_a_refused_load_has_no_effect(simulator: Simulator) -> None:
    send(simulator, company(1, contact(1)), nobody(contact(2)))
    before, counts = simulator.crm.snapshot(), simulator.crm.described()["counts"]
    body = load(company(1, contact(2), name="New"), company(3, contact(3), contact(3)), delete=True)
    assert post(simulator, body).status_code == 400
    assert simulator.crm.snapshot() == before
    assert len(simulator.crm.accepted) == 1
    assert simulator.crm.described()["counts"] == counts | {"largest": len(body)}


# Size


def test_the_limit_is_in_bytes_not_in_characters(simulator: Simulator) -> None:
    body = json.dumps({"data": [company(1, name="ž" * 100)]}, ensure_ascii=False).encode()
    assert len(body) > len(body.decode()) + 90
    simulator.sync_limit = len(body)
    assert post(simulator, body).status_code == 200
    simulator.sync_limit = len(body) - 1
    refused = post(simulator, body)
    assert refused.status_code == 413
    assert refused.headers["Content-Type"].startswith("text/html")
    assert "<h1>413 Request Entity Too Large</h1>" in refused.text
    assert simulator.crm.counts.requests == 1


def test_the_limit_is_checked_before_the_token(simulator: Simulator) -> None:
    simulator.sync_limit = 3
    assert requests.post(simulator.url + PATH, data=b"1234", timeout=TIMEOUT).status_code == 413
    assert requests.post(simulator.url + PATH, data=b"123", timeout=TIMEOUT).status_code == 401


def test_twenty_million_bytes_are_read_at_once(simulator: Simulator) -> None:
    body = load(company(1, description="x" * 19_000_000))
    body += b" " * (20_000_000 - len(body))
    started = time.monotonic()
    assert post(simulator, body).status_code == 200
    assert post(simulator, body + b" ").status_code == 413
    assert time.monotonic() - started < 5
    assert [each.body_bytes for each in simulator.requests] == [20_000_000, 20_000_001]
    assert simulator.crm.counts.largest == 20_000_001
    assert len(simulator.crm.companies["1"]["description"]) == 19_000_000


# How a body may arrive


def speak(simulator: Simulator, *parts: bytes) -> bytes:
    """Send bytes part by part, and return the response to each part."""
    with socket.create_connection(("127.0.0.1", int(simulator.url.rpartition(":")[2])), timeout=TIMEOUT) as line:
        answers = b""
        for part in parts:
            line.sendall(part)
            answers += line.recv(65536)
        return answers


def head(simulator: Simulator, *lines: str) -> bytes:
    token = f"X-AUTH-TOKEN: {simulator.access_token}"
    return "\r\n".join([f"POST {PATH} HTTP/1.1", "Host: x", token, *lines, "", ""]).encode()


def test_expect_100_continue_is_answered(simulator: Simulator) -> None:
    body = load(company(1))
    start = head(simulator, "Expect: 100-continue", f"Content-Length: {len(body)}")
    answers = speak(simulator, start, body)
    assert answers.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert list(simulator.crm.companies) == ["1"]


def test_a_body_may_come_in_chunks(simulator: Simulator) -> None:
    body = load(company(1, contact(2)))
    assert post(simulator, iter([body[:10], body[10:11], body[11:]])).status_code == 200
    assert simulator.requests[0].headers["transfer-encoding"] == "chunked"
    assert simulator.requests[0].body_bytes == len(body)
    assert people(simulator) == {"2": "1"}
    simulator.sync_limit = len(body) - 1
    assert post(simulator, iter([body])).status_code == 413


def test_the_connection_stays_open_after_a_chunked_body(simulator: Simulator) -> None:
    chunks = b'b;name="x"\r\n{"data": []\r\n01\r\n}\r\n0\r\nTrailer: x\r\n\r\n'
    start = head(simulator, "Transfer-Encoding: chunked")
    answers = speak(simulator, start + chunks, start + chunks)
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert [each.body for each in simulator.requests] == [b'{"data": []}'] * 2


@pytest.mark.parametrize(
    ("line", "body", "status"),
    [
        ("Transfer-Encoding: gzip, chunked", b"", 501),
        ("Transfer-Encoding: chunked", b"-2\r\n{}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked", b"0x2\r\n{}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked", b"2\r\n{}{}0\r\n\r\n", 400),
        ("Content-Length: -1", b"", 400),
        ("Content-Length: ten", b"", 400),
    ],
)
def test_a_body_without_an_end_ends_the_connection(
    simulator: Simulator, line: str, body: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", int(simulator.url.rpartition(":")[2])), timeout=TIMEOUT) as broken:
        broken.sendall(head(simulator, line) + body)
        assert broken.recv(65536).startswith(b"HTTP/1.1 %d " % status)
        assert broken.recv(65536) == b""
    assert simulator.requests == []


@pytest.mark.parametrize("line", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_an_incomplete_request_has_no_effect(simulator: Simulator, line: str) -> None:
    with socket.create_connection(("127.0.0.1", int(simulator.url.rpartition(":")[2])), timeout=TIMEOUT) as half:
        half.sendall(head(simulator, line) + b'C\r\n{"data": []}')
        half.shutdown(socket.SHUT_WR)
        assert half.recv(10) == b""
    assert simulator.requests == []
    assert simulator.crm.counts.requests == 0


# What it does


def test_contacts_are_added_and_updated(simulator: Simulator) -> None:
    send(simulator, company(1, contact(1), contact(2)))
    send(simulator, company(1, contact(2, name="Changed", fields=[]), contact(3), name="New"), company(2))
    assert people(simulator) == {"1": "1", "2": "1", "3": "1"}
    assert simulator.crm.contacts["2"] == contact(2, name="Changed", fields=[], company="1")
    assert simulator.crm.companies["1"] == without(company(1, name="New"), "contacts")
    assert set(simulator.crm.companies) == {"1", "2"}


def test_ids_are_compared_as_texts_and_shown_as_they_last_came(simulator: Simulator) -> None:
    send(simulator, company(7, contact(1)))
    send(simulator, company("7", contact("1"), contact("01")))
    assert simulator.crm.companies["7"]["id"] == "7"
    assert {key: each["id"] for key, each in simulator.crm.contacts.items()} == {"1": "1", "01": "01"}
    send(simulator, company(7, contact(1)))
    assert (simulator.crm.companies["7"]["id"], simulator.crm.contacts["1"]["id"]) == (7, 1)


def test_a_contact_moves_to_the_company_under_which_it_is_sent(simulator: Simulator) -> None:
    send(simulator, company(1, contact(1), contact(2)), nobody(contact(3)))
    send(simulator, company(2, contact(1), contact(3)), nobody(contact(2)))
    assert people(simulator) == {"1": "2", "2": None, "3": "2"}


def test_a_company_without_fields_keeps_its_fields(simulator: Simulator) -> None:
    send(simulator, company(1, fields=[FIELD]))
    send(simulator, without(company(1, name="New"), "fields"))
    assert simulator.crm.companies["1"] == without(company(1, name="New", fields=[FIELD]), "contacts")
    send(simulator, company(1, fields=[]))
    assert simulator.crm.companies["1"]["fields"] == []
    send(simulator, without(company(2), "fields"))
    assert "fields" not in simulator.crm.companies["2"]


def test_lists_may_replace_the_contacts_of_the_companies_sent(simulator: Simulator) -> None:
    simulator.sync_contacts = "replace"
    send(simulator, company(1, contact(1), contact(2)), company(2, contact(3)), nobody(contact(4)))
    send(simulator, company(1, contact(2), contact(5)), nobody())
    assert people(simulator) == {"1": None, "2": "1", "3": "2", "4": None, "5": "1"}


@pytest.mark.parametrize("more", [{}, {"delete": False}])
def test_a_load_without_delete_deletes_nothing(simulator: Simulator, more: dict[str, Any]) -> None:
    send(simulator, company(1, contact(1)), nobody(contact(2)))
    send(simulator, **more)
    assert (set(simulator.crm.companies), set(simulator.crm.contacts)) == ({"1"}, {"1", "2"})


def test_a_load_with_delete_deletes_all_other_contacts(simulator: Simulator) -> None:
    simulator.crm.seed([company("old", contact("older"), contact(5)), nobody(contact("alone"))])
    send(simulator, company(1, contact(1), contact(2)), company(2, contact(3)))
    send(simulator, company(1, contact("2")), nobody(contact(3), contact(5)), delete=True)
    assert set(simulator.crm.companies) == {"1"}
    assert people(simulator) == {"2": "1", "3": None, "5": None}
    counts = simulator.crm.counts
    assert (counts.companies_deleted, counts.contacts_deleted) == (2, 3)


def test_each_load_with_delete_counts_alone(simulator: Simulator) -> None:
    send(simulator, company(1, contact(1)), delete=True)
    send(simulator, company(2, contact(2)), delete=True)
    assert (set(simulator.crm.companies), people(simulator)) == ({"2"}, {"2": "2"})


def test_contacts_born_in_daktela_are_never_touched(simulator: Simulator) -> None:
    simulator.crm.seed([company(1, contact(1))], born=[contact(1, name="Born"), contact("b")])
    send(simulator, company(2, contact("b", name="Sent")), delete=True)
    assert simulator.crm.born == {
        "1": contact(1, name="Born", company=None),
        "b": contact("b", company=None),
    }
    assert people(simulator) == {"b": "2"}
    send(simulator, delete=True)
    assert (simulator.crm.contacts, set(simulator.crm.born)) == ({}, {"1", "b"})


def test_seeds_are_judged_and_not_counted(simulator: Simulator) -> None:
    for seeds in ({"data": [company(1.5)]}, {"data": [company(1)], "born": [contact("")]}):
        with pytest.raises(LoadError):
            simulator.crm.seed(**seeds)
    assert simulator.crm.companies == {}
    sent = [company(1, contact(1))]
    simulator.crm.seed(sent)
    sent[0]["contacts"][0]["fields"].clear()
    assert simulator.crm.contacts["1"] == contact(1, company="1")
    assert set(simulator.crm.described()["counts"].values()) == {0}
    assert simulator.crm.accepted == []


# What tests see of it


def test_the_same_loads_give_the_same_content(simulator: Simulator) -> None:
    send(simulator, company(1, contact(2), contact(1)), nobody(contact(3)))
    with Simulator(Dataset()) as other:
        send(other, nobody(contact(3)), company(1, contact(1)))
        assert other.crm.snapshot() != simulator.crm.snapshot()
        send(other, company(1, contact(2)))
        assert other.crm.snapshot() == simulator.crm.snapshot()
        assert json.dumps(other.crm.snapshot()) == json.dumps(simulator.crm.snapshot())
        other.crm.seed(born=[contact(9)])
        assert other.crm.snapshot() != simulator.crm.snapshot()


def test_a_snapshot_does_not_change(simulator: Simulator) -> None:
    send(simulator, company("b", contact(1)), company("a"))
    before = simulator.crm.snapshot()
    assert list(before["companies"]) == ["a", "b"]
    simulator.crm.contacts["1"]["fields"][0]["value"].append("x")
    assert before["contacts"]["1"] == contact(1, company="b")


def test_counts_show_the_effects(simulator: Simulator) -> None:
    bodies = [load(company(1, contact(1), contact(2))), load(nobody(contact(3)), delete=True), b"[]" * 500]
    statuses = [post(simulator, body).status_code for body in bodies]
    assert statuses == [200, 200, 400]
    assert simulator.crm.described()["counts"] == {
        "requests": 2,
        "bytes": len(bodies[0]) + len(bodies[1]),
        "largest": 1000,
        "companies_written": 1,
        "contacts_written": 3,
        "companies_deleted": 1,
        "contacts_deleted": 2,
    }
    assert simulator.crm.accepted == [json.loads(body) for body in bodies[:2]]
    simulator.crm.clear()
    assert simulator.crm.snapshot() == {"companies": {}, "contacts": {}, "born": {}}
    assert (simulator.crm.accepted, set(simulator.crm.described()["counts"].values())) == ([], {0})


def test_the_log_has_the_facts(simulator: Simulator) -> None:
    body = load(company(1, contact(1), contact(2)), nobody(contact(3)), delete=False)
    post(simulator, body)
    (logged,) = simulator.requests
    assert (logged.method, logged.endpoint, logged.status, logged.query) == ("POST", "sync", 200, {})
    assert (logged.body, logged.body_bytes, logged.body_keys) == (body, len(body), ["data", "delete"])
    assert logged.facts == {"applied": True, "companies": 1, "contacts": 3, "delete": False}
    send(simulator)
    assert simulator.requests[1].facts["delete"] is None


def test_loads_need_not_be_stored(simulator: Simulator) -> None:
    simulator.crm.seed([company("old", contact("old"))])
    simulator.sync_keep = False
    simulator.faults.append(Fault("503", endpoint="sync", after=2))
    bodies = [load(company(1, contact(1))), load(company(2, contact(2), contact(3))), load(company(3)), b"["]
    assert [post(simulator, body).status_code for body in bodies] == [200, 200, 503, 400]
    assert [(each.body, each.body_bytes) for each in simulator.requests] == [(b"", len(body)) for body in bodies]
    assert (set(simulator.crm.companies), set(simulator.crm.contacts)) == ({"old"}, {"old"})
    assert simulator.crm.accepted == []
    counts = simulator.crm.counts
    assert (counts.requests, counts.contacts_written, counts.largest) == (2, 3, len(bodies[1]))
    send(simulator, delete=True)
    assert (simulator.crm.companies, simulator.crm.contacts) == ({}, {})
    get(simulator, "pauses")
    assert [each.endpoint for each in simulator.requests[-2:]] == ["sync", "pauses"]


# Poison


@pytest.mark.parametrize("body", [load(company(8)), load(company(8, contact(1))), load(nobody(contact("9")))])
def test_a_load_with_poison_is_refused_without_a_reason(simulator: Simulator, body: bytes) -> None:
    simulator.sync_poison = {"8", "9"}
    response = post(simulator, body)
    assert response.status_code == 400
    assert (response.json()["error"], response.json()["result"]) == (["Simulated: the load was refused"], None)
    assert simulator.requests[0].facts["refusal"] == "poison"
    assert simulator.requests[0].facts["applied"] is False
    assert simulator.crm.snapshot() == {"companies": {}, "contacts": {}, "born": {}}
    assert simulator.crm.counts.requests == 0
    send(simulator, company(1, contact(2), contact(88)))


@pytest.mark.parametrize("status", [422, 200])
def test_poison_has_a_status(simulator: Simulator, status: int) -> None:
    simulator.sync_poison, simulator.sync_poison_status = {"8"}, status
    simulator.sync_answer = "empty"
    response = post(simulator, load(company(8)))
    assert response.status_code == status
    assert response.json()["error"]
    assert simulator.crm.companies == {}


# Answers


def test_the_answer_is_an_envelope(simulator: Simulator) -> None:
    response = post(simulator, load(company(1, contact(1)), nobody(contact(2))))
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.json() == {
        "error": [],
        "result": {"companies_written": 1, "contacts_written": 2, "companies_deleted": 0, "contacts_deleted": 0},
        "_time": "2026-03-10 12:00:00",
        "_serverTime": "2026-03-10 12:00:00",
        "_timezone": "Europe/Prague",
    }


def test_the_envelope_may_have_another_status(simulator: Simulator) -> None:
    simulator.sync_status = 201
    response = post(simulator, load(company(1)))
    assert (response.status_code, response.json()["error"]) == (201, [])
    assert post(simulator, load(company(""))).status_code == 400


@pytest.mark.parametrize(("manner", "body"), [("empty", b""), ("text", b"OK")])
@pytest.mark.parametrize("status", [200, 201])
def test_the_response_need_not_be_an_envelope(simulator: Simulator, manner: str, body: bytes, status: int) -> None:
    simulator.sync_answer, simulator.sync_status = manner, status
    response = post(simulator, load(company(1)))
    assert (response.status_code, response.content) == (status, body)
    assert response.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert set(simulator.crm.companies) == {"1"}


@pytest.mark.parametrize("manner", ["json", "text"])
def test_204_has_no_body(simulator: Simulator, manner: str) -> None:
    simulator.sync_answer, simulator.sync_status = manner, 204
    body = load(company(1))
    # Not by a client that would not look for one.
    answer = speak(simulator, head(simulator, f"Content-Length: {len(body)}") + body)
    assert answer.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert answer.endswith(b"Content-Length: 0\r\n\r\n")
    assert set(simulator.crm.companies) == {"1"}


@pytest.mark.parametrize(
    "option", [{"sync_contacts": "append"}, {"sync_answer": "xml"}, {"sync_poison_status": 500}]
)
def test_an_option_without_that_value_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(option))} must be one of"):
        Simulator(Dataset(), **option)


# Faults


@pytest.mark.parametrize(("kind", "status"), [("500", 500), ("413", 413), ("html", 200), ("empty", 200)])
def test_a_fault_prevents_the_effect(simulator: Simulator, kind: str, status: int) -> None:
    simulator.faults.append(Fault(kind, endpoint="sync"))
    assert post(simulator, load(company(1))).status_code == status
    assert simulator.crm.companies == {}
    assert (simulator.requests[0].fault, simulator.requests[0].facts) == (kind, {})
    send(simulator, company(1))


def test_a_fault_of_lists_does_not_apply_to_the_sync(simulator: Simulator) -> None:
    simulator.faults.append(Fault("500", times=None))
    send(simulator, company(1))
    simulator.faults[0].endpoint = "*"
    assert post(simulator, load(company(2))).status_code == 500


def test_after_an_effect_the_answer_may_be_a_500(simulator: Simulator) -> None:
    simulator.faults.append(Fault("applied-500", endpoint="sync", message="Out of luck"))
    response = post(simulator, load(company(1)))
    assert (response.status_code, response.json()["error"]) == (500, ["Out of luck"])
    assert set(simulator.crm.companies) == {"1"}
    assert simulator.requests[0].facts["applied"] is True


@pytest.mark.parametrize(
    ("kind", "error"), [("applied-reset", "reset by peer"), ("applied-close", "closed connection without")]
)
def test_after_an_effect_the_connection_may_end(simulator: Simulator, kind: str, error: str) -> None:
    simulator.faults.append(Fault(kind, endpoint="sync"))
    with pytest.raises(requests.ConnectionError, match=error):
        post(simulator, load(company(1)))
    assert set(simulator.crm.companies) == {"1"}
    assert (simulator.requests[0].status, simulator.requests[0].facts["applied"]) == (0, True)


def test_after_an_effect_the_response_may_time_out(simulator: Simulator) -> None:
    simulator.faults.append(Fault("applied-timeout", endpoint="sync"))
    headers = {"X-AUTH-TOKEN": simulator.access_token}
    with pytest.raises(requests.ReadTimeout):
        requests.post(simulator.url + PATH, data=load(company(1)), headers=headers, timeout=0.3)
    deadline = time.monotonic() + TIMEOUT
    # The log has how long a request took once it is over, which is when the server sees that the client has gone.
    while not (simulator.requests and simulator.requests[0].seconds) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (simulator.requests[0].status, set(simulator.crm.companies)) == (0, {"1"})
    simulator.faults.append(Fault("applied-timeout", endpoint="sync", hang=0.05))
    with pytest.raises(requests.ConnectionError, match="closed connection without"):
        post(simulator, load(company(2)))
    assert set(simulator.crm.companies) == {"1", "2"}


def test_a_lost_answer_to_a_refusal_has_no_effect(simulator: Simulator) -> None:
    simulator.faults.append(Fault("applied-500", endpoint="sync"))
    assert post(simulator, load(company(""))).status_code == 500
    assert simulator.crm.counts.requests == 0
