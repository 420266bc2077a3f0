"""Expressions: JMESPath in, a function from a record to a value out.

Plain names and paths become plain look-ups, which are several times faster than JMESPath's interpreter; a nested
path also finds its flattened spellings (`properties.phone` is `properties__phone` or `properties_phone` after
flattening). Further functions than JMESPath's own stand in `_Functions`, each with the need that it answers.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import jmespath
import msgspec
from jmespath import functions
from jmespath.exceptions import JMESPathError, JMESPathTypeError
from jmespath.visitor import Options, TreeInterpreter

from tap_daktela.api.config import suggest
from target_daktela_crm.values import UnreadableError, read_flag, read_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

Look: TypeAlias = Callable[[dict[str, Any]], Any]
"""Takes a record, returns a value of it.

Raises:
    UnreadableError: the value cannot be had from this record.
"""

# JMESPath's own notation of what a function takes; an empty list of types means any.
_ANY: Any = {"types": []}
_ANY_NUMBER_OF: Any = {"types": [], "variadic": True}
_TEXT: Any = {"types": ["string"]}
_MAYBE_TEXT: Any = {"types": ["string", "null"]}


class ExpressionError(ValueError):
    """An expression that cannot be used; the message says why."""


def compile_expression(text: str, nulls: Collection[str] = ()) -> Look:
    """Return the look-up that `text` describes; texts in `nulls` count as nothing in `coalesce` and `joined`.

    Raises:
        ExpressionError: it does not parse, or calls a function that does not exist, or with too few arguments.
    """
    try:
        with warnings.catch_warnings():
            # What it says of literals that are no JSON, and takes for texts.
            warnings.simplefilter("error")
            parsed: Any = _with_decimals(jmespath.compile(text).parsed)
    except (JMESPathError, PendingDeprecationWarning) as error:
        reason = str(error).splitlines()[0].removesuffix(", for expression:")
        raise ExpressionError(f"does not parse as JMESPath: {reason}") from None
    except RecursionError:
        raise ExpressionError("is nested too deeply") from None
    for name, arguments in _calls(parsed):
        _check_call(name, arguments)
    path = _plain_path(parsed)
    if path is not None:
        return _look_up(path)
    return _interpret(parsed, Options(custom_functions=_Functions(nulls)))


def plain_path(text: object) -> tuple[str, ...] | None:
    """Return the names of an expression that is a plain path, None for any other."""
    try:
        return _plain_path(jmespath.compile(text).parsed) if isinstance(text, str) else None
    except (JMESPathError, RecursionError):
        return None


def _look_up(path: tuple[str, ...]) -> Look:
    if len(path) == 1:
        [name] = path
        return lambda record: record.get(name)
    first, *rest = path
    flattened = ("__".join(path), "_".join(path))

    def look(record: dict[str, Any]) -> Any:
        value = record.get(first)
        for name in rest:
            value = value.get(name) if isinstance(value, dict) else None
        if value is None:
            for name in flattened:
                if (value := record.get(name)) is not None:
                    break
        return value

    return look


def _interpret(parsed: Any, options: Options) -> Look:
    interpreter = TreeInterpreter(options)

    def look(record: dict[str, Any]) -> Any:
        try:
            return interpreter.visit(parsed, record)
        except UnreadableError:
            raise
        except JMESPathTypeError as error:
            # Its own text repeats the value.
            what = f"{error.function_name}() takes {' or '.join(error.expected_types)}, not {error.actual_type}"
            raise UnreadableError(what) from None
        except (JMESPathError, TypeError, ValueError, ArithmeticError, AttributeError, re.error) as error:
            raise UnreadableError(f"JMESPath ends in {type(error).__name__}") from None

    return look


def _plain_path(parsed: Any) -> tuple[str, ...] | None:
    """Return the names of a path that consists of names only."""
    if parsed["type"] == "field":
        return (str(parsed["value"]),)
    if parsed["type"] != "subexpression":
        return None
    parts = [_plain_path(child) for child in parsed["children"]]
    return None if None in parts else tuple(name for part in parts for name in part or ())


def _with_decimals(node: Any) -> Any:
    """Return an expression whose literals with a point are decimals, as the numbers of records are."""
    if node["type"] == "literal":
        return {**node, "value": _decimals(node["value"])}
    return {
        **node,
        "children": [_with_decimals(each) if isinstance(each, dict) else each for each in node["children"]],
    }


def _decimals(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(repr(value))
    return [_decimals(each) for each in value] if isinstance(value, list) else value


def _calls(parsed: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Yield each function call in an expression, with its arguments."""
    if parsed["type"] == "function_expression":
        yield parsed["value"], parsed["children"]
    for child in parsed["children"]:
        if isinstance(child, dict):
            yield from _calls(child)


def _check_call(name: str, arguments: list[Any]) -> None:
    entry = _Functions.FUNCTION_TABLE.get(name)
    if entry is None:
        raise ExpressionError(f"there is no function {name}(){suggest(name, _Functions.FUNCTION_TABLE)}")
    signature = entry["signature"]
    variadic = bool(signature) and bool(signature[-1].get("variadic"))
    if len(arguments) < len(signature) or (len(arguments) > len(signature) and not variadic):
        count = f"{len(signature)} argument{'s' if len(signature) > 1 else ''}"
        raise ExpressionError(f"{name}() takes {count}{' or more' if variadic else ''}")
    if name == "matches" and arguments[1]["type"] == "literal":
        try:
            re.compile(str(arguments[1]["value"]))
        except re.error as error:
            raise ExpressionError(f"matches() has a pattern that is no regular expression: {error}") from None


