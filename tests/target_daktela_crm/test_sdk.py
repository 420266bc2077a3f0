"""The SDK's own tests of a target, with a mapping for their streams and a folder in place of Daktela."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from singer_sdk.testing import get_target_test_class
from singer_sdk.testing.suites import SingerTestSuite, target_tests
from singer_sdk.testing.target_tests import TargetRecordBeforeSchemaTest, TargetRecordMissingKeyProperty

from target_daktela_crm.target import TargetDaktelaCrm
from tests.target_daktela_crm.running import Crm, record, schema

# The key of each stream of the SDK's test files. Their records are mapped to contacts.
KEYS = {
    "ForecastingTypeToCategory": "Id",
    "TestCamelcase": "Id",
    "example_stream": "id",
    "record_missing_fields": "id",
    # From the SDK's version 0.55 on.
    "string_formats": "uuid",
    "test:SpecialChars!in?attributes": "_id",
    "test_array_data": "id",
    "test_duplicate_records": "id",
    "test_invalid_schema": "id",
    "test_no_pk": "id",
    "test_object_schema_no_properties": "object_store.id",
    "test_object_schema_with_properties": "object_store.id",
    "test_optional_attributes": "id",
    "test_record_before_schema": "id",
    "test_record_missing_required_property": "id",
    "test_schema_updates": "id",
    "test_strings": "id",
    "test_strings_in_arrays": "id",
    "test_strings_in_objects": "id",
}

# The SDK expects these records to stop the run. This target rejects only the record without a key (see below), and
# accepts a record before its SCHEMA message, since only stream maps need a schema.
NOT_APPLICABLE = {TargetRecordMissingKeyProperty, TargetRecordBeforeSchemaTest}

CASES = [case for case in target_tests.tests if case not in NOT_APPLICABLE]

CONFIG = {
    "server": "acme",
    "access_token": "hush",
    "dry_run": str(Path(tempfile.mkdtemp()) / "requests"),
    "streams": {name: {"contact": {"id": key, "name": key}} for name, key in KEYS.items()},
    "max_rejects": 0,
}

TestTheTargetWithTheSdk = get_target_test_class(
    TargetDaktelaCrm,
    config=CONFIG,
    include_target_tests=False,
    custom_suites=[SingerTestSuite(kind="target", tests=CASES)],
)


def test_only_the_named_sdk_tests_are_left_out() -> None:
    assert len(CASES) == len(target_tests.tests) - 2


@pytest.mark.promise("S3")
def test_only_the_record_without_a_key_is_rejected(crm: Crm) -> None:
    streams = {"people": {"contact": {"id": "id", "name": "name"}}}
    rows = [record("people", name="no key"), record("people", id=1, name="Eva")]

    run = crm.run([schema("people"), *rows], streams=streams)

    assert run.code == 1
    assert set(crm.contacts()) == {"1"}
    assert [line["record"] for line in crm.rejects()] == [{"name": "no key"}]


@pytest.mark.parametrize("name", ["load_method", "batch_size_rows", "add_record_metadata", "validate_records"])
def test_settings_of_the_sdk_without_effect_are_not_offered(name: str) -> None:
    assert name not in TargetDaktelaCrm.config_jsonschema["properties"]
