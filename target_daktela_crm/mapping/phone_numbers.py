"""Phone numbers in the texts that people type into a CRM.

`read_phone_numbers` finds the numbers of a text, with notes, extensions and several numbers in it. Google's rules
of each country (`phonenumbers`) decide what a number is:

- An international number is sent as E.164. It begins with `+`, `00` or a country code.
- A national number needs a region. With one, it is sent as E.164.
- A number that can only be dialled within a town is sent as written, since its area code is not known. So is each
  national number without a region, and one whose length is not usual in the region.
- A number that is not possible is left out. A possible number in a range that is not assigned is sent.

All functions are pure. The time for a value is limited, since only the first `MAX_LENGTH` characters are read.
"""

from __future__ import annotations

import re
import unicodedata
from enum import IntEnum
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import phonenumbers
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    Leniency,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberMatcher,
    PhoneNumberType,
    ValidationResult,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAX_LENGTH = 500
"""Characters of a value that are read."""
_MAX_NUMBERS = 4
"""Numbers that are expected in a text if no rule of a country separates them."""
_MAX_GROUPS = 24
"""Groups of digits in a row that are read as numbers."""
_MAX_TRIES = 50
"""Attempts of the matcher of `phonenumbers` for one text."""
_SHORTEST = 6
_LONGEST = 17
"""Digits of a number that is sent as written: E.164 allows 15; two more for a prefix that is dialled first."""
_LONGEST_E164 = 15
_LONGEST_LOCAL = 8
"""Digits of the longest number that can be dialled within a town."""
_SHORTEST_WITH_COUNTRY_CODE = 10
"""Digits of the shortest number that is read as one with a country code though it has neither `+` nor `00`."""
_SHORTEST_OF_SEVERAL = 7
"""Digits that each of several numbers in one text has, if no rule of a country separates them."""
_LARGEST_GAP = 4
"""Digits beside a number that do not count as another one, such as those of an extension or of office hours."""
_SHORTEST_BEFORE_NOTE = 9
"""Digits of a number of an unknown country that has a note behind it."""
_LONGEST_AREA_CODE = 7
"""Digits, with a prefix such as 0."""
_VARIABLE = 3
"""Difference between the longest and the shortest landline numbers of countries with numbers of any length."""
_COMPARED_DIGITS = 8
"""Number of equal last digits that make two phone numbers the same, if only one of them has a country code."""

