"""Read records that already have the request's shape without their mapping, which saves a fifth of a first run.

If a mapping leaves values unchanged and takes each attribute from a column of its own, it is equivalent to a type,
and `msgspec` checks a record against it while it decodes the line. Any other record is left to the mapping. Both
have the same result (`test_native.py`), except that columns that are not mapped are not checked here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeAlias

import msgspec

from tap_daktela.api.json_text import NUL
from target_daktela_crm.entities import Company, CompanyInfo, Contact
from target_daktela_crm.mapping.roles import encode_body
from target_daktela_crm.mapping.values import UnreadableError, read_id

if TYPE_CHECKING:
    from collections.abc import Mapping

_Make: TypeAlias = Callable[[Any], Company | Contact]
_Id: TypeAlias = int | str
_Text: TypeAlias = str | None
_Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]


class _Field(msgspec.Struct, gc=False):
    key: _Name
    value: list[str]


_Fields: TypeAlias = list[_Field] | None
_Nothing: TypeAlias = Annotated[list[Any], msgspec.Meta(max_length=0)] | None
_COMPANY: dict[str, tuple[Any, ...]] = {
    "id": (_Id,),
    # A record without a name is left to the mapping, which substitutes one.
    "name": (_Name,),
    "description": (_Text,),
    "fields": (_Fields,),
    # A record with contacts inside is left to the mapping.
    "contacts": (_Nothing, None),
}
_CONTACT: dict[str, tuple[Any, ...]] = {
    "id": (_Id,),
    "company": (_Id | None | msgspec.UnsetType, msgspec.UNSET),
    "name": (_Text,),
    "firstname": (_Text,),
    "lastname": (_Text,),
    "description": (_Text,),
    "fields": (_Fields,),
}
"""Attributes of a record, each with its type and, if it may be missing, its default.

A record that lacks any other column is left to the mapping, which uses its last known value.
"""
_DELETED_AT = "_sdc_deleted_at"
"""Column by which taps of databases mark deleted rows."""


class _CompanyBody(msgspec.Struct, gc=False):
    id: _Id
    name: _Text
    description: _Text
    fields: list[_Field]


class _ContactBody(msgspec.Struct, gc=False):
    id: _Id
    name: _Text
    firstname: _Text
    lastname: _Text
    description: _Text
    fields: list[_Field]


class Native(NamedTuple):
    """A mapping that consists of one column for each attribute of one role."""

    role: str
    """`company` or `contact`."""
    columns: Mapping[str, str]
    """By attribute."""


def native(role: str, columns: Mapping[str, str | None]) -> Native | None:
    """Return the mapping of these columns, or None if they are not the complete mapping of a role.

    `columns` has None for attributes that come from anything but one column.
    """
    fields, _ = _ROLES[role]
    names = {name: column for name, column in columns.items() if column is not None}
    is_whole = columns.keys() == names.keys() and fields.keys() - {"contacts"} == names.keys() - {"contacts"}
    # msgspec cannot use one column for two attributes.
    is_plain = len({*names.values(), _DELETED_AT}) == len(names) + 1
    return Native(role, names) if is_whole and is_plain else None


def _company(record: Any) -> Company:  # noqa: ANN401 - of a type made by defstruct
    identifier = read_id(record.id)
    body = _CompanyBody(identifier.sent, record.name, record.description, record.fields or [])
    return Company(identifier.key, encode_body(body), None, deleted=False)


def _contact(record: Any) -> Contact:  # noqa: ANN401 - as above
    identifier = read_id(record.id)
    body = _ContactBody(
        identifier.sent,
        record.name,
        record.firstname,
        record.lastname,
        record.description,
        record.fields or [],
    )
    company, info = record.company, CompanyInfo.GIVEN
    if company is msgspec.UNSET:
        company, info = None, CompanyInfo.COLUMNS_MISSING
    elif company is not None:
        company = read_id(company).key
    return Contact(identifier.key, encode_body(body), company, None, deleted=False, company_info=info)


_ROLES: dict[str, tuple[dict[str, tuple[Any, ...]], _Make]] = {
    "company": (_COMPANY, _company),
    "contact": (_CONTACT, _contact),
}


class _NoStream(msgspec.Struct, tag_field="stream", tag="\0"):
    """A type that no line has. With only one type, msgspec would accept records without a stream."""


class NativeReader:
    """Reads the records of announced streams."""

    def __init__(self) -> None:
        self._streams: set[str] = set()
        self._makers: dict[type[msgspec.Struct], tuple[str, _Make]] = {}
        self._decode: Callable[[bytes], Any] | None = None

    def announce(self, stream: str, native: Native) -> None:
        """Read the records of a stream from now on."""
        if stream in self._streams:
            return
        self._streams.add(stream)
        fields, make = _ROLES[native.role]
        self._makers[_message(stream, fields, native.columns)] = (stream, make)
        self._decode = msgspec.json.Decoder(reduce(or_, self._makers, _NoStream)).decode

    def read(self, line: bytes) -> tuple[str, Company | Contact] | None:
        """Return the stream and the content of a record of these streams, or None for any other line."""
        # The mapping leaves NUL characters out of texts.
        if self._decode is None or NUL in line:
            return None
        try:
            if not line.isascii():
                # msgspec does not check the parts that it skips.
                line.decode()
            message = self._decode(line)
            stream, make = self._makers[type(message)]
            return stream, make(message.record)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, UnreadableError):
            return None


def _message(
    stream: str, fields: Mapping[str, tuple[Any, ...]], columns: Mapping[str, str]
) -> type[msgspec.Struct]:
    """Return the type of a stream's RECORD messages."""
    record = msgspec.defstruct(
        "Record",
        [*((name, *of) for name, of in fields.items() if name in columns), ("deleted_at", None, None)],
        rename={**columns, "deleted_at": _DELETED_AT},
        kw_only=True,
        gc=False,
    )
    return msgspec.defstruct(
        "Message", [("type", Literal["RECORD"]), ("record", record)], tag_field="stream", tag=stream, gc=False
    )
