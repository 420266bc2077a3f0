"""Convert values of records to the types that the catalog gives to columns.

A user may change the schema of a column in the catalog, for example with Meltano's `schema` extra: add a
`maxLength`, or put `string` in place of `object`. The SDK writes this schema into the SCHEMA message, so the
records must fit it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from jsonschema import Draft7Validator, FormatChecker, SchemaError

from tap_daktela.streams.fields import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tap_daktela.streams.converters import Converter
    from tap_daktela.streams.fields import Field

    Schema = Mapping[str, Any]

_TYPES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    dict: "object",
    list: "array",
    type(None): "null",
}

_OF_NUMBERS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
_RESTRICTIONS: dict[str, set[str]] = {
    "string": {"minLength", "pattern", "format"},
    "integer": _OF_NUMBERS,
    "number": _OF_NUMBERS,
    "boolean": set(),
    "object": {"properties", "patternProperties", "additionalProperties", "required"},
    "array": {"items"},
}
"""Type -> keywords that need a validator. `maxLength` is checked without one, because a validator is slow."""
_TYPE_KEYWORDS = {"type", "anyOf", "oneOf", "allOf", "$ref"}
_OF_ANY_TYPE = {"enum", "anyOf", "oneOf", "allOf"}

_SHOWN = 40
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_FORMATS = FormatChecker()


# jsonschema checks this format only if another package is installed.
@_FORMATS.checks("date-time")
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or _DATE_TIME.fullmatch(value) is not None


class CatalogTypeError(ValueError):
    """A schema in the catalog does not allow a value, or any value of a column. The message says why."""


def completed_schemas(catalog: Mapping[str, Schema], own: Mapping[str, Schema]) -> dict[str, Schema]:
    """Return the columns of a catalog, each with a type.

    Meltano's `schema` extra replaces the complete schema of a column by what a rule contains, which may be no more
    than a `maxLength`. A schema that says nothing about the type keeps the type, and all other keywords that it
    lacks, of `own`, the tap's schemas.
    """
    return {
        name: {**own[name], **schema} if name in own and not _TYPE_KEYWORDS & schema.keys() else schema
        for name, schema in catalog.items()
    }


def fitted_columns(
    columns: Iterable[Field], keys: Sequence[str], properties: Mapping[str, Schema], servers: Sequence[str]
) -> tuple[list[Field], list[str]]:
    """Return the columns with the conversions to their schemas in `properties`, and a line for each problem.

    `keys` are the columns of the primary key. `servers` are the values of the column `server`.
    """
    constants = {Kind.SERVER: servers, Kind.UNIQUE_ID: ["0" * 32]}
    fitted, problems = [], []
    for column in columns:
        schema = properties.get(column.name, {})
        try:
            to_catalog = catalog_converter(column, schema, is_key=column.name in keys)
            if to_catalog is not None:
                for value in constants.get(column.kind, ()):
                    to_catalog(value)
        except CatalogTypeError as error:
            problems.append(f"{column.name}: {error}")
        else:
            fitted.append(replace(column, to_catalog=to_catalog))
    return fitted, problems


def catalog_converter(column: Field, schema: Schema, *, is_key: bool = False) -> Converter | None:
    """Return a function that converts values of `column` to `schema`, None if no conversion is necessary.

    Conversions lose no information: objects and lists become JSON texts, numbers and booleans become texts,
    booleans become 0 and 1, whole numbers become integers. The function accepts values that are not null. It
    raises CatalogTypeError for a value that `schema` does not allow.

    Raises:
        CatalogTypeError: `schema` allows no value of the column.
    """
    standard = column.schema(required=is_key)
    if schema == standard:
        return None
    try:
        Draft7Validator.check_schema(schema)
    except SchemaError as error:
        raise CatalogTypeError(f"the schema is invalid, {error.message}") from None
    own, types = _types(standard), _types(schema)
    [own_type] = own - {"null"}
    target = _target(own_type, types)
    if target is None:
        wanted = _listed(types - {"null"} or types)
        raise CatalogTypeError(f"{own_type} cannot be converted to {wanted} without loss")
    if types and "null" in own - types:
        raise CatalogTypeError(f'the type {_listed(types)} does not allow null; add "null"')
    if target == "string" and not _is_possible(schema.get("format"), column.kind):
        raise CatalogTypeError(f"the values do not have the format {schema['format']}")
    return _converter(schema, own_type, target)


def _is_possible(format_: str | None, kind: Kind) -> bool:
    """Return whether values of a column can have a format. Only datetimes have the format `date-time`."""
    return format_ is None or (format_ == "date-time") is (kind is Kind.DATETIME)


def _types(schema: Schema) -> set[str]:
    """Return the types that `schema` allows, an empty set for all types."""
    if not isinstance(schema, dict):
        # A schema of JSON Schema can be true or false.
        return set()
    if "type" in schema:
        types = schema["type"]
        return {types} if isinstance(types, str) else set(types)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            branches = [_types(branch) for branch in schema[keyword]]
            return set().union(*branches) if all(branches) else set()
    return set()


def _listed(types: set[str]) -> str:
    return " or ".join(sorted(types))


def _target(own: str, types: set[str]) -> str | None:
    """Return the type in `types` to which values of the type `own` can be converted, None if there is none."""
    if not types or own in types:
        return own
    if own == "integer" and "number" in types:
        return "number"
    if "string" in types:
        return "string"
    if own in {"boolean", "number"} and types & {"integer", "number"}:
        return "integer"
    return None


def _converter(schema: Schema, own: str, target: str) -> Converter | None:
    if _restrictions(schema, target):
        return _validating_converter(schema)
    longest = schema.get("maxLength") if target == "string" else None
    if longest is None:
        return None if target in {own, "number"} else partial(_converted, target=target)

    def convert(value: object) -> object:
        text: str = _converted(value, target)
        if len(text) > longest:
            raise CatalogTypeError(f"maxLength is {longest}")
        return text

    return convert


def _restrictions(schema: Schema, target: str) -> set[str]:
    """Return the keywords of `schema` that need a validator for values of the type `target`."""
    found = (_RESTRICTIONS[target] | _OF_ANY_TYPE) & schema.keys()
    items = schema.get("items")
    is_usual = {
        "additionalProperties": schema.get("additionalProperties") is True,
        "format": schema.get("format") == "date-time",
        "items": isinstance(items, dict)
        and not _restrictions(items, "string")
        and "maxLength" not in items
        and _target("string", _types(items)) == "string",
    }
    return {keyword for keyword in found if not is_usual.get(keyword)}


def _validating_converter(schema: Schema) -> Converter:
    validator = Draft7Validator(schema, format_checker=_FORMATS)

    def convert(value: object) -> object:
        fitted = _fitted(value, schema)
        error = next(validator.iter_errors(fitted), None)
        if error is not None:
            # The message of the error contains the value.
            raise CatalogTypeError(f"{error.validator} is {str(error.validator_value)[:_SHOWN]}")
        return fitted

    return convert


def _fitted(value: object, schema: Schema) -> object:
    """Return a value converted to `schema`, including the values inside objects and lists."""
    if value is None or not isinstance(schema, dict):
        return value
    target = _target(_TYPES[type(value)], _types(schema))
    if isinstance(value, dict) and target == "object":
        properties = schema.get("properties", {})
        return {name: _fitted(each, properties.get(name, {})) for name, each in value.items()}
    if isinstance(value, list) and target == "array":
        items = schema.get("items")
        return [_fitted(each, items) for each in value] if isinstance(items, dict) else value
    return _converted(value, target)


def _converted(value: Any, target: str | None) -> Any:  # noqa: ANN401 - JSON
    if target == "string" and not isinstance(value, str):
        return msgspec.json.encode(value).decode()
    if target == "integer" and isinstance(value, (bool, float)):
        if not float(value).is_integer():
            raise CatalogTypeError("the type is integer")
        return int(value)
    return value
