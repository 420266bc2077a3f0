"""The declarations agree with `daktela-api.md` §5.2 and with the published streams, written down by hand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tap_daktela.streams.definitions import STREAMS
from tap_daktela.streams.fields import SERVER, UNIQUE_ID, Kind, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

BY_NAME = {stream.name: stream for stream in STREAMS}

SELECTED_BY_DEFAULT = [
    *("accounts", "groups", "pauses", "queues", "statuses", "templates", "tickets"),
    *("activities", "activities_call", "activities_email", "activities_chat"),
]

# Columns of the original extractor. `*` marks those with a prefix. Its further columns were `server` and, in item
# tables, `unique_key`.
ORIGINAL_COLUMNS = {
    "accounts": "*name title survey description deleted",
    "users": "*name title description algo email nps_score backoffice_user deleted",
    "groups": "*name title description type deleted",
    "pauses": "*name title paid type max_duration calculated_from auto_pause deleted",
    "queues": "*name title description type direction deactivated deleted usersCount",
    "statuses": "*name title validation nextcall blacklist_database blacklist_expiration_time color deleted",
    "templates": "*name title description format usingtype content deleted id_template",
    "tickets": """
        *name title email description stage priority sla_deadtime sla_change sla_notify sla_duration sla_custom
        survey survey_offered satisfaction satisfaction_comment reopen deleted created edited first_answer
        first_answer_duration closed unread has_attachment isBookmarked
    """,
    "activities_call": """
        *activities_name *queue_name time *item_id_call item_call_time item_direction item_answered item_clid
        *item_prefix_clid_name item_did item_waiting_time item_ringing_time item_hold_time item_duration
        item_orig_pos item_position item_disposition_cause item_disconnection_cause item_pressed_key
        item_missed_call item_missed_call_time item_attempts item_score item_note
    """,
    "activities_email": """
        *activities_name *queue_name time *item_name item_address item_direction item_wait_time item_duration
        item_answered item_text item_time title
    """,
    "activities_chat": """
        *activities_name *queue_name time item_title item_email item_wait_time item_duration item_answered
        item_disconnection item_time *item_name item_ip item_country_code item_country_name item_region_code
        item_region_name item_city item_zip_code item_time_zone item_latitude item_longitude item_metro_code
        item_queue_title item_referer
    """,
    "activities": """
        *name time *ticket_name *queue_name *user_name *status_name *contact_name record_customFields_hodnoceni
        record_customFields_operator record_customFields_id_hovoru title action type survey record priority
        description time_wait time_open time_close important status
    """,
}

CONTRACT: dict[str, tuple[str, tuple[str, ...], str | None, str | None]] = {
    **{name: (name, ("name",), None, None) for name in SELECTED_BY_DEFAULT[:6]},
    "tickets": ("tickets", ("name",), "edited", None),
    "activities": ("activities", ("name",), "time", None),
    "activities_call": ("activities", ("activities_name", "item_id_call"), "time", "CALL"),
    **{
        f"activities_{kind}": ("activities", ("activities_name", "item_name"), "time", kind.upper())
        for kind in ("email", "chat", "sms", "fbm", "igdm", "wap", "vbr")
    },
    "users": ("users", ("name",), None, None),
    "contacts": ("contacts", ("name",), "edited", None),
    "ticket_categories": ("ticketsCategories", ("name",), None, None),
    "campaign_records": ("campaignsRecords", ("name",), "edited", None),
    "crm_records": ("crmRecords", ("name",), "edited", None),
}
"""Stream -> endpoint, keys, replication key and activity type. The tables in existing warehouses depend on these
values. A later stream can be absent, because its catalog is committed."""

each_stream = pytest.mark.parametrize("stream", STREAMS, ids=list(BY_NAME))


def test_the_names_of_streams_are_unique() -> None:
    assert len(BY_NAME) == len(STREAMS)


def test_eleven_streams_are_selected_by_default() -> None:
    assert [stream.name for stream in STREAMS if stream.selected_by_default] == SELECTED_BY_DEFAULT


@pytest.mark.parametrize("name", ORIGINAL_COLUMNS)
def test_the_columns_of_the_original_extractor_come_first_in_its_order(name: str) -> None:
    columns = [column.removeprefix("*") for column in ORIGINAL_COLUMNS[name].split()]
    assert [column.name for column in BY_NAME[name].fields][: len(columns)] == columns


@pytest.mark.parametrize("name", ORIGINAL_COLUMNS)
def test_exactly_the_prefixed_columns_of_the_original_extractor_are_keys(name: str) -> None:
    columns = ORIGINAL_COLUMNS[name].split()
    kinds = {column.name: column.kind for column in BY_NAME[name].fields}
    keys = [column for column in columns if kinds[column.removeprefix("*")] in {Kind.KEY, Kind.PREFIXED}]
    assert keys == [column for column in columns if column.startswith("*")]


@pytest.mark.parametrize("name", CONTRACT)
def test_endpoints_keys_and_replication_keys_do_not_change(name: str) -> None:
    stream = BY_NAME[name]
    assert (stream.endpoint, stream.keys, stream.replication_key, stream.activity_type) == CONTRACT[name]


@each_stream
def test_keys_are_key_columns(stream: Stream) -> None:
    assert {stream.field(key).kind for key in stream.keys} == {Kind.KEY}


@each_stream
def test_a_replication_key_is_a_datetime_with_its_name_in_the_api(stream: Stream) -> None:
    if stream.replication_key is not None:
        column = stream.field(stream.replication_key)
        assert (column.kind, column.source, column.official) == (Kind.DATETIME, column.name, True)


@each_stream
def test_column_names_are_unique_if_case_is_ignored(stream: Stream) -> None:
    names = [column.name.casefold() for column in stream.fields]
    assert sorted(names) == sorted(set(names))


@each_stream
def test_the_stream_and_every_column_are_described_in_a_sentence(stream: Stream) -> None:
    for description in (stream.description, *(column.description for column in stream.fields)):
        assert re.fullmatch(r"\S.*\S\.", description), description
        assert "  " not in description, description


@each_stream
def test_the_server_is_the_last_column_before_the_unique_id_of_items(stream: Stream) -> None:
    computed = (SERVER, UNIQUE_ID) if stream.activity_type else (SERVER,)
    assert stream.fields[-len(computed) :] == computed
    assert not set(stream.fields[: -len(computed)]) & {SERVER, UNIQUE_ID}


@each_stream
def test_every_other_column_requests_its_source(stream: Stream) -> None:
    for column in stream.fields:
        if column in {SERVER, UNIQUE_ID}:
            continue
        assert re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*){0,3}", column.request), column
        assert column.source.split(".")[0] == column.request.split(".")[0], column
        if column.kind not in {Kind.KEYS, Kind.TITLES, Kind.SCALAR}:
            assert column.source == column.request, column


@each_stream
def test_no_two_columns_read_the_same_value_in_the_same_way(stream: Stream) -> None:
    reads = [(column.source, column.kind) for column in stream.fields if column.source]
    assert sorted(reads, key=str) == sorted(set(reads), key=str)


@each_stream
def test_a_join_leads_to_a_key_of_a_stream(stream: Stream) -> None:
    for column in stream.fields:
        for target, name in re.findall(r"joins (\w+)\.(\w+)", column.description):
            assert BY_NAME[target].field(name).kind is Kind.KEY, column


@each_stream
def test_the_second_key_of_an_item_stream_shows_orphans(stream: Stream) -> None:
    if stream.activity_type:
        assert stream.item_keys == {stream.activity_type: stream.field(stream.keys[1]).source}
        assert stream.closed == "time_close"


def test_activities_have_the_item_keys_of_calls_e_mails_and_chats() -> None:
    assert BY_NAME["activities"].item_keys == {"CALL": "item.id_call", "EMAIL": "item.name", "CHAT": "item.name"}
    assert BY_NAME["activities"].closed == "time_close"


def test_no_field_with_credentials_is_requested() -> None:
    requested = {f"{stream.name}.{column.request}" for stream in STREAMS for column in stream.fields}
    assert not requested & {"queues.options", "users.options", "users.fcmSettings", "users.emailAuth"}
    assert not [name for name in requested if re.search("token|password|secret", name, re.IGNORECASE)]


def test_a_column_that_joins_a_stream_is_a_key() -> None:
    for stream in STREAMS:
        for column in stream.fields:
            if "joins" in column.description:
                assert column.kind in {Kind.KEY, Kind.KEYS}, (stream.name, column)


# Names in a database.

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in lower case": str.lower,
    "snake_case, an underscore before each capital": lambda name: re.sub("(?<!^)([A-Z])", r"_\1", name).lower(),
    "snake_case, an underscore before each word": lambda name: re.sub(
        "(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name
    ).lower(),
    "without underscores": lambda name: name.replace("_", "").lower(),
}
"""How loaders change the name of a column."""


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("stream", STREAMS, ids=list(BY_NAME))
def test_no_two_columns_of_a_stream_have_the_same_name_in_a_database(stream: Stream, spelling: str) -> None:
    names = [SPELLINGS[spelling](column.name) for column in stream.fields]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("stream", STREAMS, ids=list(BY_NAME))
def test_names_have_at_most_63_letters_digits_and_underscores(
    stream: Stream,
) -> None:
    for name in (stream.name, *(column.name for column in stream.fields)):
        assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_]{0,62}", name)
        # Loaders add columns of their own.
        assert not name.startswith("_sdc")
