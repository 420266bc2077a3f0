"""A mapping in, which is data; what makes companies, contacts and links of a stream's records out.

A mapping says for each stream what its records are (a company, a contact, a link between the two, a value of
either or the definition of such values, or several of these) and where each attribute comes from, by an expression
of `expressions.py` or a list of them. All of it is compiled before the first record: whatever is wrong with a
mapping is told with its place in the configuration, and nothing is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tap_daktela.api.config import suggest
from target_daktela_crm.mapping.columns import prefixes
from target_daktela_crm.mapping.expressions import ExpressionError, compile_expression
from target_daktela_crm.mapping.native import Native, native
from target_daktela_crm.mapping.preset import ROLES, load_preset, merge, stream_name
from target_daktela_crm.mapping.roles import (
    Attributes,
    MappingError,
    Nested,
    Style,
    company_role,
    contact_role,
    definition_role,
    given_fields,
    link_role,
    mapped_fields,
    nothing,
    value_role,
)
from target_daktela_crm.mapping.values import is_empty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_daktela_crm.mapping.columns import Column
    from target_daktela_crm.mapping.expressions import Expression, Look
    from target_daktela_crm.mapping.roles import Record, Role

_TEXTS = {"company": ("name", "description"), "contact": ("name", "firstname", "lastname", "description")}
_ATTRIBUTES = {
    "company": ("when", "id", "name", "description", "deleted", "modified", "fields", "contacts"),
    "contact": ("when", "id", "company", "company_name", *_TEXTS["contact"], "deleted", "modified", "fields"),
    "contacts": ("list", "when", "id", *_TEXTS["contact"], "deleted", "modified", "fields"),
    "link": ("when", "id", "contact", "company", "primary", "deleted"),
    "value": ("when", "of", "id", "owner", "definition", "defined_in", "deleted"),
    "definition": ("when", "id", "deleted"),
}
"""What each role of a stream may say; `contacts` are those inside a company's record."""
_REQUIRED = {
    "company": ("id",),
    "contact": ("id",),
    "contacts": ("list", "id"),
    "link": ("contact", "company"),
    "value": ("of", "owner"),
    "definition": ("id",),
}
_OF_STREAM = (*ROLES, "aliases", "null_values", "places", "raw")
_NO_EVIDENCE = frozenset({"when", "id", "deleted", "modified"})
"""Attributes whose columns, such as `id`, are the same in many CRMs."""
_NAMES = frozenset({"name", "firstname", "lastname"})


class Sighting(NamedTuple):
    """What an expression gave, for those who want to know where a value came from."""

    place: str
    """Of the expression, in the mapping."""
    text: str
    """Of the expression."""
    value: Any


Witness: TypeAlias = Callable[[Sighting], None]


@dataclass(frozen=True)
class ValueStream:
    """A stream whose rows are values of companies and contacts."""

    name: str
    of: tuple[str, ...]
    """Names of the streams of these."""
    defined_in: str | None
    """Name of the stream that says what the values mean."""


@dataclass(frozen=True)
class StreamMapping:
    """What the records of a stream are."""

    name: str
    style: Style
    roles: tuple[Role, ...]
    owners: tuple[Attributes, ...]
    """Of companies and contacts."""
    telling: tuple[str, ...]
    """Names of the columns that tell whether the stream is what the mapping takes it for."""
    keys: frozenset[str]
    """Of records: one of them is there if it is; empty if none tells."""
    others: frozenset[str]
    """Keys that the mapping reads besides, which tell nothing of that."""
    prefixes: tuple[str, ...]
    """What such a key may begin with."""
    wanted: Mapping[str, frozenset[str]]
    """Columns that the setting `streams` names, with the keys that they may have."""
    kinds: Mapping[str, frozenset[str]]
    """Names and each field that is missed if it never comes, with the keys of all columns it may come from."""
    native: Native | None
    """What stands for all of this with most of the records; None if there is no such thing."""

    def fits(self, record: Mapping[str, Any]) -> bool:
        """Return whether a record, or the properties of a schema, has any of the columns that tell what it is."""
        if not self.keys or not self.keys.isdisjoint(record) or self.others.issuperset(record):
            return True
        return bool(self.prefixes) and any(key.startswith(self.prefixes) for key in record)

    def is_stub(self, record: Record) -> bool:
        """Return whether a record says that it is deleted, and thus need not have anything else."""
        try:
            return any(owner.deleted(record, "") for owner in self.owners)
        except MappingError:
            return False

    def identify(self, record: Record) -> tuple[str, float | None]:
        """Return the id of a record's company or contact, and when it was changed.

        Raises:
            MappingError: it has no id.
        """
        # Whether it is one may depend on its values, which may yet have to come.
        owner = next((each for each in self.owners if each.concerns(record)), self.owners[0])
        key = owner.identifier(record).key
        return key, owner.modified(record, key)


