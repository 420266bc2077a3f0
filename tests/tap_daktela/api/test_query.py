from __future__ import annotations

from urllib.parse import parse_qsl

import requests
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.api.query import Condition, Query

TICKETS = Query(
    endpoint="tickets",
    fields=("name", "queue.name"),
    conditions=(
        Condition("edited", "gte", "2026-03-01 00:00:00"),
        Condition("edited", "lt", "2026-03-02 00:00:00"),
        Condition("type", "eq", "CALL"),
    ),
    sort=("-edited", "name"),
    skip=200,
    take=100,
)


def test_parameters_are_indexed_and_never_comma_separated() -> None:
    assert TICKETS.parameters() == [
        ("fields[0]", "name"),
        ("fields[1]", "queue.name"),
        ("filter[0][field]", "edited"),
        ("filter[0][operator]", "gte"),
        ("filter[0][value]", "2026-03-01 00:00:00"),
        ("filter[1][field]", "edited"),
        ("filter[1][operator]", "lt"),
        ("filter[1][value]", "2026-03-02 00:00:00"),
        ("filter[2][field]", "type"),
        ("filter[2][operator]", "eq"),
        ("filter[2][value]", "CALL"),
        ("sort[0][field]", "edited"),
        ("sort[0][dir]", "desc"),
        ("sort[1][field]", "name"),
        ("sort[1][dir]", "asc"),
        ("take", "100"),
        ("skip", "200"),
    ]


def test_skip_and_take_are_always_sent_since_the_server_s_defaults_are_unknown() -> None:
    assert Query(endpoint="groups", fields=()).parameters() == [("take", "1000"), ("skip", "0")]


def test_queries_for_two_pages_differ_only_in_the_offset() -> None:
    page = TICKETS.page(300)
    assert page.skip == 300
    assert page.page(TICKETS.skip) == TICKETS


def test_a_query_reads_as_a_request_without_its_fields() -> None:
    assert str(TICKETS) == (
        "GET tickets.json where edited ≥ 2026-03-01 00:00:00 and edited < 2026-03-02 00:00:00 and type = CALL, "
        "rows 200 to 299"
    )
    assert str(Query(endpoint="groups", fields=("name",))) == "GET groups.json, rows 0 to 999"


def test_an_operator_without_a_sign_is_shown_as_it_is() -> None:
    assert "name like x" in str(Query(endpoint="groups", fields=(), conditions=(Condition("name", "like", "x"),)))


@given(
    st.lists(
        st.builds(Condition, st.text(max_size=8), st.sampled_from(["eq", "lt"]), st.text(max_size=8)), max_size=3
    ),
    st.lists(st.text(max_size=8), max_size=3),
)
def test_every_text_is_encoded_and_decoded_without_loss(conditions: list[Condition], fields: list[str]) -> None:
    query = Query(endpoint="tickets", fields=tuple(fields), conditions=tuple(conditions))
    url = requests.Request("GET", "https://acme.daktela.com", params=query.parameters()).prepare().url
    assert url is not None
    assert parse_qsl(url.partition("?")[2], keep_blank_values=True) == query.parameters()
