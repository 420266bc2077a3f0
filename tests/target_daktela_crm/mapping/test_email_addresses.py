"""E-mail addresses: what people type into a CRM, and what is sent."""

from __future__ import annotations

import string

import pytest
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from target_daktela_crm.mapping.email_addresses import MAX_LENGTH, is_email_address, read_email_addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("anna@example.com", ["anna@example.com"]),
        (" Anna.NOVA+daktela@Example.COM ", ["anna.nova+daktela@example.com"]),
        ("o'hara@sub.example.co.uk", ["o'hara@sub.example.co.uk"]),
        ("jan@acme.local", ["jan@acme.local"]),
        ("Jan <jan@acme.test>", ["jan@acme.test"]),
        # Display names.
        ("Jan <jan@example.com>", ["jan@example.com"]),
        ('"Novák, Jan" <jan@example.com>', ["jan@example.com"]),
        ("Novák, Jan <jan@example.com>", ["jan@example.com"]),
        ("Jan jan@example.com", ["jan@example.com"]),
        ("Jan Novák jan@example.com", ["jan@example.com"]),
        ("e-mail: jan@example.com", ["jan@example.com"]),
        ("kontakt jan.novak@example.com", ["jan.novak@example.com"]),
        ("jan@example.com (doma)", ["jan@example.com"]),
        ("jan@example.com - starý", ["jan@example.com"]),
        # Links.
        ("mailto:anna@example.com", ["anna@example.com"]),
        ("MAILTO:Anna@Example.com?subject=Hi", ["anna@example.com"]),
        ("mailto:jan@example.com?cc=eva@example.com&subject=Hi", ["jan@example.com"]),
        ("mailto:jan%40example.com", ["jan@example.com"]),
        ("mailto:a@x.cz,b@x.cz", ["a@x.cz", "b@x.cz"]),
        ('<a href="mailto:jan@example.com">jan@example.com</a>', ["jan@example.com"]),
        ("jan@example.com#mailto:jan@example.com#", ["jan@example.com"]),
        # Several addresses.
        ("a@x.cz b@x.cz", ["a@x.cz", "b@x.cz"]),
        ("a@x.cz;b@x.cz", ["a@x.cz", "b@x.cz"]),
        ("a@x.cz, b@x.cz", ["a@x.cz", "b@x.cz"]),
        ("a@x.cz/b@x.cz", ["a@x.cz", "b@x.cz"]),
        ("a@x.cz|b@x.cz", ["a@x.cz", "b@x.cz"]),
        ("a@x.cz+b@x.cz", ["a@x.cz", "b@x.cz"]),
        ("a@x.cz\\b@x.cz", ["a@x.cz", "b@x.cz"]),
        ("a@x.cz\uff0cb@x.cz\uff1bc@x.cz\u3001d@x.cz", ["a@x.cz", "b@x.cz", "c@x.cz", "d@x.cz"]),
        ("a@x.cz\nb@x.cz\tc@x.cz", ["a@x.cz", "b@x.cz", "c@x.cz"]),
        ("a@x.cz or b@x.cz & c@x.cz", ["a@x.cz", "b@x.cz", "c@x.cz"]),
        ("SMTP:a@x.cz;smtp:b@x.cz", ["a@x.cz", "b@x.cz"]),
        ("a@x.cz, A@X.CZ", ["a@x.cz"]),
        ('["jan@example.com"]', ["jan@example.com"]),
        ('["a@x.cz", "Eva <b@x.cz>", ["c@x.cz"]]', ["a@x.cz", "b@x.cz", "c@x.cz"]),
        ('["\\u016f@x.cz"]', ["ů@x.cz"]),
        ('[{"email": "jan@example.com"}]', ["jan@example.com"]),
        # Punctuation and invisible characters.
        ("jan@example.com.", ["jan@example.com"]),
        ("jan@example.com,", ["jan@example.com"]),
        ("jan@example.com;", ["jan@example.com"]),
        ("(jan@example.com)", ["jan@example.com"]),
        ("[jan@example.com]", ["jan@example.com"]),
        ("'jan@example.com'", ["jan@example.com"]),
        ("„jan@example.com“", ["jan@example.com"]),
        ("\ufeffjan@example.com\u200b", ["jan@example.com"]),
        ("ja\x00n@example.com", ["jan@example.com"]),
        ("jan\u00ad@exam\u200dple.com\ufe0f", ["jan@example.com"]),
        ("\u00a0jan@example.com\u2003", ["jan@example.com"]),
        ("jan\uff20example\uff0ecom", ["jan@example.com"]),
        ("o\u2019brien@example\u2011shop.com", ["o'brien@example-shop.com"]),
        # Other scripts.
        ("kůň@háčky.example.cz", ["kůň@háčky.example.cz"]),
        ("ku\u030an\u030c@example.cz", ["kůň@example.cz"]),
        ("Jürgen <jürgen@müller.de>", ["jürgen@müller.de"]),
        ("用户@例子.广告", ["用户@例子.广告"]),
        ("अजय@डाटा.भारत", ["अजय@डाटा.भारत"]),
        ("jan@xn--mller-kva.de", ["jan@xn--mller-kva.de"]),
    ],
)
def test_addresses_that_people_type(text: str, expected: list[str]) -> None:
    assert read_email_addresses(text) == (tuple(expected), 0)


