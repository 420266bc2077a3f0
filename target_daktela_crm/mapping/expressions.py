"""Compile expressions: JMESPath with functions for CRM records.

Columns are found in all their spellings (`columns.py`), and lists also in JSON texts. An expression that is only
the name of a column is compiled to a dictionary access, which is several times faster than JMESPath's interpreter.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import jmespath
from jmespath.exceptions import JMESPathError, JMESPathTypeError
from jmespath.visitor import Options, TreeInterpreter

from tap_daktela.cli.config import suggest
from target_daktela_crm.mapping.columns import Column, column, from_json
from target_daktela_crm.mapping.functions import Functions
from target_daktela_crm.mapping.values import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

Getter: TypeAlias = Callable[[dict[str, Any]], Any]
"""Returns a value of a record.

Raises:
    UnreadableError: the expression cannot be evaluated for this record.
"""

# Types of nodes of which only the first child is evaluated with the whole record.
_INNER = frozenset({"subexpression", "pipe", "projection", "value_projection", "filter_projection"})
_OF_ANY_TYPES = frozenset({"flag", "present", "when"})
"""Functions whose arguments may have any type, so that they need no check."""
_OVER_LISTS = frozenset({"projection", "filter_projection", "flatten", "index_expression"})


class Expression(NamedTuple):
    """A compiled expression."""

    text: str
    get: Getter
    columns: tuple[Column, ...]
    """All columns that it names."""
    sources: tuple[Column, ...]
    """The columns that its value comes from: all but those in conditions of `when`."""


class ExpressionError(ValueError):
    """An expression that cannot be used; the message says why."""


def compile_expression(
    text: str,
    null_values: Collection[str] = (),
    places: Sequence[str] = (),
    decode: Callable[[Any], Any] | None = None,
) -> Expression:
    """Return the compiled expression.

    Args:
        text: The expression.
        null_values: Texts that count as no value in functions.
        places: Where columns are in a record, with `{}` for their name.
        decode: Applied to the value of each of the record's columns.

    Raises:
        ExpressionError: it does not parse, calls an unknown function, or passes too few arguments to one.
    """
    try:
        with warnings.catch_warnings():
            # JMESPath warns about literals that are not JSON, and uses them as texts.
            warnings.simplefilter("error")
            parsed: Any = jmespath.compile(text).parsed
        named = _NamedColumns([], [], decode)
        tree = _with_columns(parsed, tuple(places), named)
    except (JMESPathError, PendingDeprecationWarning) as error:
        reason = str(error).splitlines()[0].removesuffix(", for expression:")
        raise ExpressionError(f"does not parse as JMESPath: {reason}") from None
    except RecursionError:
        raise ExpressionError("is nested too deeply") from None
    for name, arguments in _calls(tree):
        _check_call(name, arguments)
    functions = Functions(null_values)
    get = _direct(tree, functions) or _interpret(tree, Options(custom_functions=functions))
    return Expression(text, get, (*named.sources, *named.conditions), tuple(named.sources))


class _NamedColumns(NamedTuple):
    """The columns that an expression names."""

    sources: list[Column]
    conditions: list[Column]
    decode: Callable[[Any], Any] | None


class _Interpreter(TreeInterpreter):
    """JMESPath's interpreter with two more types of nodes."""

    def visit_column(self, node: Any, value: Any) -> Any:
        """Return the value of a column."""
        return node["value"](value) if isinstance(value, dict) else None

    def visit_as_list(self, node: Any, value: Any) -> Any:
        """Return a list that may be a JSON text."""
        return from_json(self.visit(node["children"][0], value))


def _direct(node: Any, functions: Functions) -> Getter | None:
    """Return a getter for a column, or for a condition on columns; None for any other expression.

    It takes a third of the time of JMESPath's interpreter.
    """
    if node["type"] in {"column", "literal"}:
        value: Any = node["value"]
        return value if node["type"] == "column" else lambda _: value
    parts = [_direct(child, functions) if isinstance(child, dict) else None for child in node["children"]]
    inner = [part for part in parts if part is not None]
    if len(inner) < len(parts):
        return None
    if node["type"] == "not_expression":
        return lambda record: _is_false(inner[0](record))
    if node["type"] == "or_expression":
        return lambda record: inner[1](record) if _is_false(value := inner[0](record)) else value
    if node["type"] == "function_expression" and node["value"] in _OF_ANY_TYPES:
        call = getattr(functions, f"_func_{node['value']}")
        return lambda record: call(*[part(record) for part in inner])
    return None


def _is_false(value: Any) -> bool:
    """Return whether JMESPath takes a value for false."""
    return value is None or value is False or value in ("", [], {})


def _interpret(tree: Any, options: Options) -> Getter:
    interpreter = _Interpreter(options)

    def get(record: dict[str, Any]) -> Any:
        try:
            return interpreter.visit(tree, record)
        except UnreadableError:
            raise
        except JMESPathTypeError as error:
            # The text of the error itself repeats the value.
            what = f"{error.function_name}() takes {' or '.join(error.expected_types)}, not {error.actual_type}"
            raise UnreadableError(what) from None
        except (JMESPathError, TypeError, ValueError, ArithmeticError, AttributeError, re.error) as error:
            raise UnreadableError(f"JMESPath ends in {type(error).__name__}") from None

    return get


