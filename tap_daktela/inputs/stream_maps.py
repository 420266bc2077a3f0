"""Check stream maps before the run, and compile them for selected streams only.

The SDK (0.54.9) also compiles the maps of unselected streams, to which it gives an empty schema. If an expression
fails, its error does not name the stream and the column. `StreamMapper` is the SDK's mapper without these two
defects; the SDK has no public hook for either. `stream_map_problems` finds problems that no record is needed for.
"""

from __future__ import annotations

import ast
import fnmatch
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import simpleeval  # type: ignore[import-untyped]
from singer_sdk.exceptions import MapExpressionError, StreamMapConfigError
from singer_sdk.helpers._catalog import get_selected_schema
from singer_sdk.helpers._flattening import DEFAULT_MAX_KEY_LENGTH
from singer_sdk.mapper import (
    NULL_STRING,
    CustomStreamMap,
    PluginMapper,
    RemoveRecordTransform,
    SameRecordTransform,
)

from tap_daktela.cli.config import STREAM_MAP_OPTIONS, suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from singer_sdk.singerlib import SelectionMask

_RECORD_NAMES = frozenset({"_", "record", "config", "__stream_name__", "__original_stream_name__"})
"""Names that every expression may use besides columns and functions, as the SDK's documentation lists them."""
_ERRORS_WITHOUT_VALUES = (
    simpleeval.FunctionNotDefined,
    simpleeval.NameNotDefined,
    simpleeval.AttributeDoesNotExist,
    simpleeval.FeatureNotAvailable,
)
"""Errors whose text repeats parts of the expression only, and never a value of the record."""
_MAX_NAMES = 3
"""Streams that a message names; of the others it gives the number."""


class ExpressionError(Exception):
    """An expression of a stream map failed for a record. The message contains no value but the record's key."""


class MappableStream(Protocol):
    """What the mapper reads of a stream of the SDK."""

    @property
    def name(self) -> str:
        """The stream's name."""

    @property
    def selected(self) -> bool:
        """Whether the stream is selected."""

    @property
    def effective_schema(self) -> dict[str, Any]:
        """The JSON Schema of the stream's records, with the columns that are not selected."""

    @property
    def mask(self) -> SelectionMask:
        """Whether each column is selected, by breadcrumb."""

    @property
    def primary_keys(self) -> Sequence[str]:
        """The columns of the primary key."""


class StreamMapper(PluginMapper):
    """The SDK's mapper, for selected streams, with errors that name the stream, the column and the cause."""

    def register(self, streams: Iterable[MappableStream]) -> list[str]:
        """Compile the maps of `streams`; return one line for each thing that is wrong with maps or flattening."""
        problems: dict[str, list[str]] = {}
        for stream in streams:
            if stream.selected and not self._removes(stream.name):
                if problem := self._register(stream):
                    problems.setdefault(problem, []).append(stream.name)
            else:
                # Unselected streams are written by `--test=schema` and `--test=records` only.
                kind = RemoveRecordTransform if stream.selected else SameRecordTransform
                self.stream_maps[stream.name] = [
                    kind(stream.name, stream.effective_schema, stream.primary_keys, None)
                ]
        return [f"{problem}{_for_streams(problem, names)}" for problem, names in problems.items()]

    def _removes(self, stream: str) -> bool:
        """Return whether the maps leave nothing of a stream."""
        maps = [value for key, value in self.stream_maps_dict.items() if _applies(key, value, stream)]
        if not maps:
            return self.default_mapper_type is RemoveRecordTransform
        return not any(isinstance(value, dict) for value in maps)

    def _register(self, stream: MappableStream) -> str:
        """Compile the maps of a stream; return what is wrong with them, empty if nothing is."""
        schema = get_selected_schema(stream.name, stream.effective_schema, stream.mask)
        all_maps = self.stream_maps_dict
        # The SDK evaluates the aliases of other streams, too.
        self.stream_maps_dict = {
            key: value for key, value in all_maps.items() if _applies(key, value, stream.name)
        }
        try:
            self.register_raw_stream_schema(stream.name, schema, stream.primary_keys)
        except (StreamMapConfigError, MapExpressionError) as error:
            return f"stream_maps: {error}"
        except ValueError:
            # The SDK's only error of this type: two columns have the same name after flattening.
            return self._flattening_problem("gives two columns the same name")
        finally:
            self.stream_maps_dict = all_maps
        maps = self.stream_maps[stream.name]
        self._name_expressions(stream, [each for each in maps if isinstance(each, CustomStreamMap)])
        for stream_map in maps:
            keys = frozenset(stream_map.transformed_key_properties or ())
            if stream_map.flattening_enabled and keys - stream_map.transformed_schema["properties"].keys():
                return self._flattening_problem("renames a column of the primary key")
        return ""

    def _flattening_problem(self, problem: str) -> str:
        options = self.flattening_options
        if options.max_key_length < DEFAULT_MAX_KEY_LENGTH:
            return f"flattening_max_key_length: {options.max_key_length} {problem}; leave it out, or set it to 64"
        return f"flattening_separator: {options.separator!r} {problem}; choose another, such as __"

    def _name_expressions(self, stream: MappableStream, maps: list[CustomStreamMap]) -> None:
        """Make the errors of expressions name the column that they belong to."""
        places = {
            expression: f"{key}.{column}"
            for key, definition in self.stream_maps_dict.items()
            if isinstance(definition, dict) and _applies(key, definition, stream.name)
            for column, expression in definition.items()
            if isinstance(expression, str)
        }
        for stream_map in maps:
            # A public attribute; the SDK has no hook for the errors of expressions.
            evaluator: Any = stream_map.expr_evaluator
            evaluator.eval = _Evaluate(evaluator, evaluator.eval, places, tuple(stream.primary_keys))


