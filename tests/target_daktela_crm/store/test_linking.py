"""Which of several links is that of a contact's company."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_daktela_crm.store.linking import choose_company

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
def test_the_company_of_a_contact(
    own: str | None, links: list[tuple[str, bool, bool]], chosen: str | None
) -> None:
    assert choose_company(own, links, STATES) == chosen


def test_an_older_primary_link_does_not_count_where_the_record_says_that_there_is_no_company() -> None:
    assert choose_company(None, [("a", *OLD_PRIMARY)], STATES) == "a"
    assert choose_company(None, [("a", *OLD_PRIMARY)], STATES, has_none=True) is None
    assert choose_company(None, [("a", *PRIMARY)], STATES, has_none=True) == "a"
    assert choose_company(None, [("a", *OLD_PRIMARY), ("b", *PLAIN)], STATES, has_none=True) == "b"


@given(
    st.none() | st.sampled_from(sorted(STATES)),
    st.lists(st.tuples(st.sampled_from(sorted(STATES)), st.booleans(), st.booleans())),
)
def test_a_contact_has_a_company_if_any_is_left_and_never_a_deleted_one(
    own: str | None, links: list[tuple[str, bool, bool]]
) -> None:
    live = {company for company in (own, *(link[0] for link in links)) if company and STATES[company] != "deleted"}
    chosen = choose_company(own, links, STATES)
    assert chosen in live if live else chosen is None
