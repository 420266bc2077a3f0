"""Tests of the size, the content and the order of requests."""

from __future__ import annotations

import itertools
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_daktela_crm.delivery.batching import Batch, TooLarge, encode_request, pack, request_size
from target_daktela_crm.entities import QueueEntry, StoredEntity

if TYPE_CHECKING:
    from collections.abc import Iterable

EMPTY = b'{"data":[]}'
NO_COMPANY = {"id": None, "name": None, "description": None}


def _entity(number: int, **content: Any) -> StoredEntity:
    body = json.dumps({"id": number, **content}, ensure_ascii=False, separators=(",", ":")).encode()
    return StoredEntity(number, str(number), body)


def _entries(groups: Iterable[tuple[StoredEntity | None, list[StoredEntity]]]) -> list[QueueEntry]:
    """Return entries as the store yields them. A company has an entry of its own only if it has no contacts."""
    entries: list[QueueEntry] = []
    for company, contacts in groups:
        entries += [QueueEntry(company, contact) for contact in contacts]
        if company is not None and not contacts:
            entries.append(QueueEntry(company, None))
    return entries


def _pack(entries: Iterable[QueueEntry], limit: int, maximum: int | None = None) -> list[Batch | TooLarge]:
    return list(pack(entries, lambda: limit, limit if maximum is None else maximum))


def _batches(entries: Iterable[QueueEntry], limit: int) -> list[Batch]:
    packed = _pack(entries, limit)
    batches = [result for result in packed if isinstance(result, Batch)]
    assert batches == packed
    return batches


def _sent_pairs(content: bytes) -> list[tuple[Any, Any]]:
    """Return the pairs of ids in a request: each company with each of its contacts, or with None."""
    pairs: list[tuple[Any, Any]] = []
    for company in json.loads(content)["data"]:
        pairs += [(company["id"], contact["id"]) for contact in company["contacts"]] or [(company["id"], None)]
    return pairs


def _expected_pairs(entries: Iterable[QueueEntry]) -> list[tuple[Any, Any]]:
    return [(entry.company and entry.company.number, entry.contact and entry.contact.number) for entry in entries]


@st.composite
def entry_lists(draw: st.DrawFn) -> list[QueueEntry]:
    numbers = itertools.count(1)
    names = st.text(max_size=40)
    groups: list[tuple[StoredEntity | None, list[StoredEntity]]] = []
    drawn = draw(st.lists(st.tuples(st.booleans(), st.lists(names, max_size=6)), max_size=8))
    for is_company, contact_names in drawn:
        company = _entity(next(numbers), name=draw(names)) if is_company else None
        if company is None and groups and groups[-1][0] is None:
            continue
        groups.append((company, [_entity(next(numbers), name=name) for name in contact_names]))
    return _entries(groups)


LIMITS = st.integers(min_value=len(EMPTY), max_value=600)

# One request.


@given(entry_lists(), st.booleans())
def test_the_computed_size_is_the_size_of_the_request(entries: list[QueueEntry], delete: bool) -> None:  # noqa: FBT001 - from Hypothesis
    assert request_size(entries, delete=delete) == len(encode_request(entries, delete=delete))


@given(entry_lists(), st.booleans())
def test_a_request_contains_all_entries_in_order_each_in_its_company(
    entries: list[QueueEntry],
    delete: bool,  # noqa: FBT001 - from Hypothesis
) -> None:
    content = json.loads(encode_request(entries, delete=delete))
    assert _sent_pairs(encode_request(entries, delete=delete)) == _expected_pairs(entries)
    assert content.keys() == ({"data", "delete"} if delete else {"data"})
    # Each company occurs once.
    ids = [company["id"] for company in content["data"] if company["id"] is not None]
    assert len(ids) == len(set(ids))


@given(entry_lists())
def test_stored_json_is_sent_unchanged(entries: list[QueueEntry]) -> None:
    content = encode_request(entries)
    for entry in entries:
        assert entry.contact is None or entry.contact.body in content
        assert entry.company is None or entry.company.body[:-1] + b',"contacts":[' in content


@pytest.mark.promise("S2")
def test_a_request_contains_delete_only_if_it_is_true() -> None:
    entries = [QueueEntry(None, _entity(1))]
    assert b"delete" not in encode_request(entries)
    assert b"delete" not in encode_request(entries, delete=False)
    assert encode_request(entries, delete=True).endswith(b'],"delete":true}')
    assert json.loads(encode_request(entries, delete=True))["delete"] is True


