from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
import requests

from tap_daktela.api.auth import Renewal, SignInError, TokenAuth

ORIGIN = "https://acme.daktela.com"


def _prepared(auth: TokenAuth, url: str) -> requests.PreparedRequest:
    return requests.Request("GET", url, auth=auth).prepare()


@pytest.mark.parametrize("path", ["", "/", "/api/v6/tickets.json?skip=0"])
def test_the_token_is_sent_in_its_header_and_never_in_the_url(path: str) -> None:
    request = _prepared(TokenAuth(ORIGIN, token="hush"), ORIGIN + path)
    assert request.headers["X-AUTH-TOKEN"] == "hush"
    assert "hush" not in str(request.url)


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.daktela.com/",
        "https://acme.daktela.com:8443/",
        "https://acme.daktela.com.example.com/",
        "https://x.acme.daktela.com/",
        "https://acme.daktela.co/",
        "https://example.com/acme.daktela.com",
        "https://acme.daktela.com@example.com/",
    ],
)
def test_another_origin_does_not_receive_the_token(url: str) -> None:
    request = _prepared(TokenAuth(ORIGIN, token="hush"), url)
    assert "hush" not in str(request.headers)


def test_another_origin_does_not_cause_a_sign_in() -> None:
    numbers = count(1)
    auth = TokenAuth(ORIGIN, sign_in=lambda: f"token-{next(numbers)}")
    _prepared(auth, "https://example.com/")
    assert next(numbers) == 1


def test_a_login_is_sent_once_when_the_token_is_first_needed() -> None:
    numbers = count(1)
    auth = TokenAuth(ORIGIN, sign_in=lambda: f"token-{next(numbers)}")
    assert [auth.token, auth.token, _prepared(auth, ORIGIN).headers["X-AUTH-TOKEN"]] == ["token-1"] * 3


def test_many_threads_sign_in_once() -> None:
    numbers, together = count(1), threading.Barrier(8)
    auth = TokenAuth(ORIGIN, sign_in=lambda: f"token-{next(numbers)}")

    def ask(_: int) -> str:
        together.wait()
        return auth.token

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"token-1"}


def test_a_refused_token_is_replaced_once_for_all_threads() -> None:
    numbers, together = count(1), threading.Barrier(8)
    auth = TokenAuth(ORIGIN, sign_in=lambda: f"token-{next(numbers)}")
    refused = auth.token

    def renew(_: int) -> Renewal:
        together.wait()
        return auth.renew(refused)

    with ThreadPoolExecutor(8) as pool:
        renewals = list(pool.map(renew, range(8)))
    assert sorted(renewal.name for renewal in renewals) == ["ALREADY_REFRESHED"] * 7 + ["REFRESHED"]
    assert auth.token == "token-2"


def test_a_static_token_cannot_be_replaced() -> None:
    auth = TokenAuth(ORIGIN, token="hush")
    assert auth.renew("hush") is Renewal.NOT_POSSIBLE
    assert auth.token == "hush"


def test_credentials_that_were_refused_are_not_tried_again() -> None:
    """A second attempt would fail as well, and many attempts might lock the account."""
    attempts = count(1)

    def sign_in() -> str:
        raise SignInError(f"no, {next(attempts)}")

    auth = TokenAuth(ORIGIN, sign_in=sign_in)
    for _ in range(3):
        with pytest.raises(SignInError, match="no, 1"):
            _ = auth.token


def test_a_failed_renewal_releases_the_lock() -> None:
    def sign_in() -> str:
        raise SignInError("no")

    auth = TokenAuth(ORIGIN, token="old", sign_in=sign_in)
    with pytest.raises(SignInError):
        auth.renew("old")
    assert auth.token == "old"