class _Functions(functions.Functions):
    """What JMESPath lacks for the records of CRMs. The names and arguments are those that the README lists."""

    def __init__(self, nulls: Collection[str]) -> None:
        self._nulls = nulls

    def _get_allowed_pytypes(self, types: Any) -> tuple[list[str], list[Any]]:
        """Let decimals be numbers: the reader makes one of every number with a point, so that none is rounded."""
        plain, inside = super()._get_allowed_pytypes(types)  # type: ignore[misc]
        more = ["Decimal"] if "float" in plain else []
        return [*plain, *more], [(*names, "Decimal") if "float" in names else names for names in inside]

    def _convert_to_jmespath_type(self, name: str) -> str:
        return "number" if name == "Decimal" else str(super()._convert_to_jmespath_type(name))  # type: ignore[misc]

    @functions.signature(_ANY_NUMBER_OF)
    def _func_coalesce(self, *values: Any) -> Any:
        """Return the first of the values that is not empty."""
        return next((value for value in values if not is_empty(value, self._nulls)), None)

    @functions.signature(_TEXT, _ANY_NUMBER_OF)
    def _func_joined(self, separator: str, *values: Any) -> str | None:
        """Return the texts of the values that are not empty, separated; lists give their elements."""
        texts = [read_text(value) or "" for value in flat(values) if not is_empty(value, self._nulls)]
        return separator.join(text.strip() for text in texts) or None

    @functions.signature(_ANY, _ANY_NUMBER_OF)
    def _func_when(self, condition: Any, value: Any, *otherwise: Any) -> Any:
        """Return a value if a condition says yes, otherwise another one or null."""
        return value if read_flag(condition) else next(iter(otherwise), None)

    @functions.signature(_ANY)
    def _func_flag(self, value: Any) -> bool:
        """Return whether a value says yes in any of the spellings of CRMs."""
        return read_flag(value)

    @functions.signature(_ANY)
    def _func_present(self, value: Any) -> bool:
        """Return whether there is a value."""
        return not is_empty(value, self._nulls)

    @functions.signature(_ANY, _TEXT)
    def _func_matches(self, value: Any, pattern: str) -> bool:
        """Return whether a regular expression is found in a text, whatever the case of its letters."""
        return re.search(pattern, read_text(value) or "", re.IGNORECASE) is not None

    @functions.signature(_MAYBE_TEXT, _TEXT)
    def _func_split(self, text: str | None, separator: str) -> list[str]:
        """Return the parts of a text, such as `a@example.com;b@example.com`."""
        return [part.strip() for part in (text or "").split(separator)] if text else []

    @functions.signature(_ANY)
    def _func_from_json(self, value: Any) -> Any:
        """Return what a text of JSON holds; null if it is none."""
        if not isinstance(value, str):
            return value
        try:
            return msgspec.json.Decoder(float_hook=Decimal).decode(value)
        except (msgspec.DecodeError, UnicodeError):
            return None

    @functions.signature(_ANY)
    def _func_lower(self, value: Any) -> str | None:
        """Return a text in lower case, for ids that are spelled in both."""
        text = read_text(value)
        return None if text is None else text.lower()

    @functions.signature(_ANY)
    def _func_to_string(self, value: Any) -> str | None:
        """Return the text of a value; JMESPath's own puts decimals into quotation marks."""
        return read_text(value)

    @functions.signature(_ANY)
    def _func_type(self, value: Any) -> Any:
        """Return the name of a value's type; JMESPath's own knows no decimals."""
        return "number" if isinstance(value, Decimal) else super()._func_type(value)  # type: ignore[misc]

    @functions.signature({"types": ["array", "null"]}, {"types": ["expref"]})
    def _func_first_those(self, values: list[Any] | None, condition: Any) -> list[Any]:
        """Return a list with those elements first that a condition is true of, such as the primary address."""
        return sorted(values or [], key=lambda value: not read_flag(condition.visit(condition.expression, value)))


def is_empty(value: object, nulls: Collection[str] = ()) -> bool:
    """Return whether a value counts as nothing: null, an empty text, list or object, or a text in `nulls`."""
    if value is None:
        return True
    if isinstance(value, str):
        stripped = value.strip()
        return not stripped or value in nulls or stripped in nulls
    return isinstance(value, (list, dict)) and not value


def flat(value: object) -> Iterator[Any]:
    """Yield the elements of a list, those of lists inside it included; anything else as it is."""
    if isinstance(value, (list, tuple)):
        for element in value:
            yield from flat(element)
    else:
        yield value


def function_help() -> dict[str, str]:
    """Return what each function of our own returns, by how it is called."""
    own = {name: method for name, method in vars(_Functions).items() if name in _SHOWN}
    return {
        f"{name.removeprefix('_func_')}({_SHOWN[name]})": (inspect.getdoc(method) or "").splitlines()[0]
        for name, method in own.items()
    }


_SHOWN = {
    "_func_coalesce": "a, b, …",
    "_func_joined": "separator, a, b, …",
    "_func_when": "condition, value[, otherwise]",
    "_func_flag": "value",
    "_func_present": "value",
    "_func_matches": "value, pattern",
    "_func_split": "text, separator",
    "_func_from_json": "text",
    "_func_lower": "text",
    "_func_to_string": "value",
    "_func_first_those": "list, &condition",
}
"""How each function is called, for the README."""
