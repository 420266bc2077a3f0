"""Compile the mapping of a preset, with the user's changes, before the first record is read.

A mapping states for each stream what its records are (a company, a contact, a link between the two, a custom value
or the definition of custom values, or several of these) and where each attribute comes from: an expression, or a
list of expressions. All problems of a mapping are reported at once, each with its place in the configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tap_daktela.cli.config import suggest
from target_daktela_crm.mapping.column_reader import ColumnReader, RoleColumns
from target_daktela_crm.mapping.columns import key_prefixes
from target_daktela_crm.mapping.compiled import CrmMapping, StreamMapping, ValueStream
from target_daktela_crm.mapping.expressions import ExpressionError, compile_expression
from target_daktela_crm.mapping.field_values import GivenFields, MappedFields, StreamOptions
from target_daktela_crm.mapping.left_out import LeftOut
from target_daktela_crm.mapping.native import native
from target_daktela_crm.mapping.preset import ROLES, load_preset, merge, stream_name
from target_daktela_crm.mapping.roles import (
    TEXTS,
    Attributes,
    CompanyRole,
    Condition,
    ContactRole,
    DefinitionRole,
    LinkRole,
    NestedContacts,
    ValueRole,
    no_value,
)
from target_daktela_crm.mapping.values import decode_entities, is_empty

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from target_daktela_crm.mapping.columns import Column
    from target_daktela_crm.mapping.expressions import Expression, Getter
    from target_daktela_crm.mapping.field_values import Fields
    from target_daktela_crm.mapping.native import Native
    from target_daktela_crm.mapping.roles import Record, Role

_ATTRIBUTES = {
    "company": ("when", "id", "name", "description", "deleted", "modified", "fields", "contacts"),
    "contact": (
        *("when", "id", "company", "company_name", "replaces_links", *TEXTS["contact"]),
        *("deleted", "modified", "fields"),
    ),
    "contacts": ("list", "when", "id", *TEXTS["contact"], "deleted", "modified", "fields"),
    "link": ("when", "id", "contact", "company", "primary", "deleted", "modified"),
    "value": ("when", "of", "id", "owner", "definition", "defined_in", "deleted"),
    "definition": ("when", "id", "deleted"),
}
"""The attributes of each role; `contacts` are those inside a company's record."""
_REQUIRED = {
    "company": ("id",),
    "contact": ("id",),
    "contacts": ("list", "id"),
    "link": ("contact", "company"),
    "value": ("of", "owner"),
    "definition": ("id",),
}
_STREAM_KEYS = (*ROLES, "aliases", "html_entities", "null_values", "optional", "places", "raw", "same_ids_as")
_NEUTRAL = frozenset({"when", "id", "deleted", "modified"})
"""Attributes whose columns, such as `id`, have the same names in many CRMs."""
_NAMES = frozenset({"name", "firstname", "lastname"})
_REMEMBERED = frozenset({*_NAMES, "when", "company", "company_name", "replaces_links", "description", "fields"})
"""Attributes whose columns keep their last known values if a record lacks them."""


class Trace(NamedTuple):
    """The value of one expression for one record."""

    place: str
    """Of the expression, in the mapping."""
    expression: str
    value: Any


Tracer: TypeAlias = Callable[[Trace], None]