_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_CLEAN = re.compile(r"(?![1-9][.)] )\+?\(?\d[\d ().]{4,20}\d|\+?\d[\d-]{4,20}\d", re.ASCII)
"""A text that is probably one number, without any separator between numbers."""
_BETWEEN = r"[ ()\[\].~/\-]"
"""What people type between the groups of digits of a number."""
_GROUP = re.compile(r"\d+", re.ASCII)
_RUN = re.compile(rf"[+( ]{{0,4}}\d+(?:{_BETWEEN}{{1,6}}\d+)*", re.ASCII)
_LAST_RUN = re.compile(rf"(?:{_BETWEEN}|[+\d])*\Z")
_STRONG = re.compile(r"/| - ")
"""Separators that are rarely inside a number."""
_HARD = re.compile(
    r"[;|\n\r\v\f]|(?<=[\d)]) \+ |^ *[1-9][.)] "
    r"|\([1-9]\d?(?:[:.]\d\d)? ?- ?\d{1,2}(?:[:.]\d\d)?\)(?!-?\d)"
    r"|(?:^|(?<=[^\d(+-]))(?:[6-9]|1[0-2])-(?:1[2-9]|2[0-4]) (?=[+(\d])"
    r"|(?<![\d:])[012]?\d:[0-5]\d(?![\d:])|(?<!\d)24 ?/ ?7(?!\d)"
    r"|(?<![\d./+-])(?:0?[1-9]|[12]\d|3[01])([./]) ?(?:0?[1-9]|1[0-2])\1 ?(?:19|20)\d\d(?![./-]?\d)"
    r"|(?<![\d./+-])(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?![./-]?\d)",
    re.ASCII,
)
"""What is never inside a number: separators, numbers of a list, office hours, times and dates."""
_ENDING = re.compile(r"(?:\A[^/]*|\d{5,} ?)(/ ?-?\d{1,4})\Z", re.ASCII)
"""The last digits of a second number, as in `+212522940770/74`, unless there are slashes between all groups."""
_COMMA = re.compile(r",")
_NOTE = re.compile(r" *[(/][\d .-]{1,6}$", re.ASCII)
"""A note behind a number, or another ending of it."""
_UNUSUAL = re.compile(r"(?<=\d)[_'`\\](?=\d)|(?<=\d\d\d):(?=\d\d\d)", re.ASCII)
"""Separators inside a number that have another meaning elsewhere."""
_WITH_AT = re.compile(r"[^\s;,<>|]*@[^\s;,<>|]*")
_DATE = re.compile(r"\d{1,2}[./-] ?\d{1,2}[./-] ?(?:\d{2}){1,2}|\d{4}-\d\d-\d\d")
_EXTENSION = re.compile(
    r"(?:\b(?:ext|extension|extn|klapka|kl|linka|l|dw|durchwahl|nebenstelle|wew|wewn|mell[eé]k|poste|toestel|tst|int"
    r"|interno|ramal|anexo|доб|вн)|[x#*])[.:]{0,2} ?$",
    re.IGNORECASE,
)
_SCIENTIFIC = re.compile(r"(\d)(?:[.,](\d+))?E[+ ]?(\d{1,3})", re.IGNORECASE | re.ASCII)
"""How spreadsheets show long numbers."""
_VANITY = re.compile(r"\+?\(?\d[\d ().-]{1,12}[A-Za-z][A-Za-z\d .-]*")
_VANITY_TYPES = frozenset(
    {
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.UAN,
    }
)
_FEWEST_LETTERS = 3
_MOST_DIGITS_BEFORE_LETTERS = 8
_NORTH_AMERICA = 1
_ARGENTINA = 54
_MEXICO = 52
_MEXICAN_PREFIX = re.compile(r"\+52(?:0(?:1|44|45)|1)(\d{10})")
"""Prefixes of Mexico until 2019. Its numbers now have ten digits, with or without them before."""
_INVISIBLE = frozenset({"Cf", "Mn", "Me"})
_SIMPLE_CHARACTERS = {"\u2212": "-", "\u2796": "-", "\u2500": "-", "\u30fc": "-", "\u02d7": "-", "\t": " "} | {
    "\u2044": "/",
    "\u2215": "/",
    "\u00b7": ".",
    "\u2022": ".",
}


class Phone(NamedTuple):
    """A phone number."""

    text: str
    """Used in requests."""
    digits: str
    """Used to compare numbers: digits, with a `+` in front of a country code."""


class PhoneNumbers(NamedTuple):
    """What a text contains."""

    found: tuple[Phone, ...]
    """Each number once, in the order of the text."""
    left_out: int
    """How many parts of the text look like a number and are none; at least 1 if there is no number."""


class _Rank(IntEnum):
    """How certain it is that digits are one phone number."""

    WRITTEN = 1
    """It may be a number, and is sent as written."""
    POSSIBLE = 2
    """Its country has numbers of this length."""
    INCOMPLETE = 3
    """Its country has such numbers, but they are usually typed with a prefix such as 0."""
    VALID = 4


_RANK_WEIGHT = {_Rank.WRITTEN: 2, _Rank.POSSIBLE: 2, _Rank.INCOMPLETE: 3, _Rank.VALID: 4}


class _Reading(NamedTuple):
    phone: Phone
    rank: _Rank


class _Text(NamedTuple):
    """A part of a value."""

    written: str
    plain: str
    """The same with ASCII digits, blanks and hyphens at the same positions."""

    def part(self, start: int, end: int) -> _Text:
        return _Text(self.written[start:end], self.plain[start:end])

    def stripped(self) -> _Text:
        start = len(self.plain) - len(self.plain.lstrip())
        return self.part(start, len(self.plain.rstrip()))