@pytest.mark.parametrize(
    ("text", "expected", "left_out"),
    [
        ("", [], 1),
        ("-", [], 1),
        ("anna", [], 1),
        ("anna; eva", [], 1),
        ("http://example.com", [], 1),
        ("anna@example", [], 1),
        ("@example.com", [], 1),
        ("anna@", [], 1),
        ("anna@.com", [], 1),
        ("anna..nova@example.com", [], 1),
        ("anna.@example.com", [], 1),
        ("anna@example..com", [], 1),
        ("anna@-example.com", [], 1),
        ("anna@exam_ple.com", [], 1),
        ("anna@192.168.1.1", [], 1),
        (f"anna@{'x' * 64}.com", [], 1),
        ("a@x.cz; eva@example", ["a@x.cz"], 1),
        ("a@x.cz;not-an-email", ["a@x.cz"], 1),
        # Parts of an address, which could be the address of somebody else.
        ("sinead.o&#039;brien@example.com", [], 1),
        ("o&apos;brien@example.com", [], 1),
        ("an na@example.com", [], 1),
        ("jan novak@example.com", [], 1),
        ("jan\u00a0novak@example.com", [], 1),
        ('"jan novak"@example.com', [], 1),
        ("jan\\@novak@example.com", [], 1),
        ("jan@novak+eva@example.com", [], 1),
        ("anna@example .com", [], 1),
        ("anna @example.com", [], 1),
        ("a@b@c.cz", [], 1),
        ("a@x.cz@y.cz", [], 1),
        ("a@x.cz_old", [], 1),
    ],
)
def test_what_is_left_out_is_counted(text: str, expected: list[str], left_out: int) -> None:
    assert read_email_addresses(text) == (tuple(expected), left_out)


@given(
    st.emails(domains=st.sampled_from(["example.com", "sub.example.co.uk"])),
    st.sampled_from(["{}", "Eva <{}>", "{};"]),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_each_valid_address_is_found(address: str, spelling: str) -> None:
    # Some characters are allowed at the beginning, but are probably no part of the address.
    assume(address[0] in f"{string.ascii_letters}{string.digits}_-+")
    assert read_email_addresses(spelling.format(address)).found == (address.lower(),)


ATOMS = st.text("abz09_-+'&", min_size=1, max_size=6)
LABELS = st.text("abz09-", min_size=1, max_size=6)


@given(
    st.lists(ATOMS, min_size=1, max_size=3),
    st.lists(LABELS, min_size=1, max_size=3),
    st.sampled_from(["com", "cz"]),
)
@settings(max_examples=500, deadline=None, derandomize=True)
def test_the_library_accepts_what_the_shorter_path_accepts(
    local: list[str], domain: list[str], ending: str
) -> None:
    address = f"{'.'.join(local)}@{'.'.join([*domain, ending])}"
    # It also refuses hyphens where those of encoded names are, and domains without servers.
    assume(not any(label[2:4] == "--" for label in domain))
    assume(ending not in SPECIAL_USE_DOMAIN_NAMES)
    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        assert not is_email_address(address)


@given(st.text(max_size=80) | st.text("a@. ;<>\"'&#,[]", max_size=80))
@settings(max_examples=1_000, deadline=None, derandomize=True)
def test_any_text_has_valid_addresses_or_is_counted(text: str) -> None:
    addresses = read_email_addresses(text)
    assert addresses.found or addresses.left_out
    for address in addresses.found:
        assert is_email_address(address)
        assert address == address.lower()
        assert read_email_addresses(address) == ((address,), 0)


def test_a_long_text_is_read_up_to_a_limit_without_a_part_of_an_address() -> None:
    text = f"a@x.cz {'x' * (MAX_LENGTH - 16)} jan@example.com"
    assert read_email_addresses(text) == (("a@x.cz",), 1)
    assert read_email_addresses(f"a@x.cz {'x ' * MAX_LENGTH}") == (("a@x.cz",), 0)
    assert read_email_addresses(f"{'x' * 100_000}@example.com") == ((), 1)
