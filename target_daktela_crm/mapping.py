"""A mapping in, which is data; what makes companies, contacts and links of a stream's records out.

A mapping says for each stream what its records are (`company`, `contact` or `link`, or several of these) and where
each attribute comes from, by an expression of `expressions.py` or a list of them. Presets are mappings that come
with the package; the setting `streams` goes over them, key by key. All of it is compiled before the first record:
whatever is wrong with a mapping is told with its place in the configuration, and nothing is read.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import TYPE_CHECKING, Any

from tap_daktela.api.config import suggest
from target_daktela_crm.entities import (
    Attributes,
    Nested,
    Style,
    Tally,
    company_role,
    contact_role,
    given_fields,
    link_role,
    mapped_fields,
)
from target_daktela_crm.expressions import ExpressionError, compile_expression, is_empty, plain_path

if TYPE_CHECKING:
    from collections import Counter

    from target_daktela_crm.entities import Record, Role
    from target_daktela_crm.expressions import Look

PRESETS = tuple(
    sorted(
        entry.name.removesuffix(".toml")
        for entry in resources.files("target_daktela_crm.presets").iterdir()
        if entry.name.endswith(".toml")
    )
)

_TEXTS = {"company": ("name", "description"), "contact": ("name", "firstname", "lastname", "description")}
_ATTRIBUTES = {
    "company": ("when", "id", "name", "description", "deleted", "modified", "fields", "contacts"),
    "contact": ("when", "id", "company", *_TEXTS["contact"], "deleted", "modified", "fields"),
    "contacts": ("list", "when", "id", *_TEXTS["contact"], "deleted", "modified", "fields"),
    "link": ("when", "id", "contact", "company", "primary", "deleted"),
}
"""What each role of a stream may say; `contacts` are those inside a company's record."""
_REQUIRED = {"company": ("id",), "contact": ("id",), "contacts": ("list", "id"), "link": ("contact", "company")}
_ROLES = ("company", "contact", "link")
_OF_STREAM = (*_ROLES, "aliases", "null_values", "raw")
_CHANGES = frozenset({"append", "prepend", "remove"})


@dataclass(frozen=True)
class StreamMapping:
    """What the records of a stream are."""

    name: str
    roles: tuple[Role, ...]


@dataclass(frozen=True)
class CrmMapping:
    """A whole mapping, compiled."""

    streams: tuple[StreamMapping, ...]
    by_name: Mapping[str, StreamMapping] = field(repr=False)
    tally: Tally = field(default_factory=Tally)

    @property
    def left_out(self) -> Counter[str]:
        """How many phone numbers and e-mails were none, so far."""
        return self.tally.left_out

    def stream(self, name: str) -> StreamMapping | None:
        """Return the mapping of a stream, by its name in any case or an alias; None where there is none."""
        return self.by_name.get(name.casefold())


class Problems(Exception):  # noqa: N818 - several errors
    """What is wrong with a mapping, a line for each thing, which begins with its place in the configuration."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def read_mapping(preset: str, streams: Mapping[str, Any] | None, phone_region: str | None) -> CrmMapping:
    """Return the mapping of a preset with `streams` over it.

    Raises:
        Problems: it says something that cannot be.
    """
    definition = load_preset(preset)
    merged, problems = merge(definition["streams"], streams or {})
    style = Style(
        raw=bool(definition.get("raw")),
        nulls=frozenset(definition.get("null_values", ())),
        phone_region=phone_region,
        tally=Tally(),
    )
    compiled: dict[str, StreamMapping] = {}
    for name, content in merged.items():
        place = f"streams.{name}"
        compiler = _Compiler(place, _style_of(content, style, place, problems), problems)
        mapping = StreamMapping(name, compiler.roles(content))
        for alias in (name, *_list_of_texts(content.get("aliases"), f"{place}.aliases", problems)):
            if compiled.setdefault(alias.casefold(), mapping) is not mapping:
                problems.append(f"{place}: {alias!r} names two streams of the mapping")
    if not merged:
        problems.append("streams: no stream is left of the mapping")
    if problems:
        raise Problems(problems)
    unique = {id(mapping): mapping for mapping in compiled.values()}
    return CrmMapping(tuple(unique.values()), compiled, style.tally)


def load_preset(name: str) -> dict[str, Any]:
    """Return a preset as it stands in its file."""
    return tomllib.loads(resources.files("target_daktela_crm.presets").joinpath(f"{name}.toml").read_text("utf-8"))


def preset_notes(name: str) -> dict[str, str]:
    """Return what the head of a preset's file says: `Made for`, `Left out` and `Deletes`, as sentences."""
    text = resources.files("target_daktela_crm.presets").joinpath(f"{name}.toml").read_text("utf-8")
    notes: dict[str, str] = {}
    key = ""
    for line in text.split("\n\n", 1)[0].splitlines():
        content = line.removeprefix("#").strip()
        head, colon, rest = content.partition(": ")
        if colon and head in {"Made for", "Left out", "Deletes"}:
            key, content = head, rest
        if key and content:
            notes[key] = f"{notes[key]} {content}" if key in notes else content
    return notes