def read_phone_numbers(text: str, region: str | None) -> PhoneNumbers:
    """Return the phone numbers in a text.

    `region` is the country of national numbers (ISO 3166, such as CZ).
    """
    clean = read_clean_number(text, region)
    if clean is not None:
        return PhoneNumbers((Phone(clean, clean),), 0)
    # The last number may be cut.
    shortened = text if len(text) <= MAX_LENGTH else _LAST_RUN.sub("", text[:MAX_LENGTH])
    found: list[Phone] = []
    left_out = int(sum(map(str.isdecimal, text[len(shortened) :])) >= _SHORTEST)
    for part in _parts(_simplified(shortened)):
        numbers = _read_part(part, region)
        found += numbers.found
        left_out += numbers.left_out
    return PhoneNumbers(tuple(unique_phones(found)), left_out if found else max(left_out, 1))


def read_clean_number(text: str, region: str | None) -> str | None:
    """Return the E.164 form of a text that is certainly one number, or None for any other text.

    This takes a tenth of the time of `phonenumbers`, and returns the same.
    """
    if _E164.fullmatch(text) and _is_possible_e164(text):
        return text
    return _read_clean(text, region) if _CLEAN.fullmatch(text) else None


def unique_phones(phones: Iterable[Phone]) -> list[Phone]:
    """Return each phone number once, in E.164 if that is known."""
    found: list[Phone] = []
    for phone in phones:
        place = next(
            (place for place, known in enumerate(found) if is_same_phone(known.digits, phone.digits)), None
        )
        if place is None:
            found.append(phone)
        elif phone.digits.startswith("+") and not found[place].digits.startswith("+"):
            found[place] = phone
    return found


def is_same_phone(one: str, other: str) -> bool:
    """Return whether two values of `Phone.digits` are the same phone number.

    A national number is the same as an international number that ends with it.
    """
    if one == other:
        return True
    if one.startswith("+") == other.startswith("+"):
        return False
    national, international = (other, one) if one.startswith("+") else (one, other)
    ending = national.lstrip("0")
    return len(ending) >= _COMPARED_DIGITS and international.endswith(ending)


# Clean numbers.


class _Rules(NamedTuple):
    """The rules of a country."""

    code: str
    lengths: frozenset[int]
    """Digits of a number without its country code."""
    prefix: re.Pattern[str] | None
    """Of what is dialled before a national number."""
    digits_before: str | None
    """The same, if it is always the same digits."""
    numbers: re.Pattern[str]
    """Of landline and mobile numbers."""


def _read_clean(text: str, region: str | None) -> str | None:
    """Return the E.164 form of a text that is certainly one landline or mobile number, or None."""
    digits = _digits(text)
    if digits.startswith("+"):
        rules, start = _rules_of_code(digits[:4])
        number = digits[start:]
        is_number = rules is not None and rules.numbers.fullmatch(number) and _is_possible_e164(digits)
        return digits if is_number else None
    rules = None if region is None or digits.startswith("00") else _region_rules(region)
    if rules is None or rules.digits_before is None or not digits.startswith(rules.digits_before):
        return None
    number = digits[len(rules.digits_before) :]
    return f"+{rules.code}{number}" if rules.numbers.fullmatch(number) else None


def _is_possible_e164(text: str) -> bool:
    """Return whether a text is a possible number that `phonenumbers` formats in the same way."""
    rules, start = _rules_of_code(text[:4])
    number = text[start:]
    if rules is None or len(number) not in rules.lengths or (rules.prefix and rules.prefix.match(number)):
        return False
    # Except in Italy, a zero is probably not a part of the number.
    return not number.startswith("0") or rules.numbers.fullmatch(number) is not None


@lru_cache(maxsize=1024)
def _rules_of_code(beginning: str) -> tuple[_Rules | None, int]:
    """Return the rules for the country code at the beginning of a number, and where that code ends."""
    for end in () if beginning.startswith("+0") else (2, 3, 4):
        regions = COUNTRY_CODE_TO_REGION_CODE.get(int(beginning[1:end]))
        if regions is not None:
            return _code_rules(int(beginning[1:end]), regions[0]), end
    return None, 0


@cache
def _region_rules(region: str) -> _Rules | None:
    return _code_rules(phonenumbers.country_code_for_region(region), region)