def test_contacts_without_a_company_are_in_a_company_whose_fields_are_null() -> None:
    content = json.loads(encode_request([QueueEntry(None, _entity(1)), QueueEntry(None, _entity(2))]))
    assert content == {"data": [{**NO_COMPANY, "contacts": [{"id": 1}, {"id": 2}]}]}
    assert list(content["data"][0]) == ["id", "name", "description", "contacts"]


def test_a_company_without_contacts_has_an_empty_list_of_contacts() -> None:
    assert (
        encode_request([QueueEntry(_entity(1, name="Acme"), None)])
        == b'{"data":[{"id":1,"name":"Acme","contacts":[]}]}'
    )


def test_a_request_of_several_companies_matches_the_white_paper() -> None:
    acme, umbrella = _entity(1, name="Acme"), _entity(2, name="Umbrella")
    entries = [
        QueueEntry(acme, _entity(3)),
        QueueEntry(acme, _entity(4)),
        QueueEntry(umbrella, None),
        QueueEntry(None, _entity(5)),
    ]
    assert encode_request(entries, delete=True) == (
        b'{"data":[{"id":1,"name":"Acme","contacts":[{"id":3},{"id":4}]},'
        b'{"id":2,"name":"Umbrella","contacts":[]},'
        b'{"id":null,"name":null,"description":null,"contacts":[{"id":5}]}],"delete":true}'
    )


def test_without_entries_pack_yields_no_request() -> None:
    assert encode_request([]) == EMPTY
    assert request_size([]) == len(EMPTY)
    assert _pack([], 100) == []


# Several requests.


@pytest.mark.promise("S1")
@given(entry_lists(), LIMITS)
@settings(max_examples=300)
def test_no_request_exceeds_the_limit(entries: list[QueueEntry], limit: int) -> None:
    for result in _pack(entries, limit):
        if isinstance(result, Batch):
            assert len(encode_request(result.entries)) == result.size == request_size(result.entries) <= limit
            assert result.entries
        else:
            assert len(encode_request([result.entry])) == result.size == request_size([result.entry]) > limit


@given(entry_lists(), LIMITS)
@settings(max_examples=200)
def test_each_entry_is_in_exactly_one_request_and_in_order(entries: list[QueueEntry], limit: int) -> None:
    packed = _pack(entries, limit)
    batches = [result for result in packed if isinstance(result, Batch)]
    in_batches = [entry for batch in batches for entry in batch.entries]
    too_large = [result.entry for result in packed if isinstance(result, TooLarge)]
    assert sorted([*in_batches, *too_large], key=entries.index) == entries
    assert in_batches == [entry for entry in entries if entry not in too_large]
    sent = [pair for batch in batches for pair in _sent_pairs(encode_request(batch.entries))]
    assert sent == _expected_pairs(in_batches)


@given(entry_lists(), LIMITS)
@settings(max_examples=200)
def test_a_request_ends_only_if_the_next_entry_does_not_fit(entries: list[QueueEntry], limit: int) -> None:
    packed = _pack(entries, limit)
    batches = [result for result in packed if isinstance(result, Batch)]
    for batch in batches[:-1]:
        # The next entry may be one that is too large for any request. It ends the request before it, too.
        next_entry = entries[entries.index(batch.entries[-1]) + 1]
        assert len(encode_request([*batch.entries, next_entry])) > limit


@pytest.mark.promise("S1")
@given(entry_lists(), st.lists(LIMITS, min_size=1, max_size=20))
def test_the_limit_may_shrink_between_requests(entries: list[QueueEntry], sizes: list[int]) -> None:
    shrinking = sorted(sizes, reverse=True)
    maximum = shrinking[0]
    sent: list[QueueEntry] = []
    for result in pack(entries, lambda: shrinking[0], maximum):
        if isinstance(result, Batch):
            # An entry that is larger than the current limit has its own request.
            assert len(encode_request(result.entries)) <= (shrinking[0] if len(result.entries) > 1 else maximum)
            sent += result.entries
        else:
            assert result.size > maximum
            sent.append(result.entry)
        if len(shrinking) > 1:
            del shrinking[0]
    assert sorted(sent, key=entries.index) == entries


