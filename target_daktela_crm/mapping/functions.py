"""The functions that expressions have in addition to JMESPath's own; `docs/target/mapping.md` lists them."""

from __future__ import annotations

import inspect
import re
from decimal import Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from jmespath import functions

from target_daktela_crm.mapping.columns import from_json
from target_daktela_crm.mapping.values import clean_name, flatten, is_empty, read_flag, read_text

if TYPE_CHECKING:
    from collections.abc import Collection

    from nameparser import ParsedName, Parser

# JMESPath's notation for the arguments of a function; an empty list of types allows any type.
_ANY: Any = {"types": []}
_ANY_NUMBER_OF: Any = {"types": [], "variadic": True}
_TEXT: Any = {"types": ["string"]}
_MAYBE_TEXT: Any = {"types": ["string", "null"]}
_LIST: Any = {"types": ["array", "string", "null"]}


class Functions(functions.Functions):
    """JMESPath's own functions and ours."""

    def __init__(self, null_values: Collection[str]) -> None:
        self._null_values = null_values

    def _get_allowed_pytypes(self, types: Any) -> tuple[list[str], list[Any]]:
        """Treat `Decimal` as a number: the reader decodes all numbers with a decimal point to it."""
        plain, inside = super()._get_allowed_pytypes(types)  # type: ignore[misc]
        more = ["Decimal"] if "float" in plain else []
        return [*plain, *more], [(*names, "Decimal") if "float" in names else names for names in inside]

    def _convert_to_jmespath_type(self, name: str) -> str:
        return "number" if name == "Decimal" else str(super()._convert_to_jmespath_type(name))  # type: ignore[misc]

    def _is_true(self, value: Any) -> bool:
        return not is_empty(value, self._null_values) and read_flag(value)

    @functions.signature(_ANY_NUMBER_OF)
    def _func_coalesce(self, *values: Any) -> Any:
        """Return the first of the values that is not empty; lists give their elements."""
        return next((value for value in flatten(values) if not is_empty(value, self._null_values)), None)

    @functions.signature(_TEXT, _ANY_NUMBER_OF)
    def _func_joined(self, separator: str, *values: Any) -> str | None:
        """Return the texts of the values that are not empty, separated; lists give their elements."""
        texts = [read_text(value) or "" for value in flatten(values) if not is_empty(value, self._null_values)]
        return separator.join(text.strip() for text in texts) or None

    @functions.signature(_ANY, _ANY_NUMBER_OF)
    def _func_when(self, condition: Any, value: Any, *otherwise: Any) -> Any:
        """Return a value if a condition is true, otherwise another value or null."""
        return value if self._is_true(condition) else next(iter(otherwise), None)

    @functions.signature(_ANY)
    def _func_flag(self, value: Any) -> bool:
        """Return whether a value means true, in any spelling that CRMs use."""
        return self._is_true(value)

    @functions.signature(_ANY)
    def _func_present(self, value: Any) -> bool:
        """Return whether a value is not empty."""
        return not is_empty(value, self._null_values)

    @functions.signature(_ANY, _TEXT)
    def _func_matches(self, value: Any, pattern: str) -> bool:
        """Return whether a regular expression matches a part of a text, ignoring case."""
        return re.search(pattern, read_text(value) or "", re.IGNORECASE) is not None

    @functions.signature(_MAYBE_TEXT, _TEXT)
    def _func_split(self, text: str | None, separator: str) -> list[str]:
        """Return the parts of a text, such as `a@example.com;b@example.com`."""
        return [part.strip() for part in (text or "").split(separator)] if text else []

    @functions.signature(_ANY)
    def _func_from_json(self, value: Any) -> Any:
        """Return the content of a JSON text, or null if the text is not JSON."""
        return from_json(value)

    @functions.signature(_ANY)
    def _func_pairs(self, value: Any) -> Any:
        """Return an object as a list of `{name, value}`; a list is returned unchanged."""
        content = from_json(value)
        if not isinstance(content, dict):
            return content
        return [{"name": name, "value": element} for name, element in content.items()]

    @functions.signature(_ANY, _TEXT, _TEXT)
    def _func_replaced(self, value: Any, pattern: str, replacement: str) -> str | None:
        """Return a text in which a replacement is put in place of each match of a regular expression."""
        text = read_text(value)
        return None if text is None else re.sub(pattern, lambda _: replacement, text)

    @functions.signature(_MAYBE_TEXT)
    def _func_firstname(self, name: str | None) -> str | None:
        """Return the given names in a full name; null for a single word, which counts as a last name."""
        parsed = _parsed(name or "")
        return clean_name(f"{parsed.given} {parsed.middle}") if parsed.family else None

    @functions.signature(_MAYBE_TEXT)
    def _func_lastname(self, name: str | None) -> str | None:
        """Return the family name in a full name, without titles, unless a title is all that there is."""
        parsed = _parsed(name or "")
        family = clean_name(parsed.family or f"{parsed.given} {parsed.middle}")
        # King, Bishop and Judge are family names, too. Without them, a name in brackets or quotes is left.
        return family or clean_name(parsed.title or (clean_name(name) or "").strip(" ()[]\"'\u201c\u201d\u201e,"))

    @functions.signature(_ANY)
    def _func_lower(self, value: Any) -> str | None:
        """Return a text in lower case, for ids that occur in both upper and lower case."""
        return None if is_empty(value, self._null_values) else (read_text(value) or "").lower()

    @functions.signature(_ANY)
    def _func_to_string(self, value: Any) -> str | None:
        """Return the text of a value; JMESPath's own function puts decimals into quotation marks."""
        return read_text(value)

    @functions.signature(_ANY)
    def _func_type(self, value: Any) -> Any:
        """Return the name of a value's type; JMESPath's own function does not support decimals."""
        return "number" if isinstance(value, Decimal) else super()._func_type(value)  # type: ignore[misc]

    @functions.signature(_LIST, {"types": ["expref"]})
    def _func_first_those(self, values: Any, condition: Any) -> list[Any]:
        """Return a list whose elements that meet a condition, such as the primary address, come first."""
        elements = from_json(values)
        if not isinstance(elements, list):
            return []
        return sorted(elements, key=lambda value: not self._is_true(condition.visit(condition.expression, value)))


# Each name is parsed twice: for its given names, and for its family name.
@lru_cache(maxsize=1)
def _parsed(name: str) -> ParsedName:
    return _name_parser().parse(clean_name(name) or "")


@cache
def _name_parser() -> Parser:
    # Imported here, since it takes a tenth of a second, and only some presets split full names.
    from nameparser import Lexicon, Parser  # noqa: PLC0415

    # Czech and Slovak titles, particles, and the words for senior and junior.
    lexicon = Lexicon.default().add(
        suffix_words={"st", "ml", "dis", "bc", "mgr"},
        titles={"pan", "rndr", "phdr", "mudr", "judr", "mvdr", "thdr"},
        particles={"z", "ze"},
        maiden_markers={"roz", "rozená"},
    )
    return Parser(lexicon)


def function_help() -> dict[str, str]:
    """Return the first sentence on each of our own functions, by its signature."""
    own = {name: method for name, method in vars(Functions).items() if name in _SHOWN}
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
    "_func_pairs": "object",
    "_func_replaced": "text, pattern, replacement",
    "_func_firstname": "name",
    "_func_lastname": "name",
    "_func_lower": "text",
    "_func_to_string": "value",
    "_func_first_those": "list, &condition",
}
"""The arguments of each function, for `docs/target/mapping.md`."""