@cache
def _code_rules(code: int, region: str) -> _Rules | None:
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    if metadata is None or metadata.general_desc is None:
        return None
    prefix = metadata.national_prefix_for_parsing
    is_simple = prefix == metadata.national_prefix and metadata.national_prefix_transform_rule is None
    kinds = [metadata.fixed_line, metadata.mobile]
    patterns = [kind.national_number_pattern for kind in kinds if kind and kind.national_number_pattern]
    return _Rules(
        str(code),
        frozenset(metadata.general_desc.possible_length),
        re.compile(prefix) if prefix else None,
        (prefix or "") if is_simple else None,
        re.compile("|".join(f"(?:{pattern})" for pattern in patterns) or r"(?!)"),
    )


# The parts of a text.


def _simplified(text: str) -> _Text:
    """Return a text without invisible characters."""
    if text.isascii():
        return _Text(text, _UNUSUAL.sub("-", text.replace("\t", " ")))
    written = "".join(each for each in text if each.isascii() or unicodedata.category(each) not in _INVISIBLE)
    return _Text(written, _UNUSUAL.sub("-", "".join(map(_simple_character, written))))


@lru_cache(maxsize=1024)
def _simple_character(character: str) -> str:
    """Return the ASCII character that means the same in a phone number, or the character itself."""
    if character in _SIMPLE_CHARACTERS:
        return _SIMPLE_CHARACTERS[character]
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category in {"Pd", "Zs"}:
        return "-" if category == "Pd" else " "
    simple = unicodedata.normalize("NFKC", character)
    return character if len(simple) != 1 or simple.isdigit() else _SIMPLE_CHARACTERS.get(simple, simple)


def _parts(text: _Text) -> Iterator[_Text]:
    """Yield the parts of a text between separators that are never inside a number."""
    plain = text.plain
    if "@" in plain:
        # An e-mail address is no phone number, even if it contains many digits.
        text = _Text(text.written, _WITH_AT.sub(lambda found: "@" * len(found[0]), plain))
    for part in _split(text, _HARD):
        several = () if "," not in part.plain or _SCIENTIFIC.fullmatch(part.plain) else _split(part, _COMMA)
        if any(_count_digits(each.plain) >= _SHORTEST for each in several):
            yield from several
        else:
            # Some people type commas between the groups of a number.
            yield _Text(part.written, part.plain.replace(",", " ")) if several else part


def _split(text: _Text, separator: re.Pattern[str]) -> list[_Text]:
    """Return the parts of a text between separators, without surrounding blanks."""
    bounds = [0, *(place for found in separator.finditer(text.plain) for place in found.span()), len(text.plain)]
    return [text.part(start, end).stripped() for start, end in zip(bounds[::2], bounds[1::2], strict=True)]


def _read_part(text: _Text, region: str | None) -> PhoneNumbers:
    """Return the numbers in a part of a text."""
    scientific = _SCIENTIFIC.fullmatch(text.plain)
    if scientific:
        return _read_scientific(scientific, region)
    if _RUN.fullmatch(text.plain):
        return _read_run(text, region)
    matched = _read_matches(text, region)
    if matched is not None:
        return matched
    vanity = _read_vanity(text, region)
    if vanity is not None:
        return PhoneNumbers((vanity,), 0)
    return _joined(_read_run(run, region) for run in _runs(text))


def _joined(parts: Iterable[PhoneNumbers]) -> PhoneNumbers:
    found: list[Phone] = []
    left_out = 0
    for part in parts:
        found += part.found
        left_out += part.left_out
    return PhoneNumbers(tuple(found), left_out)


def _read_scientific(number: re.Match[str], region: str | None) -> PhoneNumbers:
    """Return a number that a spreadsheet has shortened, if all of its digits are there."""
    digits = number[1] + (number[2] or "")
    if len(digits) == int(number[3]) + 1:
        return _read_run(_Text(digits, digits), region)
    return PhoneNumbers((), 1)


