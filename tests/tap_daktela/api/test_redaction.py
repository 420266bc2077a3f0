"""T6: a secret is removed from a text in any spelling, and ordinary words are not removed."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.api.address import parse
from tap_daktela.api.client import Client, Credentials, HttpSettings
from tap_daktela.api.redaction import RedactingFormatter, Redactor, echo, protect_logs, redact, register

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "feedface0123456789abcdef0123456789abcdef"
PASSWORD = "Tops3cret/+=&<'\"\\ ž%41"

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "lower case": str.lower,
    "upper case": str.upper,
    "in a URL": lambda secret: quote(secret, safe=""),
    "in a URL, lower case": lambda secret: quote(secret, safe="").lower(),
    "in a path": quote,
    "in a form": quote_plus,
    "twice in a URL": lambda secret: quote(quote_plus(secret), safe=""),
    "every byte in a URL": lambda secret: "".join(f"%{byte:02X}" for byte in secret.encode()),
    "in JSON": lambda secret: json.dumps(secret)[1:-1],
    "in JSON of PHP": lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/"),
    "in JSON for HTML": lambda secret: re.sub(
        r"[^\w\\ ]", lambda each: f"\\u{ord(each[0]):04x}", json.dumps(secret)
    ),
    "in JSON in JSON": lambda secret: json.dumps(json.dumps(secret))[1:-1],
    "in HTML": html.escape,
    "in HTML, all characters": lambda secret: "".join(f"&#{ord(character)};" for character in secret),
    "in HTML, hexadecimal": lambda secret: "".join(f"&#x{ord(character):X};" for character in secret),
    "in HTML in JSON": lambda secret: json.dumps(html.escape(secret))[1:-1],
    "in a URL in JSON": lambda secret: json.dumps(f"https://h/?q={quote_plus(secret)}")[1:-1],
    "as Python": lambda secret: repr(secret)[1:-1],
    "between blanks": lambda secret: f"  {secret} ",
}


def _knowing(*secrets: str) -> Redactor:
    known = Redactor()
    for secret in secrets:
        known.register(secret)
    return known


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("secret", [TOKEN, PASSWORD])
@pytest.mark.promise("T6")
def test_a_secret_is_removed_in_every_spelling(secret: str, spelling: str) -> None:
    spelled = SPELLINGS[spelling](secret)
    known = _knowing("another-secret-1", secret)
    for text in (f"the token {spelled} is wrong", spelled, f"x{spelled}y", f"100%{spelled}", f"'{spelled}'"):
        redacted = known.redact(text)
        assert "***" in redacted
        assert spelled.strip() not in redacted
        assert secret[3:15].lower() not in redacted.lower()
    assert re.fullmatch(r"the token \S*\*\*\*\S* is wrong", known.redact(f"the token {spelled.strip()} is wrong"))


@given(
    st.text(st.characters(codec="iso8859-2", exclude_characters="ß", exclude_categories=["C", "Z"]), min_size=10),
    st.lists(st.sampled_from([*SPELLINGS]), max_size=2),
    st.text(max_size=5),
)
@pytest.mark.promise("T6")
def test_no_secret_survives_any_two_spellings(secret: str, spellings: list[str], around: str) -> None:
    known = _knowing(secret)
    spelled = secret
    for spelling in spellings:
        spelled = SPELLINGS[spelling](spelled)
    if not secret.isalpha():
        assert "***" in known.redact(f"{around} {spelled} {around}")


@pytest.mark.parametrize("before", ["", "x", "xy", "robot:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.promise("T6")
def test_base64_of_a_secret_is_removed(before: str, encode: Callable[[bytes], bytes]) -> None:
    secret = "Tops3cret-Passw0rd>>>???"
    encoded = encode(f"{before}{secret}".encode()).decode()
    redacted = _knowing(secret).redact(f"Proxy-Authorization: Basic {encoded}")
    assert "***" in redacted
    assert encoded[6:-6] not in redacted


@pytest.mark.parametrize("length", [12, 20, 39])
@pytest.mark.promise("T6")
def test_what_is_left_of_a_secret_is_removed_too(length: int) -> None:
    assert _knowing(TOKEN).redact(f"token {TOKEN[:length]}…") == "token ***…"
    assert _knowing(TOKEN).redact(f"token …{TOKEN[-length:]}") == "token …***"


@pytest.mark.promise("T6")
def test_secrets_side_by_side_and_in_long_texts_are_removed() -> None:
    known = _knowing(TOKEN, PASSWORD)
    text = known.redact(f"{'a' * 5000}{TOKEN}{PASSWORD}{'b' * 5000} {TOKEN.upper()}")
    assert text == f"{'a' * 5000}***{'b' * 5000} ***"


@pytest.mark.parametrize("secret", ["secret", "password", "Daktela", "robot", "a1b2c3d"])
@pytest.mark.promise("T6")
def test_a_weak_secret_is_removed_as_a_word_where_a_server_may_have_sent_it(secret: str) -> None:
    known = _knowing(secret)
    for spelled in (secret, secret.upper(), f'"{secret}"', f"&quot;{secret}&quot;"):
        text = f"no user with {spelled}"
        assert secret.lower() not in known.redact(text, shortest_word=0).lower()
        assert known.redact(text) == text
    longer = f"x{secret} {secret}s"
    assert known.redact(longer, shortest_word=0) == longer


@pytest.mark.promise("T6")
def test_a_short_secret_does_not_hide_messages() -> None:
    known = _knowing("1", "a", "in", "abc")
    text = "Daktela answered 201: a error in field 1 of abc"
    assert known.redact(text) == text
    assert known.redact(text, shortest_word=4) == text
    assert known.redact(text, shortest_word=0) == "Daktela answered 201: *** error *** field *** of ***"


@pytest.mark.parametrize("secret", ["", "   ", None, 7, ["x" * 20], {"a": "x" * 20}])
def test_what_is_no_secret_hides_nothing(secret: object) -> None:
    known = Redactor()
    known.register(secret)
    assert known.redact(f"a {secret} b", shortest_word=0) == f"a {secret} b"


@given(st.text())
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert _knowing("tops3cret-Passw0rd", TOKEN).redact(text, shortest_word=0) == text


def _record(name: str, message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord(name, logging.INFO, __file__, 1, message, arguments, info)


@pytest.fixture
def known() -> None:
    register(TOKEN)
    register("hushhush")


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("name", ["tap-daktela", "tap_daktela.api.client", "urllib3.connectionpool", "root"])
@pytest.mark.promise("T6")
def test_a_log_line_has_no_secret(name: str) -> None:
    formatter = RedactingFormatter(logging.Formatter("%(name)s %(message)s"))
    assert formatter.format(_record(name, "GET /?t=%s", TOKEN.upper())) == f"{name} GET /?t=***"
    assert ("hushhush" in formatter.format(_record(name, "hushhush"))) is name.startswith("tap")


@pytest.mark.usefixtures("known")
@pytest.mark.promise("T6")
def test_a_traceback_has_no_secret() -> None:
    record = _record("tap-daktela", "it failed", error=ValueError(f"{TOKEN} {'hush' * 2}"))
    text = RedactingFormatter(logging.Formatter()).format(record)
    assert "ValueError: *** ***" in text
    assert TOKEN not in text
    assert record.exc_text is None


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("err", [False, True])
@pytest.mark.promise("T6")
def test_printed_text_has_no_secret(capsys: pytest.CaptureFixture[str], err: bool) -> None:  # noqa: FBT001
    echo(f"signed in with {TOKEN}", err=err)
    assert capsys.readouterr()[err] == "signed in with ***\n"


@pytest.mark.promise("T6")
def test_a_client_registers_its_credentials() -> None:
    for credentials in (Credentials(access_token=TOKEN), Credentials(username="robot", password="Tops3cret")):
        Client(parse("https://acme.daktela.com"), credentials, HttpSettings())
    assert redact(f"robot {TOKEN} Tops3cret") == "robot *** ***"


@pytest.mark.usefixtures("known")
@pytest.mark.promise("T6")
def test_every_handler_is_protected_once() -> None:
    named = logging.getLogger("tap-daktela.test-protect")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("> %(message)s"))
    named.addHandler(handler)
    before = {each: each.formatter for each in logging.getLogger().handlers}
    try:
        protect_logs()
        protect_logs()
        assert handler.format(_record("x", TOKEN)) == "> ***"
        formatter = handler.formatter
        assert isinstance(formatter, RedactingFormatter)
        assert not isinstance(formatter._formatter, RedactingFormatter)
        assert all(isinstance(each.formatter, RedactingFormatter) for each in logging.getLogger().handlers)
    finally:
        named.removeHandler(handler)
        for each, formatter_before in before.items():
            each.setFormatter(formatter_before)