@dataclass(frozen=True)
class CrmMapping:
    """A whole mapping, compiled."""

    streams: tuple[StreamMapping, ...]
    by_name: Mapping[str, StreamMapping] = field(repr=False)
    value_streams: tuple[ValueStream, ...] = ()
    unique_ids: bool = False
    """Whether no company has the id of a contact."""
    left_out: Counter[str] = field(default_factory=Counter)
    """How many phone numbers and e-mails were none, so far."""

    def stream(self, name: str) -> StreamMapping | None:
        """Return the mapping of a stream, by its name in any case or an alias; None where there is none."""
        return self.by_name.get(name.casefold())

    @cached_property
    def with_values(self) -> frozenset[str]:
        """Names of the streams whose records have values in other streams."""
        return frozenset(name for values in self.value_streams for name in values.of)

    def values_of(self, name: str) -> Iterator[ValueStream]:
        """Yield the streams whose rows are values of the records of a mapped stream."""
        return (each for each in self.value_streams if name in each.of)


class Problems(Exception):  # noqa: N818 - several errors
    """What is wrong with a mapping, a line for each thing, which begins with its place in the configuration."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def read_mapping(
    preset: str, streams: Mapping[str, Any] | None, phone_region: str | None, witness: Witness | None = None
) -> CrmMapping:
    """Return the mapping of a preset with `streams` over it; a `witness` hears of what each expression gives.

    Raises:
        Problems: it says something that cannot be.
    """
    definition = load_preset(preset)
    changes = {stream_name(definition["streams"], name): change for name, change in (streams or {}).items()}
    merged, problems = merge(definition, streams or {})
    style = Style(
        raw=bool(definition.get("raw")),
        nulls=frozenset(definition.get("null_values", ())),
        places=tuple(definition.get("places", ())),
        phone_region=phone_region,
        left_out=Counter(),
    )
    value_roles = {name: content["value"] for name, content in merged.items() if _is_object(content.get("value"))}
    compiled: dict[str, StreamMapping] = {}
    for name, content in merged.items():
        place = f"streams.{name}"
        # What the preset names itself is spelled as some tap spells it, and rows of values are no columns.
        known = {*_texts_in(definition["streams"].get(name)), *value_roles}
        given = frozenset(_texts_in(changes.get(name))) - known
        compiler = _Compiler(place, _style_of(content, style, place, problems), given, witness, problems)
        mapping = compiler.stream(name, content)
        mapping = replace(
            mapping,
            wanted={
                column: keys
                for column, keys in mapping.wanted.items()
                if known.isdisjoint({column, column.split(".")[0]})
            },
            kinds={kind: keys for kind, keys in mapping.kinds.items() if keys.isdisjoint(value_roles)},
        )
        for alias in (name, *_list_of_texts(content.get("aliases"), f"{place}.aliases", problems)):
            if compiled.setdefault(alias.casefold(), mapping) is not mapping:
                problems.append(f"{place}: {alias!r} names two streams of the mapping")
    if not merged:
        problems.append("streams: no stream is left of the mapping")
    value_streams = [
        _value_stream(name, role, compiled, f"streams.{name}.value", problems)
        for name, role in value_roles.items()
    ]
    if problems:
        raise Problems(problems)
    unique = {id(mapping): mapping for mapping in compiled.values()}
    return CrmMapping(
        tuple(unique.values()),
        compiled,
        tuple(value_streams),
        unique_ids=bool(definition.get("unique_ids")),
        left_out=style.left_out,
    )


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def _texts_in(value: object) -> Iterator[str]:
    """Yield all texts inside a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (Mapping, list)):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts_in(each)


def _value_stream(
    name: str, role: Mapping[str, Any], compiled: Mapping[str, StreamMapping], place: str, problems: list[str]
) -> ValueStream:
    """Return what a stream of values says of other streams."""

    def known(key: str) -> list[str]:
        found = []
        for other in _list_of_texts(role.get(key), f"{place}.{key}", problems):
            mapping = compiled.get(other.casefold())
            if mapping is None:
                problems.append(f"{place}.{key}: {other!r} is no stream of the mapping")
            else:
                found.append(mapping.name)
        return found

    owners = known("of")
    problems += [
        f"{place}.of: {each!r} has neither companies nor contacts"
        for each in owners
        if not compiled[each.casefold()].owners
    ]
    return ValueStream(name, tuple(owners), next(iter(known("defined_in")), None))