class MappingProblems(Exception):  # noqa: N818 - several errors
    """A mapping that cannot be used: one line per problem, which begins with its place in the configuration."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def compile_mapping(
    preset: str, streams: Mapping[str, Any] | None, phone_region: str | None, tracer: Tracer | None = None
) -> CrmMapping:
    """Return the mapping of a preset, changed by the setting `streams`.

    `tracer` is called with the value of each expression.

    Raises:
        MappingProblems: the mapping cannot be used.
    """
    definition = load_preset(preset)
    changes = {stream_name(definition["streams"], name): change for name, change in (streams or {}).items()}
    merged, problems = merge(definition, streams or {})
    value_roles = {name: content["value"] for name, content in merged.items() if _is_object(content.get("value"))}
    options = StreamOptions(
        raw=bool(definition.get("raw")),
        null_values=frozenset(definition.get("null_values", ())),
        places=tuple(definition.get("places", ())),
        html_entities=bool(definition.get("html_entities")),
        phone_region=phone_region.upper() if phone_region else None,
        left_out=LeftOut(),
        value_streams=frozenset(value_roles),
    )
    compiled: dict[str, StreamMapping] = {}
    for name, content in merged.items():
        place = f"streams.{name}"
        # The columns of the preset are spelled as at least one tap spells them, and custom values are not columns.
        known = {*_texts_in(definition["streams"].get(name)), *value_roles}
        given = frozenset(_texts_in(changes.get(name))) - known
        compiler = _StreamCompiler(
            place, _stream_options(content, options, place, problems), given, tracer, problems
        )
        mapping = compiler.stream(name, content)
        mapping = replace(
            mapping,
            wanted_columns={
                column: keys
                for column, keys in mapping.wanted_columns.items()
                if known.isdisjoint({column, column.split(".")[0]})
            },
            expected_fields={
                field: keys for field, keys in mapping.expected_fields.items() if keys.isdisjoint(value_roles)
            },
        )
        for alias in (name, *_list_of_texts(content.get("aliases"), f"{place}.aliases", problems)):
            if compiled.setdefault(alias.casefold(), mapping) is not mapping:
                problems.append(f"{place}: {alias!r} names two streams of the mapping")
    if not merged:
        problems.append("streams: the mapping has no streams left")
    value_streams = [
        _value_stream(name, role, compiled, f"streams.{name}.value", problems)
        for name, role in value_roles.items()
    ]
    if problems:
        raise MappingProblems(problems)
    unique = {id(mapping): mapping for mapping in compiled.values()}
    return CrmMapping(
        tuple(unique.values()),
        compiled,
        tuple(value_streams),
        unique_ids=bool(definition.get("unique_ids")),
        left_out=options.left_out,
    )


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def _texts_in(value: object) -> Iterator[str]:
    """Yield all texts inside a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (Mapping, list)):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts_in(each)


def _value_stream(
    name: str, role: Mapping[str, Any], compiled: Mapping[str, StreamMapping], place: str, problems: list[str]
) -> ValueStream:
    """Return which streams a stream of custom values refers to."""

    def referenced(key: str) -> list[str]:
        found = []
        for other in _list_of_texts(role.get(key), f"{place}.{key}", problems):
            mapping = compiled.get(other.casefold())
            if mapping is None:
                problems.append(f"{place}.{key}: {other!r} is not a stream of the mapping")
            else:
                found.append(mapping.name)
        return found

    owners = referenced("of")
    problems += [
        f"{place}.of: {each!r} has neither companies nor contacts"
        for each in owners
        if not compiled[each.casefold()].attributes
    ]
    return ValueStream(name, tuple(owners), next(iter(referenced("defined_in")), None))


def _stream_options(
    content: Mapping[str, Any], options: StreamOptions, place: str, problems: list[str]
) -> StreamOptions:
    """Return the options of a stream, which may differ from the preset's."""
    if "null_values" in content:
        null_values = _list_of_texts(content["null_values"], f"{place}.null_values", problems)
        options = replace(options, null_values=frozenset(null_values))
    if "places" in content:
        places = _list_of_texts(content["places"], f"{place}.places", problems)
        lacking = [each for each in places if "{}" not in each]
        problems += [f"{place}.places: {each!r} lacks {{}}, where a column's name goes" for each in lacking]
        options = replace(options, places=tuple(places))
    optional = _list_of_texts(content.get("optional"), f"{place}.optional", problems)
    options = replace(options, optional=frozenset(optional))
    flags = {key: content.get(key, getattr(options, key)) for key in ("html_entities", "raw")}
    problems += [
        f"{place}.{key}: must be true or false" for key, flag in flags.items() if not isinstance(flag, bool)
    ]
    return replace(options, html_entities=bool(flags["html_entities"]), raw=bool(flags["raw"]))


