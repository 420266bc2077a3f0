"""Phone numbers: what people type into a CRM, and what is sent."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from target_daktela_crm.mapping import phone_numbers
from target_daktela_crm.mapping.phone_numbers import (
    MAX_LENGTH,
    Phone,
    is_same_phone,
    read_phone_numbers,
    unique_phones,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
TYPES = tuple(kind for kind in PhoneNumberType.values() if kind != PhoneNumberType.UNKNOWN)
SEPARATORS = ("/", ".", "-", " ", "", " / ", " - ", "\u2212", "\u2013", "\u00a0")
CALLED_FROM = ("AR", "AU", "BR", "CZ", "DE", "FI", "GB", "IT", "JP", "KR", "MX", "RU", "SG", "US")


def found(text: str, region: str | None) -> list[str]:
    return [phone.text for phone in read_phone_numbers(text, region).found]


@pytest.mark.parametrize(
    ("region", "text", "expected"),
    [
        # A separator between an area code and a number is not one between numbers.
        ("DE", "030 / 23125014", ["+493023125014"]),
        ("DE", "06131/123456", ["+496131123456"]),
        ("DE", "0049 (0) 30/231 250-14", ["+493023125014"]),
        ("FR", "01/23/45/67/89", ["+33123456789"]),
        ("CZ", "777_123_456", ["+420777123456"]),
        ("CZ", "777:123:456", ["+420777123456"]),
        ("CH", "044'668'18'00", ["+41446681800"]),
        (None, "030 / 23125014", ["030 / 23125014"]),
        # Several numbers.
        ("CZ", "777 123 456/777 654 321", ["+420777123456", "+420777654321"]),
        ("CZ", "777123456 777654321", ["+420777123456", "+420777654321"]),
        ("CZ", "777 123 456 777 654 321", ["+420777123456", "+420777654321"]),
        ("CZ", "777123456,777654321", ["+420777123456", "+420777654321"]),
        ("CZ", "+420777123456+420777654321", ["+420777123456", "+420777654321"]),
        ("CZ", "+420 777 123 456 + 777 654 321", ["+420777123456", "+420777654321"]),
        ("CZ", "tel: 777 123 456, fax: 222 333 444", ["+420777123456", "+420222333444"]),
        ("CZ", "777 123 456 (manželka)\n777 654 321 (manžel)", ["+420777123456", "+420777654321"]),
        ("CZ", '["+420777123456", "777654321"]', ["+420777123456", "+420777654321"]),
        ("DE", "030 23125-0 oder 0171 1234567", ["+4930231250", "+491711234567"]),
        ("NO", "22 33 44 55 66 77 88 99", ["+4722334455", "+4766778899"]),
        ("AT", "01 51234 / 01 51235", ["+43151234", "+43151235"]),
        ("US", "(650) 253-0000 (650) 253-0001", ["+16502530000", "+16502530001"]),
        ("US", "555-1234 / 555-4321", ["555-1234", "555-4321"]),
        (None, "+420 777 123 456 / 777 654 321", ["+420777123456", "777 654 321"]),
        (None, "777 123 456/777 654 321", ["777 123 456", "777 654 321"]),
        (None, "777123456 777654321", ["777123456", "777654321"]),
        (None, "777 123 456 777 654 321", ["777 123 456", "777 654 321"]),
        (None, "0905 123 456; 0905 654 321", ["0905 123 456", "0905 654 321"]),
        # Notes and extensions.
        ("CZ", "+420 777 123 456 (8-16)", ["+420777123456"]),
        ("CZ", "777 123 456 (8-16)", ["+420777123456"]),
        ("CZ", "(8-16) 777 123 456", ["+420777123456"]),
        ("CZ", "po-pá 8-16: 777 123 456", ["+420777123456"]),
        ("CZ", "777 123 456 po 17:00", ["+420777123456"]),
        ("CZ", "777 123 456 12.5.2024", ["+420777123456"]),
        ("CZ", "12. 5. 2024 777 123 456", ["+420777123456"]),
        ("CZ", "2024-01-15 777 123 456", ["+420777123456"]),
        ("CZ", "8:00 - 16:00 777 123 456", ["+420777123456"]),
        ("CZ", "24/7 777 123 456", ["+420777123456"]),
        ("CZ", "8-16 777 123 456", ["+420777123456"]),
        ("CZ", "777 123 456 linka 12", ["+420777123456"]),
        ("CZ", "777 123 456 linka 123456", ["+420777123456"]),
        ("CZ", "(777 123 456)", ["+420777123456"]),
        ("CZ", "1. 777 123 456", ["+420777123456"]),
        ("CZ", "'777123456", ["+420777123456"]),
        ("CZ", "mobil777123456", ["+420777123456"]),
        ("US", "650-253-0000 x12", ["+16502530000"]),
        ("US", "650 253 0000 ext. 23 (mornings)", ["+16502530000"]),
        ("DE", "tel:+49-30-23125006;ext=23", ["+493023125006"]),
        (None, "+1 202 555 0114 ext. 23", ["+12025550114"]),
        (None, "777 123 456 (doma)", ["777 123 456"]),
        (None, "777 123 456 (8-16)", ["777 123 456"]),
        (None, "773 794 604 x23", ["773 794 604"]),
        # Characters that look like others, and invisible ones.
        ("DE", "030 23125\u2212014", ["+493023125014"]),
        ("DE", "030\u2011231\u201325\u2014014", ["+493023125014"]),
        ("CZ", "\u202a+420\u00a0777\u2009123\u202f456\u202c", ["+420777123456"]),
        ("CZ", "\uff0b420 \uff17\uff17\uff17 123 456", ["+420777123456"]),
        ("CZ", "\u0667\u0667\u0667\u0661\u0662\u0663\u0664\u0665\u0666", ["+420777123456"]),
        ("CZ", "777\u00b7123\u00b7456", ["+420777123456"]),
        ("CZ", "\u260e\ufe0f 777 123 456", ["+420777123456"]),
        (None, "773\u2011794\u2013604", ["773\u2011794\u2013604"]),
        # Zeros and other prefixes.
        ("IT", "+39 (0)6 1234 5678", ["+390612345678"]),
        (None, "+39 06 1234 5678", ["+390612345678"]),
        ("IT", "06 1234 5678", ["+390612345678"]),
        (None, "+378 0549 886377", ["+3780549886377"]),
        (None, "+49 (0)30 23125006", ["+493023125006"]),
        (None, "+48 (0) 22 123 45 67", ["+48221234567"]),
        (None, "+420 (0) 777 123 456", ["+420777123456"]),
        ("GB", "(0) 20 7946 0958", ["+442079460958"]),
        ("HU", "06 1 234 5678", ["+3612345678"]),
        ("HU", "1 234 5678", ["+3612345678"]),
        ("RU", "8 (495) 123-45-67", ["+74951234567"]),
        ("MX", "+52 1 55 1234 5678", ["+525512345678"]),
        (None, "+5215512345678", ["+525512345678"]),
        ("MX", "044 55 1234 5678", ["+525512345678"]),
        ("MX", "cel. 045 55 1234 5678", ["+525512345678"]),
        ("MX", "01 55 1234 5678", ["+525512345678"]),
        ("MX", "55 1234 5678", ["+525512345678"]),
        ("MX", "5215512345678", ["+525512345678"]),
        ("US", "011 52 1 55 1234 5678", ["+525512345678"]),
        ("US", "52 1 55 1234 5678", ["+525512345678"]),
        ("AR", "011 15-2345-6789", ["+5491123456789"]),
        (None, "+54 11 15 2345 6789", ["+5491123456789"]),
        (None, "+54 9 11 2345 6789", ["+5491123456789"]),
        ("BR", "0xx11 2345-6789", ["+551123456789"]),
        # Country codes.
        ("CZ", "00420 777 123 456", ["+420777123456"]),
        (None, "00420 777 123 456", ["+420777123456"]),
        (None, "+00420 777 123 456", ["+420777123456"]),
        (None, "(+420) 777 123 456", ["+420777123456"]),
        ("US", "011 420 777 123 456", ["+420777123456"]),
        ("US", "0044 20 7946 0958", ["+442079460958"]),
        ("RU", "8~10 49 30 23125014", ["+493023125014"]),
        ("DE", "49 176 10042069", ["+4917610042069"]),
        ("DE", "4917610042069", ["+4917610042069"]),
        ("CZ", "420 777 123 456", ["+420777123456"]),
        ("CZ", "421 905 123 456", ["+421905123456"]),
        ("US", "44 20 7946 0958", ["+442079460958"]),
        (None, "420777123456", ["420777123456"]),
        ("CZ", "0420777123456", ["+420777123456"]),
        ("SK", "+0905 123 456", ["+421905123456"]),
        ("CZ", "+777 123 456", ["+420777123456"]),
        # A zero that a spreadsheet has removed.
        ("DE", "17610042069", ["+4917610042069"]),
        # Numbers that are dialled within a town, and those of another country.
        ("GB", "567890", ["567890"]),
        ("US", "555-1234", ["555-1234"]),
        ("AI", "497 2929", ["497 2929"]),
        ("DE", "23125014", ["23125014"]),
        ("AR", "15 2345-6789", ["15 2345-6789"]),
        (None, "+1 555 1234", ["+1 555 1234"]),
        ("CZ", "0905 123 456", ["0905 123 456"]),
        ("CZ", "030 23125 014", ["030 23125 014"]),
        # Numbers in ranges that are not assigned.
        ("CZ", "100 123 456", ["+420100123456"]),
        ("US", "555 123 4567", ["+15551234567"]),
        ("AT", "0999 123 456", ["+43999123456"]),
        (None, "+420 100 123 456", ["+420100123456"]),
        # Letters.
        ("US", "1-800-FLOWERS", ["+18003569377"]),
        ("US", "1-888-555-HELP", ["+18885554357"]),
        ("US", "1800 Microsoft", ["+18006427676"]),
        ("US", "212-MATTRES", ["+12126288737"]),
        ("GB", "0800 REVERSE", ["+448007383773"]),
        ("AU", "13 CATS", ["+61132287"]),
        (None, "+1-800-FLOWERS", ["+18003569377"]),
        (None, "1-800-FLOWERS", ["1-800-FLOWERS"]),
        # All of the digits are there.
        ("CZ", "4.20777123456E+11", ["+420777123456"]),
        ("CZ", "777,123,456", ["+420777123456"]),
    ],
)
def test_numbers_that_people_type(region: str | None, text: str, expected: list[str]) -> None:
    assert read_phone_numbers(text, region)._replace(found=()) == ((), 0)
    assert found(text, region) == expected


@pytest.mark.parametrize(
    ("region", "text", "expected", "left_out"),
    [
        # A second number that cannot be completed.
        ("MA", "+212522940770/74", ["+212522940770"], 1),
        (None, "+212522940770/74", ["+212522940770"], 1),
        ("CZ", "601000001/2", ["+420601000001"], 1),
        (None, "601000001/2", ["601000001"], 1),
        ("ES", "+34 912 345 678 / 679", ["+34912345678"], 1),
        ("DE", "030/23125014/15", ["+493023125014"], 1),
        ("DE", "030 231250-14/-15", ["+493023125014"], 1),
        ("CZ", "777 123 456, 1234", ["+420777123456"], 0),
        ("CZ", "777 123 456 12345", ["+420777123456"], 1),
        ("CZ", "777 123 456; 77712345", ["+420777123456"], 1),
        # Numbers that a spreadsheet has shortened.
        ("DE", "4.91711E+11", [], 1),
        ("DE", "4,91711E+11", [], 1),
        ("DE", "4.91711e11", [], 1),
        ("DE", "4.91711E 11", [], 1),
        ("DE", "4.91711E+11; 0171 1234567", ["+491711234567"], 1),
        # Numbers that are not possible.
        ("CZ", "77712345", [], 1),
        ("CZ", "7737946041234", [], 1),
        ("CZ", "+999 773 794 604", [], 1),
        ("CZ", "+999 773794604", [], 1),
        ("CZ", "mobil +999 773794604", [], 1),
        (None, "+999 773 794 604", [], 1),
        (None, "+420 777 123", [], 1),
        (None, "00420 777 123", [], 1),
        ("CZ", "12345", [], 1),
        ("CZ", "112", [], 1),
        (None, "12345", [], 1),
        (None, "1234567890123456789", [], 1),
        # No numbers.
        ("CZ", "", [], 1),
        ("CZ", "-", [], 1),
        ("CZ", "call after 5pm", [], 1),
        ("CZ", "601 ask her", [], 1),
        (None, "12.5.2024", [], 1),
        (None, "2024-05-12", [], 1),
        ("CZ", "jan777123456@example.com", [], 1),
        ("US", "call now", [], 1),
        (None, "call after 5pm", [], 1),
        (None, "ahoj 1 a 2", [], 1),
    ],
)
def test_what_is_left_out_is_counted(region: str | None, text: str, expected: list[str], left_out: int) -> None:
    assert found(text, region) == expected
    assert read_phone_numbers(text, region).left_out == left_out


def _example_numbers() -> Iterator[tuple[str, phonenumbers.PhoneNumber]]:
    for region in REGIONS:
        for kind in TYPES:
            number = phonenumbers.example_number_for_type(region, kind)
            # This number of Canada can be dialled within the country only.
            if number is not None and (region, number.national_number) != ("CA", 3101234):
                yield region, number


def _international_spellings(number: phonenumbers.PhoneNumber) -> Iterator[str]:
    international = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    yield phonenumbers.format_number(number, PhoneNumberFormat.E164)
    yield phonenumbers.format_number(number, PhoneNumberFormat.RFC3966)
    yield f"00{international.removeprefix('+')}"
    yield f"mobil {international} (Jan)"
    for separator in SEPARATORS[:4]:
        yield international.replace(" ", separator).replace("-", separator)


def _national_spellings(number: phonenumbers.PhoneNumber) -> Iterator[str]:
    national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    yield f"tel. {national} (Jan)"
    for separator in SEPARATORS:
        yield national.replace(" ", separator).replace("-", separator)


@pytest.mark.parametrize("region", REGIONS)
def test_no_example_number_is_lost_in_any_usual_spelling(region: str) -> None:
    for own, number in _example_numbers():
        if own != region:
            continue
        expected = [phonenumbers.format_number(number, PhoneNumberFormat.E164)]
        for text in _international_spellings(number):
            assert [found(text, each) for each in (None, region)] == [expected] * 2, text
        for text in _national_spellings(number):
            assert found(text, region) == expected, text
        for origin in CALLED_FROM:
            text = phonenumbers.format_out_of_country_calling_number(number, origin)
            assert found(text, origin) == expected, (origin, text)


def test_two_numbers_in_one_text_are_both_sent() -> None:
    chance = random.Random(17)
    pairs = 0
    for region in REGIONS:
        kinds = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE)
        numbers = [phonenumbers.example_number_for_type(region, kind) for kind in kinds]
        for separator in ("/", " / ", ", ", ",", ";", "\n", " or ", " - ", "|", " & ", " + "):
            both = [number for number in numbers if number is not None and (number.national_number or 0) > 999_999]
            if len(both) < 2 or both[0] == both[1]:
                continue
            chance.shuffle(both)
            expected = [phonenumbers.format_number(number, PhoneNumberFormat.E164) for number in both]
            formats = (PhoneNumberFormat.NATIONAL, PhoneNumberFormat.INTERNATIONAL)
            texts = [phonenumbers.format_number(number, chance.choice(formats)) for number in both]
            assert found(separator.join(texts), region) == expected, (region, separator.join(texts))
            pairs += 1
    assert pairs > 1_500


PIECES = st.sampled_from(
    [
        *"0123456789",
        "00",
        "044",
        "15",
        "52",
        "54",
        "39",
        "+",
        " ",
        "-",
        "/",
        "(0)",
        ".",
        ",",
        ";",
        "\n",
        "a",
        "x12",
    ]
)


@given(st.lists(PIECES, max_size=24).map("".join), st.sampled_from([None, *REGIONS]))
@settings(max_examples=1_500, deadline=None, derandomize=True)
def test_each_digit_that_is_sent_was_typed_in_this_order(text: str, region: str | None) -> None:
    for phone in read_phone_numbers(text, region).found:
        digits = re.sub(r"\D", "", phone.text)
        if phone.text.startswith("+"):
            assert phone.digits == f"+{digits}"
            code = next(
                length for length in (1, 2, 3) if int(digits[:length]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE
            )
            digits = digits[code:].removeprefix("9") if digits.startswith("54") else digits[code:]
        typed = iter(re.sub(r"\D", "", text))
        assert all(digit in typed for digit in digits), (text, region, phone)


@given(
    st.text(max_size=60) | st.lists(PIECES, max_size=60).map("".join),
    st.sampled_from([None, "CZ", "US", "DE", "AR"]),
)
@settings(max_examples=1_000, deadline=None, derandomize=True)
def test_any_text_has_numbers_or_is_counted(text: str, region: str | None) -> None:
    numbers = read_phone_numbers(text, region)
    assert numbers.found or numbers.left_out
    for phone in numbers.found:
        assert len(phone.digits.lstrip("+")) <= 17
        assert phone.text == phone.text.strip()


@given(st.data())
@settings(max_examples=1_500, deadline=None, derandomize=True)
def test_the_shorter_path_for_clean_numbers_has_the_same_result(data: st.DataObject) -> None:
    region = data.draw(st.sampled_from(REGIONS))
    kind = data.draw(st.sampled_from(TYPES))
    number = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
    assert number is not None
    spelling = phonenumbers.format_number(number, data.draw(st.sampled_from([0, 1, 2])))
    place = data.draw(st.integers(0, len(spelling)))
    text = spelling[:place] + data.draw(st.sampled_from(["", "0", "1", "7", "9"])) + spelling[place + 1 :]
    read_as = data.draw(st.sampled_from([None, region, "CZ"]))
    with pytest.MonkeyPatch.context() as patch:
        nothing = re.compile("(?!)")
        patch.setattr(phone_numbers, "_E164", nothing)
        patch.setattr(phone_numbers, "_CLEAN", nothing)
        expected = read_phone_numbers(text, read_as)
    assert read_phone_numbers(text, read_as) == expected


def test_a_long_text_is_read_up_to_a_limit_without_a_part_of_a_number() -> None:
    number = "+420777123456"
    text = f"{'x' * (MAX_LENGTH - 5)} {number}"
    assert read_phone_numbers(text, None) == ((), 1)
    assert read_phone_numbers(f"{number} {text}", None) == ((Phone(number, number),), 1)
    assert read_phone_numbers(f"{number} {'x' * MAX_LENGTH}", None) == ((Phone(number, number),), 0)


@pytest.mark.parametrize("piece", ["1 ", "1/", "+1 ", "(1) ", "9", "1-800-AB", "\u0301\u0323", "0 ", "a1", "1,"])
def test_no_text_takes_many_attempts(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parse, attempts = phonenumbers.parse, 0

    def counting(*arguments: object, **options: object) -> object:
        nonlocal attempts
        attempts += 1
        return parse(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(phonenumbers, "parse", counting)
    for region in (None, "CZ", "DE"):
        attempts = 0
        read_phone_numbers(piece * 50_000, region)
        assert attempts < 1_500


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+420773794604", "+420773794604"),
        ("+420773794604", "773794604"),
        ("+493023125014", "03023125014"),
        ("+42012345678", "12345678"),
        ("123456", "123456"),
    ],
)
def test_spellings_of_the_same_phone_number(one: str, other: str) -> None:
    assert is_same_phone(one, other)
    assert is_same_phone(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+420773794604", "+421773794604"),
        ("773794604", "0773794604"),
        ("+420773794604", "3794604"),
        ("+420773794604", "773794605"),
        ("+420773794604", "0"),
        ("+420773794604", ""),
    ],
)
def test_different_phone_numbers(one: str, other: str) -> None:
    assert not is_same_phone(one, other)
    assert not is_same_phone(other, one)


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        (["0905123456", "+421905123456"], ["+421905123456"]),
        (["+421905123456", "0905123456"], ["+421905123456"]),
        (["777123456", "0905123456", "+421905123456", "777123456"], ["777123456", "+421905123456"]),
        (["+420777123456", "+421777123456"], ["+420777123456", "+421777123456"]),
    ],
)
def test_each_number_is_sent_once_and_as_e164_if_that_is_known(digits: list[str], expected: list[str]) -> None:
    assert [phone.text for phone in unique_phones(Phone(each, each) for each in digits)] == expected