def _read_matches(text: _Text, region: str | None) -> PhoneNumbers | None:
    """Return the valid numbers that `phonenumbers` finds, or None if it leaves digits that may be a number."""
    found: list[Phone] = []
    end = 0
    for match in PhoneNumberMatcher(text.plain, region, Leniency.VALID, _MAX_TRIES):
        if _may_be_number(text.plain[end : match.start], before_number=True):
            return None
        part = text.part(match.start, match.end)
        reading = _judged(match.number, part, _digits(part.plain))
        if reading is not None:
            found.append(reading.phone)
        end = match.end
    if not found or _may_be_number(text.plain[end:]):
        return None
    return PhoneNumbers(tuple(found), 0)


def _may_be_number(text: str, *, before_number: bool = False) -> bool:
    """Return whether a text beside a number may contain another number, or the beginning of it."""
    runs = [found[0] for found in _RUN.finditer(text)]
    if any("+" in run or _count_digits(run) > _LARGEST_GAP for run in runs if not _DATE.fullmatch(run.strip())):
        return True
    if text.startswith("/") and runs:
        return True
    # What precedes a number directly may be its area code.
    return before_number and text.rstrip(" ()[].~/-")[-1:].isdigit()


def _read_vanity(text: _Text, region: str | None) -> Phone | None:
    """Return a number with letters in place of digits, such as 1-800-FLOWERS."""
    found = _VANITY.search(text.plain)
    if found is None or not _looks_like_vanity(found[0]):
        return None
    letters = found[0].strip(" .-")
    if region is None and "+" not in letters:
        written = text.part(*found.span()).written.strip(" .-")
        digits = _digits(phonenumbers.convert_alpha_characters_in_number(letters))
        is_number = letters.isupper() and _SHORTEST_OF_SEVERAL <= len(digits) <= _LONGEST_E164
        return Phone(written, digits) if is_number else None
    number = _parsed(phonenumbers.convert_alpha_characters_in_number(letters), region)
    # People type more letters than the number has digits.
    if number is None or not phonenumbers.truncate_too_long_number(number):
        return None
    may_have_letters = phonenumbers.number_type(number) in _VANITY_TYPES
    if not may_have_letters and not (number.country_code == _NORTH_AMERICA and letters.isupper()):
        return None
    written = _e164(number)
    return Phone(written, written)


def _looks_like_vanity(text: str) -> bool:
    letters = sum(map(str.isalpha, text))
    return (
        letters >= _FEWEST_LETTERS
        and "ext" not in text.lower()
        and _count_digits(text) <= _MOST_DIGITS_BEFORE_LETTERS
    )


def _runs(text: _Text) -> Iterator[_Text]:
    """Yield the parts of a text that consist of digits and of what is typed between them."""
    for found in _RUN.finditer(text.plain):
        run = text.part(*found.span()).stripped()
        is_short = _count_digits(run.plain) <= _SHORTEST
        if _DATE.fullmatch(run.plain) or (is_short and _EXTENSION.search(text.plain[: found.start()])):
            continue
        yield run


# One or several numbers.


def _read_run(text: _Text, region: str | None) -> PhoneNumbers:
    """Return the numbers in a text that consists of digits and of what is typed between them."""
    ending = _ENDING.search(text.plain)
    if ending is not None and _count_digits(text.plain[: ending.start(1)]) > _LONGEST_AREA_CODE:
        first = _read(text.part(0, ending.start(1)).stripped(), region)
        if first is not None and first.rank is _Rank.VALID:
            return PhoneNumbers((first.phone,), 1)
    whole = _read(text, region)
    parts = _split(text, _STRONG)
    if 1 < len(parts) <= _MAX_NUMBERS:
        several = [each for part in parts if (each := _read(part, region)) is not None]
        if len(several) == len(parts) and (whole is None or all(each.rank is _Rank.VALID for each in several)):
            return PhoneNumbers(tuple(each.phone for each in several), 0)
    if whole is not None and whole.rank is _Rank.VALID:
        return PhoneNumbers((whole.phone,), 0)
    digits = _digits(text.plain)
    if region is None and not digits.startswith(("+", "00")):
        return _read_without_rules(text)
    return _best_division(text, region)