def _with_columns(node: Any, places: tuple[str, ...] | None, named: _NamedColumns) -> Any:
    """Return an expression's tree with columns in place of paths, and add the record's own columns to `named`.

    `places` is None for a node that is evaluated inside a value of the record. Literals with a decimal point
    become `Decimal`, as in records.
    """
    node = _with_complete_path(node)
    kind = node["type"]
    if kind == "literal":
        return {**node, "value": _decimals(node["value"])}
    path = _path(node)
    if path is not None:
        found = column(path, places or ())
        if places is None:
            return {"type": "column", "value": found.get, "children": []}
        named.sources.append(found)
        return {"type": "column", "value": _decoded(found.get, named.decode), "children": []}
    children = list(node["children"])
    before = len(named.sources)
    for place, child in enumerate(children):
        if place == 1 and kind in {"projection", "filter_projection"}:
            _note_element_key(named.sources, before, child)
        if isinstance(child, dict):
            is_inner = (kind in _INNER and place > 0) or kind == "expref"
            is_condition = kind == "function_expression" and node["value"] == "when" and place == 0
            of_child = named._replace(sources=named.conditions) if is_condition else named
            children[place] = _with_columns(child, None if is_inner else places, of_child)
    if kind in _OVER_LISTS and children[0]["type"] == "column":
        children[0] = {"type": "as_list", "children": [children[0]]}
    return {**node, "children": children}


def _decoded(get: Getter, decode: Callable[[Any], Any] | None) -> Getter:
    return get if decode is None else lambda record: decode(get(record))


def _note_element_key(columns: list[Column], start: int, of_element: Any) -> None:
    """Note which key of its elements an expression needs of a list, such as `value` in `phones[].value`.

    `columns` from `start` on are those of the list, and `of_element` is evaluated for each of its elements.
    """
    while of_element["type"] == "subexpression":
        of_element = of_element["children"][0]
    if of_element["type"] == "field" and len(columns) == start + 1:
        found = columns[start]
        columns[start] = found._replace(element_keys=found.element_keys | {of_element["value"]})


def _with_complete_path(node: Any) -> Any:
    """Return an equivalent tree that starts with the complete path.

    JMESPath parses `a.b[0]` as `a.(b[0])`, which is returned as `(a.b)[0]`.
    """
    if node["type"] != "subexpression":
        return node
    count = next(
        (place for place, child in enumerate(node["children"]) if child["type"] != "field"), len(node["children"])
    )
    names, rest = node["children"][:count], node["children"][count:]
    if not names or not rest:
        return node
    head, *others = rest
    if _name_before_brackets(head) is not None:
        whole = _with_prefix(head, names)
        return {**node, "children": [whole, *others]} if others else whole
    return {**node, "children": [{**node, "children": names}, *rest]} if count > 1 else node


def _name_before_brackets(node: Any) -> Any:
    """Return the node of the name before the brackets, or None if it is not a name."""
    while node["type"] in _OVER_LISTS:
        node = node["children"][0]
    return node if node["type"] == "field" else None


def _with_prefix(node: Any, names: list[Any]) -> Any:
    if node["type"] == "field":
        return {"type": "subexpression", "children": [*names, node]}
    return {**node, "children": [_with_prefix(node["children"][0], names), *node["children"][1:]]}


def _path(node: Any) -> tuple[str, ...] | None:
    """Return the names of a path, or None if the node is not a path of names only."""
    if node["type"] == "field":
        return (str(node["value"]),)
    if node["type"] != "subexpression":
        return None
    parts = [_path(child) for child in node["children"]]
    return None if None in parts else tuple(name for part in parts for name in part or ())


def _decimals(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(repr(value))
    return [_decimals(each) for each in value] if isinstance(value, list) else value


def _calls(tree: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Yield each function call in an expression, with its arguments."""
    if tree["type"] == "function_expression":
        yield tree["value"], tree["children"]
    for child in tree["children"]:
        if isinstance(child, dict):
            yield from _calls(child)


def _check_call(name: str, arguments: list[Any]) -> None:
    entry = Functions.FUNCTION_TABLE.get(name)
    if entry is None:
        raise ExpressionError(f"there is no function {name}(){suggest(name, Functions.FUNCTION_TABLE)}")
    signature = entry["signature"]
    variadic = bool(signature) and bool(signature[-1].get("variadic"))
    if len(arguments) < len(signature) or (len(arguments) > len(signature) and not variadic):
        count = f"{len(signature)} argument{'s' if len(signature) > 1 else ''}"
        raise ExpressionError(f"{name}() takes {count}{' or more' if variadic else ''}")
    if name in {"matches", "replaced"} and arguments[1]["type"] == "literal":
        try:
            re.compile(str(arguments[1]["value"]))
        except re.error as error:
            raise ExpressionError(f"{name}() has a pattern that is no regular expression: {error}") from None
