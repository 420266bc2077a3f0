"""The setting `phone_region`: a country of ISO 3166, and what people write instead."""

from __future__ import annotations

import re

import phonenumbers

_LONGEST_CALLING_CODE = 3
_SPELLINGS = {
    "AT": ("aut",),
    "BE": ("bel",),
    "CH": ("che", "sui"),
    "CZ": ("cs", "cze", "czech", "czechia", "česko", "cesko", "tschechien"),
    "DE": ("deu", "ger"),
    "DK": ("da", "dnk"),
    "ES": ("esp",),
    "FR": ("fra",),
    "GB": ("uk", "gbr", "en", "eng", "great britain", "britain", "england", "scotland", "wales"),
    "GR": ("el", "grc"),
    "HR": ("hrv",),
    "HU": ("hun",),
    "IE": ("irl",),
    "IT": ("ita",),
    "JP": ("ja", "jpn"),
    "NL": ("nld", "holland", "the netherlands"),
    "PL": ("pol",),
    "RO": ("rou",),
    "SE": ("swe",),
    "SI": ("svn",),
    "SK": ("svk", "slovensko"),
    "UA": ("ukr",),
    "US": ("usa", "america", "united states of america"),
}
"""Codes of languages, domains and vehicles, codes with three letters, and names that `phonenumbers` lacks."""


_REGIONS = {spelling: region for region, spellings in _SPELLINGS.items() for spelling in spellings}


def region_problem(value: str) -> str | None:
    """Return what is wrong with a region, with the code that was meant if it is known; None for a valid one."""
    if value.upper() in phonenumbers.SUPPORTED_REGIONS:
        return None
    meant = _meant_region(value)
    hint = f"; did you mean {meant}?" if meant else ""
    return f"{value!r} is not a country of ISO 3166 with two letters, such as CZ{hint}"


def _meant_region(value: str) -> str | None:
    text = value.strip().casefold()
    digits = text.removeprefix("+").lstrip("0")
    if digits.isdecimal() and len(digits) <= _LONGEST_CALLING_CODE:
        return next(iter(phonenumbers.region_codes_for_country_code(int(digits))), None)
    # The last part of a locale such as cs_CZ is a region.
    for candidate in (text, re.split(r"[-_.]", text)[-1]):
        if candidate.upper() in phonenumbers.SUPPORTED_REGIONS:
            return candidate.upper()
        if candidate in _REGIONS:
            return _REGIONS[candidate]
    return _region_named(text)


def _region_named(name: str) -> str | None:
    """Return the region with a name, in any language."""
    # Read only for a wrong value, since it is large.
    from phonenumbers.geodata.locale import LOCALE_DATA  # noqa: PLC0415

    for region, names in LOCALE_DATA.items():
        if region in phonenumbers.SUPPORTED_REGIONS and any(name == each.casefold() for each in names.values()):
            return str(region)
    return None