@dataclass
class _Evaluate:
    """The evaluation of the expressions of a map."""

    evaluator: Any
    evaluate: Callable[..., Any]
    """The evaluator's own method."""
    places: Mapping[str, str]
    """Expression -> key of the map and column."""
    keys: tuple[str, ...]
    """The columns of the primary key."""

    def __call__(self, expression: str, previously_parsed: ast.AST | None = None) -> Any:  # noqa: ANN401 - any value
        """Return the value of an expression for the record that the evaluator holds.

        Raises:
            ExpressionError: the expression fails for it.
        """
        try:
            return self.evaluate(expression, previously_parsed)
        except RecursionError:
            raise
        except Exception as error:
            record = self.evaluator.names
            key = "-".join(str(record.get(name)) for name in self.keys)
            cause = (
                str(error) if isinstance(error, _ERRORS_WITHOUT_VALUES) else f"fails with {type(error).__name__}"
            )
            place, advice = self.places.get(expression, expression), _null_advice(expression, record, error)
            raise ExpressionError(f"{place}: {cause} (record {key}){advice}") from error


def _null_advice(expression: str, record: Mapping[str, Any], error: Exception) -> str:
    """Return which columns of an expression are null in a record, and what to do about it."""
    if isinstance(error, (simpleeval.FunctionNotDefined, simpleeval.NameNotDefined)):
        return ""
    names = (node.id for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.Name))
    nulls = [name for name in dict.fromkeys(names) if name in record and record[name] is None]
    if not nulls:
        return ""
    return f"; {' and '.join(nulls)} is null there: an expression must hold for null, as {nulls[0]} or '' does"


# What can be known without a record.


def stream_map_problems(maps: Mapping[str, Any], streams: Iterable[MappableStream]) -> list[str]:
    """Return one line for each thing that is wrong with the setting `stream_maps`, whose structure is checked.

    A map that matches no stream is wrong: what it should have removed or masked would reach the loader. A map has
    no effect on streams that are not selected, and is not checked for them.
    """
    columns = [_Columns.of(stream) for stream in streams]
    everything = frozenset(chain.from_iterable(stream.all for stream in columns))
    problems: dict[str, list[str]] = {}
    for key, definition in maps.items():
        if key == "__else__":
            continue
        matched = [stream for stream in columns if _applies(key, definition, stream.stream)]
        if not matched:
            pattern = _pattern(key, definition)
            problems[f"no stream is called {pattern!r}{suggest(pattern, [each.stream for each in columns])}"] = []
        for stream in matched if isinstance(definition, dict) else ():
            if stream.is_selected:
                for place, problem in _definition_problems(definition, stream, everything):
                    problems.setdefault(f"{key}.{place}: {problem}", []).append(stream.stream)
    return [f"stream_maps: {problem}{_for_streams(problem, names)}" for problem, names in problems.items()]


@dataclass(frozen=True)
class _Columns:
    """The columns of a stream."""

    stream: str
    is_selected: bool
    all: frozenset[str]
    selected: frozenset[str]
    keys: tuple[str, ...]

    @staticmethod
    def of(stream: MappableStream) -> _Columns:
        names = frozenset(stream.effective_schema.get("properties", {}))
        selected = frozenset(name for name in names if stream.mask["properties", name])
        return _Columns(stream.name, stream.selected, names, selected, tuple(stream.primary_keys))


def _pattern(key: str, definition: object) -> str:
    return str(definition.get("__source__", key)) if isinstance(definition, dict) else key


def _applies(key: str, definition: object, stream: str) -> bool:
    """Return whether the SDK applies a map to a stream."""
    pattern = _pattern(key, definition)
    return stream == pattern or fnmatch.fnmatch(stream, pattern)