def _list_of_texts(value: object, place: str, problems: list[str]) -> list[str]:
    """Return a list of texts; a single text may be given without a list."""
    found = [value] if isinstance(value, str) else value
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        problems.append(f"{place}: must be a list of texts")
        return []
    return found


class _StreamCompiler:
    """Compiles the roles of one stream, and collects the problems of its mapping."""

    def __init__(
        self,
        place: str,
        options: StreamOptions,
        given: frozenset[str],
        tracer: Tracer | None,
        problems: list[str],
    ) -> None:
        """Prepare for a stream; `given` are the expressions of the setting `streams`."""
        self._place = place
        self._options = options
        self._given = given
        self._readers: list[ColumnReader] = []
        self._tracer = tracer
        self._problems = problems
        self._compiled: dict[str, list[Expression]] = {}
        self._attributes: list[Attributes] = []
        self._identifying: dict[str, Column] = {}
        self._neutral_keys: set[str] = set()
        self._wanted: dict[str, frozenset[str]] = {}
        self._expected: dict[str, set[str]] = {}
        # Fields that one role of the stream never has, so that they are not expected of the others.
        self._not_expected: set[str] = set()

    def stream(self, name: str, content: Mapping[str, Any]) -> StreamMapping:
        """Return the mapping of the stream."""
        roles = self._roles(content)
        # Links and values have ids only, which do not identify a CRM.
        identifying = self._identifying if self._attributes else {}
        return StreamMapping(
            name=name,
            options=self._options,
            roles=roles,
            attributes=tuple(self._attributes),
            identifying_columns=tuple(identifying),
            identifying_keys=frozenset(key for column in identifying.values() for key in column.keys),
            neutral_keys=frozenset(self._neutral_keys),
            key_prefixes=key_prefixes(self._options.places),
            wanted_columns=self._wanted,
            expected_fields={
                field: frozenset(keys)
                for field, keys in self._expected.items()
                if self._attributes and field not in self._not_expected
            },
            native=self._native(content),
            column_readers=tuple(self._readers),
            columns=tuple(
                {
                    column.name: column
                    for found in self._compiled.values()
                    for expression in found
                    for column in self._own(expression.columns)
                }.values()
            ),
            same_ids_as=frozenset(
                _list_of_texts(content.get("same_ids_as"), f"{self._place}.same_ids_as", self._problems)
            ),
        )

    def _native(self, content: Mapping[str, Any]) -> Native | None:
        """Return the shorter way to read the stream's records.

        There is one if the stream has one role, sends values unchanged and takes each attribute from one column.
        """
        options, roles = self._options, [name for name in ROLES if name in content]
        if (
            not options.raw
            or options.null_values
            or options.html_entities
            or roles not in (["company"], ["contact"])
        ):
            return None
        [role] = roles
        names = content[role] if isinstance(content[role], Mapping) else ()
        place = f"{self._place}.{role}"
        # Records with contacts inside are not read in this way, so only their place is needed.
        places = {name: f"{place}.{name}{'.list' if name == 'contacts' else ''}" for name in names}
        return native(role, {name: self._only_column(place) for name, place in places.items()})

    def _only_column(self, place: str) -> str | None:
        """Return the only column of an attribute, or None if its value may come from anything else."""
        expressions = self._compiled.get(place, [])
        text = expressions[0].text if len(expressions) == 1 else ""
        is_column = bool(text) and [each.spellings for each in expressions[0].columns] == [((text,),)]
        return text if is_column else None

    def _roles(self, content: Mapping[str, Any]) -> tuple[Role, ...]:
        for key in content:
            if key not in _STREAM_KEYS:
                self._problems.append(f"{self._place}.{key}: there is no such key{suggest(key, _STREAM_KEYS)}")
        roles: list[Role] = []
        for name in ROLES:
            place = f"{self._place}.{name}"
            if name in content and self._is_valid(name, content[name], place):
                roles.append(self._role(name, content[name], place))
        if not roles and not self._problems:
            self._problems.append(f"{self._place}: has none of {', '.join(ROLES)}")
        return tuple(roles)

    def _is_valid(self, role: str, content: object, place: str) -> bool:
        """Return whether a role can be compiled."""
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

    def _role(self, name: str, content: Mapping[str, Any], place: str) -> Role:
        if name == "company":
            return self._company(content, place)
        if name == "contact":
            return self._contact(content, place)
        # Their other attributes, `of` and `defined_in`, are names of streams.
        names = [key for key in _ATTRIBUTES[name] if key not in {"of", "defined_in"}]
        getters = {key: get for key in names if (get := self._first(content, key, place))}
        if name == "link":
            getters.pop("when", None)
            return LinkRole(self._condition(content, place), getters)
        return ValueRole(getters) if name == "value" else DefinitionRole(getters)

    def _company(self, content: Mapping[str, Any], place: str) -> CompanyRole:
        attributes = self._common("company", content, place)
        self._attributes.append(attributes)
        nested = None
        if "contacts" in content and self._is_valid("contacts", content["contacts"], f"{place}.contacts"):
            nested = self._nested(content["contacts"], f"{place}.contacts")
        return CompanyRole(attributes, nested)

    def _contact(self, content: Mapping[str, Any], place: str) -> ContactRole:
        company, name, replaces = (
            self._first(content, key, place) for key in ("company", "company_name", "replaces_links")
        )
        attributes = self._common("contact", content, place)
        self._attributes.append(attributes)
        return ContactRole(attributes, company, name, replaces, bool(attributes.columns.columns.company))

    def _condition(self, content: Mapping[str, Any], place: str) -> Condition:
        get = self._first(content, "when", place)
        expressions = self._expressions(content.get("when", []), f"{place}.when")
        columns = tuple(column for expression in expressions for column in expression.columns)
        return Condition(get, columns, self._column_prefixes())

    def _column_prefixes(self) -> tuple[str, ...]:
        """Return the prefixes of keys, if the tap has one column for each property."""
        return key_prefixes(place for place in self._options.places if "{}" in place.split(".")[0])

    def _nested(self, content: Mapping[str, Any], place: str) -> NestedContacts:
        # Inside a list, columns are always at the top level of each element. The list is decoded as a whole.
        options = replace(self._options, places=(), html_entities=False)
        inner = _StreamCompiler(place, options, self._given, self._tracer, self._problems)
        contacts = self._all(content["list"], f"{place}.list")
        attributes = inner._common("contact", content, place)
        self._readers += inner._readers
        columns = [column for each in self._compiled[f"{place}.list"] for column in each.sources]
        return NestedContacts(contacts, tuple(columns), attributes)

    def _common(self, role: str, content: Mapping[str, Any], place: str) -> Attributes:
        condition = self._condition(content, place)
        names = ("id", "deleted", "modified", *TEXTS[role])
        getters = {key: get for key in names if (get := self._first(content, key, place))}
        fields = self._fields(content.get("fields", {}), f"{place}.fields")
        reader = ColumnReader(role, self._role_columns(place), self._column_prefixes())
        self._readers.append(reader)
        return Attributes(condition, getters, fields, self._options, reader)

    def _role_columns(self, place: str) -> RoleColumns:
        """Return the columns of a role whose last known values are used.

        Those of `id`, `deleted` and `modified` are not among them: a record without them is not deleted.
        """
        expressions = {
            name: found
            for key, found in self._compiled.items()
            if key.startswith(f"{place}.") and (name := key.removeprefix(f"{place}.")).split(".")[0] in _REMEMBERED
        }
        columns: dict[str, Column] = {}
        for expression in (each for found in expressions.values() for each in found):
            for column in self._own(expression.columns):
                known = columns.setdefault(column.name, column)
                columns[column.name] = known._replace(element_keys=known.element_keys | column.element_keys)
        return RoleColumns(
            columns,
            tuple(column for each in expressions.get("when", []) for column in self._own(each.columns)),
            frozenset(column for name in _NAMES for column in self._sources(expressions.get(name, [])))
            - self._options.optional,
            self._sources(expressions.get("company", [])),
            {
                name.removeprefix("fields."): self._sources(found)
                for name, found in expressions.items()
                if name.startswith("fields.")
            },
        )

    def _own(self, columns: Iterable[Column]) -> Iterator[Column]:
        """Yield those of some columns that are not lists of custom values, which are rows of another stream."""
        return (column for column in columns if column.keys.isdisjoint(self._options.value_streams))

    def _sources(self, expressions: list[Expression]) -> frozenset[str]:
        """Return the columns that a value comes from; none if it also comes from another stream."""
        columns = [column for expression in expressions for column in expression.sources]
        own = list(self._own(columns))
        return frozenset(column.name for column in own) if len(own) == len(columns) else frozenset()

    def _fields(self, content: object, place: str) -> Fields:
        if not isinstance(content, Mapping):
            get = self._first({"fields": content}, "fields", place.removesuffix(".fields"))
            return GivenFields(get or no_value, self._options)
        if "" in content:
            self._problems.append(f"{place}: has a field without a name")
        getters = {key: self._all(value, f"{place}.{key}") for key, value in content.items()}
        return MappedFields(getters, self._options)

    def _first(self, content: Mapping[str, Any], key: str, place: str) -> Getter | None:
        """Return a getter of an attribute's first non-empty value, or None if the attribute is not mapped."""
        if key not in content:
            return None
        expressions = self._expressions(content[key], f"{place}.{key}")
        self._note_columns(key, expressions)
        getters = [self._traced(expression, f"{place}.{key}") for expression in expressions]
        null_values = self._options.null_values
        if len(getters) == 1 and self._options.raw and not null_values:
            return getters[0]

        if len(getters) == 1:
            [get] = getters
            # Without a loop, since most attributes have one expression.
            return lambda record: None if is_empty(value := get(record), null_values) else value

        def first(record: Record) -> Any:
            for get in getters:
                value = get(record)
                if value is not None and not is_empty(value, null_values):
                    return value
            return None

        return first

    def _all(self, content: object, place: str) -> Getter:
        """Return a getter of a list of the values of all expressions."""
        expressions = self._expressions(content, place)
        field = place.partition(".fields.")[2] or None
        self._note_columns("fields", expressions, field)
        if field is not None and not expressions:
            self._not_expected.add(field)
        getters = [self._traced(expression, place) for expression in expressions]
        return lambda record: [get(record) for get in getters]

    def _traced(self, expression: Expression, place: str) -> Getter:
        """Return an expression's getter, which also passes each value to the tracer if there is one."""
        get, tracer = expression.get, self._tracer
        if tracer is None:
            return get

        def traced(record: Record) -> Any:
            value = get(record)
            tracer(Trace(place, expression.text, value))
            return value

        return traced

    def _note_columns(self, key: str, expressions: list[Expression], field: str | None = None) -> None:
        """Note the columns of an attribute's expressions."""
        field = "names" if key in _NAMES else field
        for expression in expressions:
            for column in expression.columns:
                if key in _NEUTRAL:
                    self._neutral_keys.update(column.keys)
                else:
                    self._identifying[column.name] = column
                if field is not None:
                    self._expected.setdefault(field, set()).update(column.keys)
            if expression.text in self._given:
                self._wanted.update({column.name: column.keys for column in expression.columns})

    def _expressions(self, content: object, place: str) -> list[Expression]:
        """Return the compiled expressions of a place; each place is compiled once."""
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
                options = self._options
                decode = decode_entities if options.html_entities else None
                yield compile_expression(text, options.null_values, options.places, decode)
            except ExpressionError as error:
                self._problems.append(f"{where}: {text!r}: {error}")
