from __future__ import annotations

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.api.address import Address, AddressError, parse
from tap_daktela.api.auth import TokenAuth


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://acme.daktela.com", "https://acme.daktela.com"),
        ("https://acme.daktela.com/", "https://acme.daktela.com"),
        ("  https://acme.daktela.com\n", "https://acme.daktela.com"),
        ("HTTPS://Acme.Daktela.COM", "https://acme.daktela.com"),
        ("https://acme.daktela.com:443", "https://acme.daktela.com"),
        ("https://acme.daktela.com:8443", "https://acme.daktela.com:8443"),
        ("https://acme.daktela.com/api/v6", "https://acme.daktela.com"),
        ("https://acme.daktela.com/api/v6/", "https://acme.daktela.com"),
        ("https://example.com/daktela", "https://example.com/daktela"),
        ("https://example.com/daktela/", "https://example.com/daktela"),
        ("https://example.com/Daktela/api/v6//", "https://example.com/Daktela"),
        ("https://example.com/api/v6x", "https://example.com/api/v6x"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("https://[2001:DB8::1]", "https://[2001:db8::1]"),
    ],
)
def test_an_address_is_the_url_without_the_api_path(url: str, base: str) -> None:
    address = parse(url)
    assert address.base == base
    assert address.api == f"{base}/api/v6/"


@pytest.mark.parametrize(
    ("url", "origin", "prefix"),
    [
        ("https://acme.daktela.com/x/y/", "https://acme.daktela.com", "/x/y"),
        ("https://acme.daktela.com:444/api/v6", "https://acme.daktela.com:444", ""),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: str, prefix: str) -> None:
    assert parse(url) == Address(origin, prefix)


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("https://acme.daktela.com", "acme"),
        ("https://ACME.daktela.com", "acme"),
        ("https://intranet/daktela", "intranet"),
        ("http://127.0.0.1:8080", "127"),
    ],
)
def test_the_first_label_of_the_host_names_the_instance(url: str, label: str) -> None:
    assert parse(url).first_label == label


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "of the form"),
        ("acme", "of the form"),
        ("acme.daktela.com", "of the form"),
        ("ftp://acme.daktela.com", "of the form"),
        ("file:///etc/passwd", "of the form"),
        ("https://", "of the form"),
        ("https:///api/v6", "of the form"),
        ("https://acme.daktela.com:99999", "not a URL"),
        ("https://acme.daktela.com:port", "not a URL"),
        ("https://[::1", "not a URL"),
        ("https://acme.daktela.com?accessToken=hush", "query or fragment"),
        ("https://acme.daktela.com/#hush", "query or fragment"),
        ("https://robot:hush@acme.daktela.com", "credentials"),
        ("https://hush@acme.daktela.com", "credentials"),
        ("https://:hush@acme.daktela.com", "credentials"),
        ("http://acme.daktela.com", "plain http"),
        ("http://localhost.example.com", "plain http"),
        ("http://127.0.0.1.example.com", "plain http"),
        ("http://0.0.0.0", "plain http"),
        ("http://10.0.0.1", "plain http"),
        ("http://[::2]", "plain http"),
    ],
)
def test_an_unusable_url_is_refused_with_the_reason_and_without_its_secrets(url: str, reason: str) -> None:
    with pytest.raises(AddressError, match=reason) as caught:
        parse(url)
    assert "hush" not in str(caught.value)


def test_plain_http_to_another_host_has_to_be_allowed() -> None:
    assert parse("http://10.0.0.1/x", allow_http=True).base == "http://10.0.0.1/x"


def test_allowing_http_allows_nothing_else() -> None:
    with pytest.raises(AddressError, match="credentials"):
        parse("http://robot:hush@10.0.0.1", allow_http=True)


_LABELS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,8}[A-Za-z0-9])?", fullmatch=True)
_HOSTS = st.one_of(
    st.lists(_LABELS, min_size=1, max_size=3).map(lambda labels: ".".join([*labels, "com"])),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
    st.ip_addresses(v=6).map(lambda address: f"[{address.exploded.upper()}]"),
)
_URLS = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["https", "http"]),
    _HOSTS,
    st.one_of(st.just(""), st.integers(1, 65535).map(":{}".format)),
    st.sampled_from(["", "/", "/daktela", "/a/b/", "/api/v6", "/daktela/api/v6/"]),
)


@given(_URLS)
def test_an_address_parses_to_itself(url: str) -> None:
    address = parse(url, allow_http=True)
    assert parse(address.base, allow_http=True) == address
    assert parse(address.api, allow_http=True) == address


@given(_URLS)
def test_the_token_reaches_every_address_that_is_accepted(url: str) -> None:
    address = parse(url, allow_http=True)
    request = requests.Request("GET", f"{address.api}whoim.json", auth=TokenAuth(address.origin, token="t"))
    assert request.prepare().headers["X-AUTH-TOKEN"] == "t"


def test_a_host_with_other_than_ascii_letters_receives_the_token() -> None:
    address = parse("https://příklad.example.com")
    request = requests.Request("GET", f"{address.api}whoim.json", auth=TokenAuth(address.origin, token="t"))
    assert request.prepare().headers.get("X-AUTH-TOKEN") == "t"


@given(st.one_of(st.text(max_size=40), st.text("htps:/@[]?#.%1a\\ ", max_size=20).map("https://{}".format)))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = parse(text)
    except AddressError:
        return
    assert address.origin.startswith(("https://", "http://"))
    assert not address.prefix.endswith("/")