def _for_streams(problem: str, names: list[str]) -> str:
    """Return for which streams a problem was found, unless it names the stream already."""
    if not names or (len(names) == 1 and problem.startswith(f"{names[0]}.")):
        return ""
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return f" (streams: {', '.join(names[:_MAX_NAMES])}{more})"


def _definition_problems(
    definition: Mapping[str, Any], stream: _Columns, everything: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """Yield (column or option, problem) for the map of one stream; `everything` are the columns of all streams."""
    for place, expression in definition.items():
        is_expression = place == "__filter__" or place not in STREAM_MAP_OPTIONS
        if is_expression and isinstance(expression, str) and expression != NULL_STRING:
            known = (
                stream.selected | _functions() | _RECORD_NAMES | ({"self"} if place in stream.selected else set())
            )
            for problem in _expression_problems(expression, known, stream, everything):
                yield place, problem
    if "__alias__" in definition and not _is_alias(definition["__alias__"], stream.stream):
        yield "__alias__", "cannot be evaluated to a name; put a name with blanks, digits or signs in quotes"
    yield from _key_problems(definition, stream)


def _is_alias(expression: str, stream: str) -> bool:
    try:
        # No public function of the SDK evaluates an alias.
        alias: object = PluginMapper._eval_stream(expression, stream)  # noqa: SLF001
    except Exception:  # noqa: BLE001 - whatever an expression raises
        return False
    return isinstance(alias, str) and alias != ""


def _key_problems(definition: Mapping[str, Any], stream: _Columns) -> Iterator[tuple[str, str]]:
    """Yield (column or option, problem) for key columns that the mapped records do not have."""
    made = {name for name, value in definition.items() if value is not None and value != NULL_STRING}
    kept = made if "__else__" in definition else (stream.selected - definition.keys()) | made
    given = definition.get("__key_properties__", stream.keys)
    for key in given or ():
        if key in kept:
            continue
        if "__key_properties__" in definition:
            yield "__key_properties__", f"the mapped records have no column {key!r}{suggest(key, kept)}"
        elif key in definition:
            yield key, "a key column cannot be removed; set __key_properties__ to other columns"
        else:
            yield "__else__", f"removes the key column {key}; keep it with {key}: {key}"


def _expression_problems(
    expression: str, known: frozenset[str], stream: _Columns, everything: frozenset[str]
) -> Iterator[str]:
    """Yield what is wrong with an expression, whatever the record is."""
    try:
        statement = _parsed(expression)
    except ValueError as error:
        yield str(error)
        return
    nodes = list(ast.walk(statement))
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    for name in sorted(called - _functions()):
        yield f"Function {name!r} not defined; available: {', '.join(sorted(_functions()))}"
    assigned = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    certain = set(_names(statement))
    used = {name for node in nodes if (name := _name_of(node))}
    for name in sorted(used - called - assigned - known):
        # In a branch, `title if 'title' in record else None` is right for streams without such a column.
        if name in certain or name not in everything:
            is_column = name in stream.all
            undefined = f"Name {name!r} not defined{suggest(name, known)}"
            yield f"the column {name} is not selected" if is_column else undefined


def _parsed(expression: str) -> ast.Expr:
    """Return an expression as a tree.

    Raises:
        ValueError: it is none; the message says why.
    """
    try:
        statement = next(iter(ast.parse(expression).body), None)
    except SyntaxError as error:
        raise ValueError(f"not a valid expression: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        raise ValueError("not a valid expression: it has a NUL character or is nested too deeply") from None
    if not isinstance(statement, ast.Expr):
        raise ValueError("not an expression")  # noqa: TRY004 - one error for all that is wrong with it
    return statement


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the names that are read whatever the values are: not those in the branches of a condition."""
    if name := _name_of(node):
        yield name
    for child in _always_evaluated(node):
        yield from _names(child)


def _name_of(node: ast.AST) -> str:
    """Return the name that a node reads, as `title` or as `record["title"]`; empty if it reads none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in {"_", "record"}:
        key = node.slice
        return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else ""
    return ""


def _always_evaluated(node: ast.AST) -> Iterable[ast.AST]:
    if isinstance(node, ast.IfExp):
        return [node.test]
    if isinstance(node, ast.BoolOp):
        return node.values[:1]
    if isinstance(node, ast.Compare):
        return [node.left, node.comparators[0]]
    if isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.DictComp)):
        return [node.generators[0].iter]
    return ast.iter_child_nodes(node)


@cache
def _functions() -> frozenset[str]:
    """Return the functions of expressions, and the name of the Faker instance if Faker is installed."""
    stream_map = CustomStreamMap("", {}, {}, {"properties": {}}, None, {}, None)
    return frozenset(stream_map.expr_evaluator.functions) | ({"fake"} if stream_map.fake else set())