def _read_without_rules(text: _Text) -> PhoneNumbers:
    """Return national numbers of an unknown country, as written."""
    parts = _divided_without_rules(text)
    readings = [_as_written(part, _digits(part.plain)) for part in parts]
    found = tuple(each.phone for each in readings if each is not None)
    is_cut = len(parts) == 1 and len(parts[0].plain) < len(text.plain) and "/" in text.plain[len(parts[0].plain) :]
    left_out = sum(
        each is None and _count_digits(part.plain) > _LARGEST_GAP
        for each, part in zip(readings, parts, strict=True)
    )
    return PhoneNumbers(found, left_out + is_cut)


def _divided_without_rules(text: _Text) -> list[_Text]:
    strong = _split(text, _STRONG)
    if len(strong) > 1 and all(_count_digits(part.plain) >= _SHORTEST_OF_SEVERAL for part in strong):
        return strong
    groups = _groups(text.plain)
    sizes = [end - start for start, end in groups]
    if len(sizes) > 1 and min(sizes) >= _SHORTEST_OF_SEVERAL:
        return [_segment(text, [group]) for group in groups]
    total = sum(sizes)
    if total > _LONGEST_E164:
        equal = _equal_parts(text, groups, total)
        return equal or [text]
    note = _NOTE.search(text.plain)
    if note is not None and _count_digits(text.plain[: note.start()]) >= _SHORTEST_BEFORE_NOTE:
        return [text.part(0, note.start())]
    return [text]


def _equal_parts(text: _Text, groups: Sequence[tuple[int, int]], total: int) -> list[_Text]:
    """Return numbers of equal length, or nothing if the groups of digits do not divide into them."""
    for count in range(2, _MAX_NUMBERS + 1):
        parts: list[list[tuple[int, int]]] = [[]]
        for start, end in groups:
            if sum(map(_size, parts[-1])) * count >= total:
                parts.append([])
            parts[-1].append((start, end))
        sizes = {sum(map(_size, part)) * count for part in parts}
        if sizes == {total} and _SHORTEST_OF_SEVERAL <= total // count <= _LONGEST_E164:
            return [_segment(text, part) for part in parts]
    return []


def _size(group: tuple[int, int]) -> int:
    return group[1] - group[0]


def _best_division(text: _Text, region: str | None) -> PhoneNumbers:
    """Return the numbers that the groups of digits most probably are.

    Of all ways to divide the groups into numbers and digits that belong to none, the one with the largest sum of
    `_weight` is taken.
    """
    groups = _groups(text.plain)[:_MAX_GROUPS]
    is_international = _digits(text.plain).startswith(("+", "00"))
    # For each group: the largest sum from there on, and the segments that it consists of.
    best: list[tuple[int, tuple[tuple[int, int, _Reading], ...]]] = [(0, ())] * (len(groups) + 1)
    for start in reversed(range(len(groups))):
        # The groups behind a `+` or `00` are no number without it.
        if start or not is_international:
            rest = best[start + 1]
            # Digits before a number are more probably a part of it than those behind it.
            loss = _size(groups[start]) * (10 if rest[1] else 1)
            best[start] = (rest[0] - loss, rest[1])
        for end in range(start + 1, len(groups) + 1):
            segment = _segment(text, groups[start:end])
            if _count_digits(segment.plain) > _LONGEST:
                break
            reading = _read(segment, region)
            if reading is not None:
                total = best[end][0] + _weight(reading, segment)
                if total >= best[start][0] or (start == 0 and not best[0][1]):
                    best[start] = (total, ((start, end, reading), *best[end][1]))
    segments = best[0][1]
    return PhoneNumbers(
        tuple(reading.phone for _, _, reading in segments), _count_left_out(text.plain, groups, segments)
    )


def _weight(reading: _Reading, segment: _Text) -> int:
    """Return how probable it is that a segment is a number: the larger, the more probable."""
    separators = len(_STRONG.findall(segment.plain))
    return _RANK_WEIGHT[reading.rank] * _count_digits(segment.plain) - 12 - 10 * separators


