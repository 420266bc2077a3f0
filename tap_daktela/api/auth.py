"""Who asks: a static token, or a user name and password, in; the token of each request out.

The token travels in the `X-AUTH-TOKEN` header, never in a URL, and to the instance's own origin only.
"""

from __future__ import annotations

import threading
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from requests.auth import AuthBase
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

_HEADER = "X-AUTH-TOKEN"


class SignInError(Exception):
    """Nobody can be signed in with the credentials given; the message names the setting to look at."""


class Renewal(Enum):
    """How a refused token was replaced."""

    REFRESHED = "signed in again"
    ALREADY_REFRESHED = "another thread had signed in meanwhile"
    NOT_POSSIBLE = "a static token has no successor"


class TokenAuth(AuthBase):
    """Puts the current token into requests to one origin, and renews it where it can."""

    def __init__(self, origin: str, *, token: str | None = None, sign_in: Callable[[], str] | None = None) -> None:
        """Take either a static `token` or `sign_in`, which returns a new token or raises SignInError."""
        self._origin = origin
        self._token = token
        self._sign_in = sign_in
        self._lock = threading.Lock()
        self._refusal: SignInError | None = None

    @override
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        parts = urlsplit(request.url or "")
        if f"{parts.scheme}://{parts.netloc}" == self._origin:
            request.headers[_HEADER] = self.token
        return request

    @property
    def token(self) -> str:
        """The current token, after signing in if there is none yet."""
        with self._lock:
            if self._token is None:
                self._replace()
            return self._token or ""

    def renew(self, refused: str) -> Renewal:
        """Replace the token that was `refused`, unless another thread has done so already."""
        with self._lock:
            if self._token != refused:
                return Renewal.ALREADY_REFRESHED
            if self._sign_in is None:
                return Renewal.NOT_POSSIBLE
            self._replace()
            return Renewal.REFRESHED

    def _replace(self) -> None:
        """Sign in. Credentials that have been refused are not tried again, which might lock the account."""
        if self._refusal is not None:
            raise self._refusal
        if self._sign_in is not None:
            try:
                self._token = self._sign_in()
            except SignInError as refusal:
                self._refusal = refusal
                raise