# Merging.


def merge(preset: Mapping[str, Any], changes: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a preset's streams with `changes` over them, key by key, and what is wrong with the changes.

    A null removes what the preset has under a key. An object with `append`, `prepend` or `remove` changes a list
    of the preset; anything else that is no object replaces what is there.
    """
    problems: list[str] = []
    names = {name.casefold(): name for name in preset}
    merged = dict(preset)
    for name, change in changes.items():
        place, known = f"streams.{name}", names.get(name.casefold(), name)
        if change is None:
            merged.pop(known, None)
        elif isinstance(change, Mapping):
            merged[known] = _merge_objects(merged.get(known, {}), change, place, problems)
        else:
            problems.append(f"{place}: must be an object with {', '.join(_ROLES)}")
    return merged, problems


def _merge_objects(
    old: Mapping[str, Any], change: Mapping[str, Any], place: str, problems: list[str]
) -> dict[str, Any]:
    merged = dict(old)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and value and _CHANGES.issuperset(value):
            merged[key] = _merge_lists(old.get(key), value, f"{place}.{key}", problems)
        elif isinstance(value, Mapping):
            inner = old.get(key)
            merged[key] = _merge_objects(
                inner if isinstance(inner, Mapping) else {}, value, f"{place}.{key}", problems
            )
        else:
            merged[key] = value
    return merged


def _merge_lists(old: object, change: Mapping[str, Any], place: str, problems: list[str]) -> list[Any]:
    items = list(old) if isinstance(old, list) else [] if old is None else [old]
    for verb, value in change.items():
        given = value if isinstance(value, list) else [value]
        if verb == "remove":
            problems += [
                f"{place}.remove: {item!r} is not in the preset's list" for item in given if item not in items
            ]
            items = [item for item in items if item not in given]
        else:
            items = [*items, *given] if verb == "append" else [*given, *items]
    return items


# Compiling.


def _style_of(content: Mapping[str, Any], style: Style, place: str, problems: list[str]) -> Style:
    """Return the style of a stream, which may differ from the preset's."""
    if "null_values" in content:
        style = replace(
            style, nulls=frozenset(_list_of_texts(content["null_values"], f"{place}.null_values", problems))
        )
    raw = content.get("raw", style.raw)
    if not isinstance(raw, bool):
        problems.append(f"{place}.raw: must be true or false")
    return replace(style, raw=bool(raw))


def _list_of_texts(value: object, place: str, problems: list[str]) -> list[str]:
    """Return a list of texts, which may be given as one."""
    found = [value] if isinstance(value, str) else value
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        problems.append(f"{place}: must be a list of texts")
        return []
    return found


class _Compiler:
    """Makes look-ups out of expressions, and notes what is wrong with them."""

    def __init__(self, place: str, style: Style, problems: list[str]) -> None:
        self._place = place
        self._style = style
        self._problems = problems

    def roles(self, content: Mapping[str, Any]) -> tuple[Role, ...]:
        """Return the roles of a stream."""
        for key in content:
            if key not in _OF_STREAM:
                self._problems.append(f"{self._place}.{key}: there is no such key{suggest(key, _OF_STREAM)}")
        roles: list[Role] = []
        for name in _ROLES:
            if name in content and self._checked(name, content[name], f"{self._place}.{name}"):
                make = {"company": self._company, "contact": self._contact, "link": self._link}[name]
                roles.append(make(content[name], f"{self._place}.{name}"))
        if not roles and not self._problems:
            self._problems.append(f"{self._place}: says none of {', '.join(_ROLES)}")
        return tuple(roles)

    def _checked(self, role: str, content: object, place: str) -> bool:
        if not isinstance(content, Mapping):
            self._problems.append(f"{place}: must be an object")
            return False
        for key in content:
            if key not in _ATTRIBUTES[role]:
                hint = suggest(key, _ATTRIBUTES[role])
                self._problems.append(f"{place}.{key}: a {role.removesuffix('s')} has no such attribute{hint}")
        missing = [key for key in _REQUIRED[role] if key not in content or content[key] == []]
        self._problems += [f"{place}.{key}: is missing" for key in missing]
        return not missing

    def _company(self, content: Mapping[str, Any], place: str) -> Role:
        common = self._common("company", content, place)
        nested = None
        if "contacts" in content and self._checked("contacts", content["contacts"], f"{place}.contacts"):
            nested = self._nested(content["contacts"], f"{place}.contacts")
        return company_role(common, nested)

    def _contact(self, content: Mapping[str, Any], place: str) -> Role:
        company = self._first(content["company"], f"{place}.company") if "company" in content else None
        return contact_role(self._common("contact", content, place), company, _columns(content.get("company")))

    def _nested(self, content: Mapping[str, Any], place: str) -> Nested:
        return Nested(self._all(content["list"], f"{place}.list"), self._common("contact", content, place))

    def _link(self, content: Mapping[str, Any], place: str) -> Role:
        looks = {key: self._first(content[key], f"{place}.{key}") for key in _ATTRIBUTES["link"] if key in content}
        return link_role(looks)

    def _common(self, role: str, content: Mapping[str, Any], place: str) -> Attributes:
        looks = {
            key: self._first(content[key], f"{place}.{key}")
            for key in ("when", "id", "deleted", "modified", *_TEXTS[role])
            if key in content
        }
        fields = self._fields(content.get("fields", {}), f"{place}.fields")
        return Attributes(role, looks, _TEXTS[role], fields, self._style)

    def _fields(self, content: object, place: str) -> Callable[[Record], list[dict[str, Any]]]:
        if not isinstance(content, Mapping):
            return given_fields(self._first(content, place), self._style)
        if "" in content:
            self._problems.append(f"{place}: has a field without a name")
        looks = {key: self._all(value, f"{place}.{key}") for key, value in content.items()}
        return mapped_fields(looks, self._style)

    def _first(self, content: object, place: str) -> Look:
        """Return the first value that is not empty, of one expression or several."""
        looks = self._looks(content, place)
        nulls = self._style.nulls
        if len(looks) == 1 and self._style.raw and not nulls:
            return looks[0]

        def look(record: Record) -> Any:
            for each in looks:
                if not is_empty(value := each(record), nulls):
                    return value
            return None

        return look

    def _all(self, content: object, place: str) -> Look:
        """Return a list of the values of all expressions."""
        looks = self._looks(content, place)
        return lambda record: [each(record) for each in looks]

    def _looks(self, content: object, place: str) -> list[Look]:
        several = isinstance(content, list)
        looks = []
        for index, text in enumerate(content if isinstance(content, list) else [content]):
            where = f"{place}[{index}]" if several else place
            if not isinstance(text, str):
                self._problems.append(
                    f"{where}: must be an expression, a list of them, or append, prepend or remove"
                )
                continue
            try:
                looks.append(compile_expression(text, self._style.nulls))
            except ExpressionError as error:
                self._problems.append(f"{where}: {text!r}: {error}")
        return looks


def _columns(company: object) -> frozenset[str]:
    """Return the columns that tell a contact's company, as far as they are names; none where that cannot be said.

    A record without any of them comes from a selection without them, or tells a part only: the contact is not
    taken from its company for that (crm-taps.md §4.1, key absent and key null).
    """
    paths = [plain_path(text) for text in (company if isinstance(company, list) else [company])]
    if None in paths:
        return frozenset()
    names = [[path[0], "__".join(path), "_".join(path)] for path in paths if path]
    return frozenset(name for several in names for name in several)