def _style_of(content: Mapping[str, Any], style: Style, place: str, problems: list[str]) -> Style:
    """Return the style of a stream, which may differ from the preset's."""
    if "null_values" in content:
        nulls = _list_of_texts(content["null_values"], f"{place}.null_values", problems)
        style = replace(style, nulls=frozenset(nulls))
    if "places" in content:
        places = _list_of_texts(content["places"], f"{place}.places", problems)
        lacking = [each for each in places if "{}" not in each]
        problems += [f"{place}.places: {each!r} lacks {{}}, where a column's name goes" for each in lacking]
        style = replace(style, places=tuple(places))
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
    """Makes roles out of a stream's part of a mapping, and notes what is wrong with it."""

    def __init__(
        self, place: str, style: Style, given: frozenset[str], witness: Witness | None, problems: list[str]
    ) -> None:
        self._place = place
        self._style = style
        self._given = given
        self._witness = witness
        self._problems = problems
        self._compiled: dict[str, list[Expression]] = {}
        self._owners: list[Attributes] = []
        self._telling: dict[str, Column] = {}
        self._kinds: dict[str, set[str]] = {}
        # Kinds that one role of the stream never has, so that another need not have them either.
        self._not_missed: set[str] = set()
        self._others: set[str] = set()
        self._wanted: dict[str, frozenset[str]] = {}

    def stream(self, name: str, content: Mapping[str, Any]) -> StreamMapping:
        """Return what a stream's records are."""
        roles = self._roles(content)
        # Links and values have nothing but ids.
        telling = self._telling if self._owners else {}
        return StreamMapping(
            name=name,
            style=self._style,
            roles=roles,
            owners=tuple(self._owners),
            telling=tuple(telling),
            keys=frozenset(key for column in telling.values() for key in column.keys),
            others=frozenset(self._others),
            prefixes=prefixes(self._style.places),
            wanted=self._wanted,
            kinds={
                kind: frozenset(keys)
                for kind, keys in self._kinds.items()
                if self._owners and kind not in self._not_missed
            },
            native=self._native(content),
        )

    def _native(self, content: Mapping[str, Any]) -> Native | None:
        """Return what a stream of one role is whose values are left as they are, each from a column of its own."""
        style, roles = self._style, [name for name in ROLES if name in content]
        if not style.raw or style.nulls or roles not in (["company"], ["contact"]):
            return None
        [role] = roles
        names = content[role] if isinstance(content[role], Mapping) else ()
        place = f"{self._place}.{role}"
        # Of contacts inside a company, it is enough to know where they stand: there must be none.
        places = {name: f"{place}.{name}{'.list' if name == 'contacts' else ''}" for name in names}
        return native(role, {name: self._only_column(place) for name, place in places.items()})

    def _only_column(self, place: str) -> str | None:
        """Return the column whose value an attribute is, None if it may be anything else."""
        expressions = self._compiled.get(place, [])
        text = expressions[0].text if len(expressions) == 1 else ""
        is_column = bool(text) and [each.spellings for each in expressions[0].columns] == [((text,),)]
        return text if is_column else None

    def _roles(self, content: Mapping[str, Any]) -> tuple[Role, ...]:
        for key in content:
            if key not in _OF_STREAM:
                self._problems.append(f"{self._place}.{key}: there is no such key{suggest(key, _OF_STREAM)}")
        make = {"company": self._company, "contact": self._contact}
        roles: list[Role] = []
        for name in ROLES:
            if name in content and self._checked(name, content[name], f"{self._place}.{name}"):
                role, place = content[name], f"{self._place}.{name}"
                roles.append(make[name](role, place) if name in make else self._plain(name, role, place))
        if not roles and not self._problems:
            self._problems.append(f"{self._place}: says none of {', '.join(ROLES)}")
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
        self._owners.append(common)
        nested = None
        if "contacts" in content and self._checked("contacts", content["contacts"], f"{place}.contacts"):
            nested = self._nested(content["contacts"], f"{place}.contacts")
        return company_role(common, nested)

    def _contact(self, content: Mapping[str, Any], place: str) -> Role:
        common = self._common("contact", content, place)
        self._owners.append(common)
        company, name = (self._first(content, key, place) for key in ("company", "company_name"))
        return contact_role(common, company, name, self._tells_company(content, place))

    def _tells_company(self, content: Mapping[str, Any], place: str) -> Callable[[Record], bool]:
        """Return what says whether a record tells a contact's company at all, if only that there is none.

        A record without any of its columns comes from a selection without them, or tells a part only: the
        contact is not taken from its company for that (crm-taps.md §4.1, key absent and key null). But where a
        tap has a column for each property, it leaves out those without a value.
        """
        expressions = self._expressions(content.get("company", []), f"{place}.company")
        columns = [column for expression in expressions for column in expression.sources]
        starts = prefixes(place for place in self._style.places if "{}" in place.split(".")[0])
        if not columns:
            return lambda _record: True
        return lambda record: (
            any(column.is_in(record) for column in columns)
            or (bool(starts) and any(key.startswith(starts) for key in record))
        )

    def _nested(self, content: Mapping[str, Any], place: str) -> Nested:
        # Inside a list, columns are those of its elements, and in no other place.
        inside = _Compiler(place, replace(self._style, places=()), self._given, self._witness, self._problems)
        return Nested(self._all(content["list"], f"{place}.list"), inside._common("contact", content, place))

    def _plain(self, name: str, content: Mapping[str, Any], place: str) -> Role:
        """Return a role whose attributes are expressions, but for the names of streams."""
        names = [key for key in _ATTRIBUTES[name] if key not in {"of", "defined_in"}]
        looks = {key: look for key in names if (look := self._first(content, key, place))}
        return {"link": link_role, "value": value_role, "definition": definition_role}[name](looks)

    def _common(self, role: str, content: Mapping[str, Any], place: str) -> Attributes:
        names = ("when", "id", "deleted", "modified", *_TEXTS[role])
        looks = {key: look for key in names if (look := self._first(content, key, place))}
        fields = self._fields(content.get("fields", {}), f"{place}.fields")
        return Attributes(role, looks, _TEXTS[role], fields, self._style)

    def _fields(self, content: object, place: str) -> Callable[[Record], list[dict[str, Any]]]:
        if not isinstance(content, Mapping):
            look = self._first({"fields": content}, "fields", place.removesuffix(".fields"))
            return given_fields(look or nothing, self._style)
        if "" in content:
            self._problems.append(f"{place}: has a field without a name")
        looks = {key: self._all(value, f"{place}.{key}") for key, value in content.items()}
        return mapped_fields(looks, self._style)

    def _first(self, content: Mapping[str, Any], key: str, place: str) -> Look | None:
        """Return what looks for the first value that is not empty; None where the mapping says nothing."""
        if key not in content:
            return None
        expressions = self._expressions(content[key], f"{place}.{key}")
        self._note_columns(key, expressions)
        looks = [self._heard(expression, f"{place}.{key}") for expression in expressions]
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
        """Return what makes a list of the values of all expressions."""
        expressions = self._expressions(content, place)
        kind = place.partition(".fields.")[2] or None
        self._note_columns("fields", expressions, kind)
        if kind is not None and not expressions:
            self._not_missed.add(kind)
        looks = [self._heard(expression, place) for expression in expressions]
        return lambda record: [each(record) for each in looks]

    def _heard(self, expression: Expression, place: str) -> Look:
        """Return an expression's look-up, whose values the witness hears of if there is one."""
        look, witness = expression.look, self._witness
        if witness is None:
            return look

        def heard(record: Record) -> Any:
            value = look(record)
            witness(Sighting(place, expression.text, value))
            return value

        return heard

    def _note_columns(self, key: str, expressions: list[Expression], kind: str | None = None) -> None:
        """Note the columns that expressions name, and for what kind of values."""
        kind = "names" if key in _NAMES else kind
        for expression in expressions:
            for column in expression.columns:
                if key in _NO_EVIDENCE:
                    self._others.update(column.keys)
                else:
                    self._telling[column.name] = column
                if kind is not None:
                    self._kinds.setdefault(kind, set()).update(column.keys)
            if expression.text in self._given:
                self._wanted.update({column.name: column.keys for column in expression.columns})

    def _expressions(self, content: object, place: str) -> list[Expression]:
        """Return the expressions that stand in a place, compiled."""
        if place not in self._compiled:
            self._compiled[place] = list(self._compile(content, place))
        return self._compiled[place]

    def _compile(self, content: object, place: str) -> Iterator[Expression]:
        several = isinstance(content, list)
        for index, text in enumerate(content if isinstance(content, list) else [content]):
            where = f"{place}[{index}]" if several else place
            if not isinstance(text, str):
                self._problems.append(
                    f"{where}: must be an expression, a list of them, or append, prepend or remove"
                )
                continue
            try:
                yield compile_expression(text, self._style.nulls, self._style.places)
            except ExpressionError as error:
                self._problems.append(f"{where}: {text!r}: {error}")