def _count_left_out(
    text: str, groups: Sequence[tuple[int, int]], segments: Sequence[tuple[int, int, _Reading]]
) -> int:
    """Return how many parts between the segments look like numbers."""
    count = 0
    done = 0
    for start, end in (*((start, end) for start, end, _ in segments), (len(groups), len(groups))):
        between = groups[done:start]
        if between:
            # `+212522940770/74` means a second number.
            is_ending = done > 0 and text[groups[done - 1][1] : between[0][0]].strip() == "/"
            is_date = _DATE.fullmatch(text, between[0][0], between[-1][1]) is not None
            count += (sum(map(_size, between)) > _LARGEST_GAP and not is_date) or is_ending
        done = end
    return count + (len(_GROUP.findall(text)) > len(groups))


def _groups(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in _GROUP.finditer(text)]


def _segment(text: _Text, groups: Sequence[tuple[int, int]]) -> _Text:
    """Return the part of a text with some successive groups of digits."""
    start, end = groups[0][0], groups[-1][1]
    before = text.plain[:start]
    lead = before[len(before.rstrip("+( ")) :]
    if "+" in lead or (")" in text.plain[start:end] and "(" in lead):
        start -= len(lead)
    return text.part(start, end).stripped()


# One number.


def _read(text: _Text, region: str | None) -> _Reading | None:
    """Return how a text reads as one number, or None if it is none."""
    digits = _digits(text.plain)
    if digits.startswith("+"):
        return _read_international(text, digits, region)
    if region is not None:
        return _read_national(text, digits, region)
    if digits.startswith("00"):
        return _read_international(text, f"+{digits[2:]}", None)
    return _as_written(text, digits)


def _read_international(text: _Text, digits: str, region: str | None) -> _Reading | None:
    number = _parsed(digits, None)
    reading = None if number is None else _judged(number, text, digits)
    if number is not None and (reading is None or reading.rank is not _Rank.VALID):
        # Some people put a zero in brackets for each country.
        without_zero = f"+{number.country_code}{number.national_number}" if number.italian_leading_zero else ""
        reading = _valid(text, digits, (_without_mexican_prefix(digits), without_zero)) or reading
    if reading is None and region is not None:
        # The `+` may be wrong, as in +0905123456.
        national = _read_national(text, digits[1:], region)
        is_valid = national is not None and national.rank is _Rank.VALID
        return national._replace(rank=_Rank.INCOMPLETE) if national is not None and is_valid else None
    return reading


def _read_national(text: _Text, digits: str, region: str) -> _Reading | None:
    number = _parsed(digits, region)
    reading = None if number is None else _judged(number, text, digits)
    is_complete = number is not None and _is_complete(number, digits, region)
    is_valid = reading is not None and reading.rank is _Rank.VALID
    if is_valid and is_complete:
        return reading
    fits = number is not None and _has_usual_length(number)
    other = _valid(text, digits, _international_spellings(number, digits, region))
    if other is None and not is_valid and not (fits and is_complete):
        other = _read_foreign(text, digits)
    if other is not None or number is None or reading is None:
        return other
    is_local = len(digits) <= _LONGEST_LOCAL and not is_complete and not (is_valid and _has_fixed_length(region))
    # Argentine mobile numbers without their area code begin with 15.
    is_local = is_local or (number.country_code == _ARGENTINA and not is_valid and digits.startswith("15"))
    if is_local or not (is_valid or fits):
        return _as_written(text, digits)
    return reading._replace(rank=_Rank.INCOMPLETE) if is_valid else reading


def _read_foreign(text: _Text, digits: str) -> _Reading | None:
    """Return a number with the code of another country, but without its `+`."""
    if digits.startswith("0") or len(digits) < _SHORTEST_WITH_COUNTRY_CODE:
        return None
    reading = _valid(text, digits, (f"+{digits}", _without_mexican_prefix(f"+{digits}")))
    return None if reading is None else reading._replace(rank=_Rank.POSSIBLE)


