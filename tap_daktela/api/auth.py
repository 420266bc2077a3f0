"""Authentication by static token or login.

The token is sent in the `X-AUTH-TOKEN` header, never in a URL, and to the origin of the instance only.
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
    """The instance refuses the credentials; the message names the settings to check."""


class Renewal(Enum):
    """How a refused token was replaced."""

    REFRESHED = "signed in again"
    ALREADY_REFRESHED = "another thread had already signed in again"
    NOT_POSSIBLE = "a static token cannot be replaced"


class TokenAuth(AuthBase):
    """Adds the current token to requests to one origin, and replaces it if it is refused."""

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
        """Sign in. Refused credentials are not tried again, because that might lock the account."""
        if self._refusal is not None:
            raise self._refusal
        if self._sign_in is not None:
            try:
                self._token = self._sign_in()
            except SignInError as refusal:
                self._refusal = refusal
                raise