@pytest.mark.promise("S1")
def test_an_entry_between_the_current_limit_and_the_maximum_has_its_own_request() -> None:
    small, large, huge = (
        QueueEntry(None, _entity(number, name="x" * size)) for number, size in ((1, 1), (2, 90), (3, 200))
    )
    maximum = request_size([large])
    packed = _pack([small, large, small, huge, small], request_size([small, small]), maximum)
    assert packed == [
        Batch([small], request_size([small])),
        Batch([large], maximum),
        Batch([small], request_size([small])),
        TooLarge(huge, request_size([huge])),
        Batch([small], request_size([small])),
    ]
    assert TooLarge(large, maximum) in _pack([small, large], 100, maximum - 1)


@pytest.mark.parametrize("spare", [0, 1])
def test_a_request_may_be_exactly_as_large_as_the_limit(spare: int) -> None:
    acme = _entity(1, name="Žluťoučký kůň")
    entries = [QueueEntry(acme, _entity(number)) for number in range(2, 12)]
    size = request_size(entries)
    assert len(_batches(entries, size + spare)) == 1
    assert len(_batches(entries, size - 1)) == 2


@pytest.mark.promise("S6")
def test_each_request_with_contacts_of_a_company_contains_the_whole_company() -> None:
    acme = _entity(1, name="Acme", description="d" * 50)
    entries = [QueueEntry(acme, _entity(number)) for number in range(2, 30)]
    batches = _batches(entries, 200)
    assert len(batches) > 2
    for batch in batches:
        (company,) = json.loads(encode_request(batch.entries))["data"]
        assert {**company, "contacts": None} == {**json.loads(acme.body), "contacts": None}
        assert company["contacts"]


def test_contacts_keep_their_company_if_it_is_split_between_requests() -> None:
    entries = _entries(
        (_entity(number), [_entity(number * 10 + offset) for offset in range(3)]) for number in range(1, 9)
    )
    for limit in range(120, 400, 7):
        sent = [pair for batch in _batches(entries, limit) for pair in _sent_pairs(encode_request(batch.entries))]
        assert sent == _expected_pairs(entries)
        assert all(contact // 10 == company for company, contact in sent)


@pytest.mark.promise("S8")
def test_requests_are_packed_lazily() -> None:
    taken: list[int] = []

    def entries() -> Iterable[QueueEntry]:
        for number in range(1, 1000):
            taken.append(number)
            yield QueueEntry(None, _entity(number))

    packed = pack(entries(), lambda: 200, 200)
    next(packed)
    assert len(taken) < 30


# Sizes of requests.


def _realistic_entries(seed: int, total: int) -> Iterable[QueueEntry]:
    """Yield entries of realistic sizes until they have about `total` bytes."""
    rng, numbers, size = random.Random(seed), itertools.count(1), 0
    while size < total:
        company = None
        if rng.random() < 0.9:
            company = _entity(next(numbers), name="Š" * rng.randrange(5, 40), d="x" * rng.randrange(120))
        contact_count = rng.choice([0, 1, 1, 1, 2, 3, 5, 10, 40])
        # A company without contacts has one entry.
        for _ in range(contact_count if company is None else max(contact_count, 1)):
            contact = _entity(next(numbers), name="ř" * rng.randrange(5, 30), d="x" * rng.randrange(200, 300))
            size += len(contact.body)
            yield QueueEntry(company, contact if contact_count else None)


@pytest.mark.parametrize("limit", [20_000, 50_000, 200_000, 1_000_000])
def test_requests_are_at_least_98_percent_full(limit: int) -> None:
    *full, _last = _batches(_realistic_entries(seed=limit, total=max(500_000, 4 * limit)), limit)
    assert len(full) >= 3
    fullness = sum(len(encode_request(batch.entries)) for batch in full) / (limit * len(full))
    assert 0.98 <= fullness <= 1


def test_the_size_is_correct_if_an_entry_repeats_the_company_between_its_contacts() -> None:
    company = StoredEntity(1, "c", b'{"id":1}')
    entries = [
        QueueEntry(company, StoredEntity(1, "1", b"{}")),
        QueueEntry(company, None),
        QueueEntry(company, StoredEntity(2, "2", b"{}")),
    ]
    assert request_size(entries) == len(encode_request(entries))
    assert [batch.size for batch in _batches(entries, 1000)] == [len(encode_request(entries))]