def _international_spellings(number: PhoneNumber | None, digits: str, region: str) -> Iterator[str]:
    """Yield the international numbers that a national one probably is."""
    if digits.startswith("00"):
        yield f"+{digits[2:]}"
    if number is not None and number.country_code == _MEXICO:
        yield _without_mexican_prefix(f"+{_MEXICO}{phonenumbers.national_significant_number(number)}")
    code = str(phonenumbers.country_code_for_region(region))
    if len(digits) >= _SHORTEST_WITH_COUNTRY_CODE and digits.startswith((code, f"0{code}")):
        yield f"+{digits.removeprefix('0')}"


def _valid(text: _Text, digits: str, spellings: Iterable[str]) -> _Reading | None:
    """Return the first of several international spellings that is a valid number."""
    for spelling in spellings:
        number = _parsed(spelling, None) if spelling else None
        reading = None if number is None else _judged(number, text, digits)
        if reading is not None and reading.rank is _Rank.VALID:
            return reading
    return None


def _judged(number: PhoneNumber, text: _Text, digits: str) -> _Reading | None:
    """Return a parsed number, or None if it is not possible."""
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason not in {ValidationResult.IS_POSSIBLE, ValidationResult.IS_POSSIBLE_LOCAL_ONLY}:
        return None
    is_valid = phonenumbers.is_valid_number(number)
    is_local = reason == ValidationResult.IS_POSSIBLE_LOCAL_ONLY and not (is_valid and digits.startswith("+"))
    # `phonenumbers` adds the area code of some small countries.
    if is_local or not _has_only_typed_digits(number, digits):
        return _as_written(text, digits)
    written = _e164(number)
    return _Reading(Phone(written, written), _Rank.VALID if is_valid else _Rank.POSSIBLE)


def _as_written(text: _Text, digits: str) -> _Reading | None:
    if not _SHORTEST <= len(digits.lstrip("+")) <= _LONGEST:
        return None
    return _Reading(Phone(text.written, digits), _Rank.WRITTEN)


def _parsed(text: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _without_mexican_prefix(digits: str) -> str:
    """Return the E.164 form of a Mexican number with a former prefix, or an empty text."""
    found = _MEXICAN_PREFIX.fullmatch(digits)
    return f"+{_MEXICO}{found[1]}" if found else ""


def _is_complete(number: PhoneNumber, digits: str, region: str) -> bool:
    """Return whether a number is typed with all that is dialled: a prefix such as 0, or a country code."""
    prefix = phonenumbers.ndd_prefix_for_region(region, True)  # noqa: FBT003 - its parameter has a long name
    if prefix is None or digits.startswith(prefix):
        return True
    if number.country_code != phonenumbers.country_code_for_region(region):
        return True
    return digits in {
        _e164(number)[1:],
        _digits(phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)),
    }


def _has_usual_length(number: PhoneNumber) -> bool:
    """Return whether a landline or mobile number may have this length. Service numbers have other lengths."""
    kinds = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE)
    reasons = (phonenumbers.is_possible_number_for_type_with_reason(number, kind) for kind in kinds)
    return any(reason == ValidationResult.IS_POSSIBLE for reason in reasons)


@cache
def _has_fixed_length(region: str) -> bool:
    """Return whether landline numbers of a region have about the same length."""
    metadata = PhoneMetadata.metadata_for_region(region)
    lengths = metadata.fixed_line.possible_length if metadata is not None and metadata.fixed_line else ()
    return not lengths or max(lengths) - min(lengths) < _VARIABLE


def _has_only_typed_digits(number: PhoneNumber, digits: str) -> bool:
    """Return whether the digits of a national number occur in the typed ones in this order.

    Of Argentine mobile numbers, `phonenumbers` adds the 9 that is dialled from abroad.
    """
    national = phonenumbers.national_significant_number(number)
    if number.country_code == _ARGENTINA:
        national = national.removeprefix("9")
    typed = iter(digits)
    return all(digit in typed for digit in national)


def _digits(text: str) -> str:
    """Return the digits of a text, with a `+` before them if there is one in the text."""
    digits = "".join(_GROUP.findall(text))
    # Some people type +00 for 00.
    return f"+{digits.removeprefix('00')}" if "+" in text else digits


def _count_digits(text: str) -> int:
    return sum(map(len, _GROUP.findall(text)))
