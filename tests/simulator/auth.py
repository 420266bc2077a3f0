"""Login and tokens: `login.json`, `whoim.json`, and the check of the token before every other endpoint.

A token can be in a header, in the query or in a cookie. It expires by the clock of the simulator, after a number
of uses, or when it is revoked.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec

from tests.simulator.envelope import enclose
from tests.simulator.exchange import Answer, Request, empty

if TYPE_CHECKING:
    from tests.simulator.simulator import Simulator

VERSION = "6.26.1"


@dataclass
class Token:
    """A token that a login has returned."""

    access: str
    refresh: str
    expires: float
    uses: int = 0


@dataclass
class Tokens:
    """All tokens that logins have returned. Tokens are numbered, so they are the same in each run."""

    serial: int = 0
    by_access: dict[str, Token] = field(default_factory=dict)

    def issue(self, secret: str, expires: float) -> Token:
        """Return a new token that expires at `expires`."""
        self.serial += 1
        access, refresh = (
            hashlib.sha256(f"{secret}:{self.serial}:{use}".encode()).hexdigest()[:40]
            for use in ("access", "refresh")
        )
        token = self.by_access[access] = Token(access, refresh, expires)
        return token

    def take_refresh(self, refresh: str) -> bool:
        """Return whether the refresh token is valid, and remove it: each one is valid once."""
        for access, token in self.by_access.items():
            if token.refresh == refresh:
                del self.by_access[access]
                return True
        return False


def token_of(request: Request) -> str:
    """Return the token of a request, from any of the accepted places."""
    header = request.headers.get("x-auth-token")
    if header:
        return header
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer:
        return bearer.strip()
    query = parse_qs(request.query_string).get("accessToken")
    if query:
        return query[-1]
    cookie = SimpleCookie(request.headers.get("cookie", "")).get("c_user")
    return cookie.value if cookie else ""


def authenticated(simulator: Simulator, request: Request) -> bool:
    """Return whether the token of a request is valid, and count its use."""
    access = token_of(request)
    if access and access == simulator.access_token:
        return True
    token = simulator.tokens.by_access.get(access)
    if token is None or token.expires <= simulator.clock.instant.timestamp():
        return False
    token.uses += 1
    return simulator.token_uses is None or token.uses <= simulator.token_uses


def parameters_of(request: Request) -> dict[str, Any]:
    """Return the parameters of a login, from the query and from a form or a JSON object in the body."""
    found: dict[str, Any] = {name: values[-1] for name, values in parse_qs(request.query_string).items()}
    if "json" in request.headers.get("content-type", ""):
        try:
            body = msgspec.json.decode(request.body or b"{}")
        except msgspec.DecodeError:
            body = None
        return found | (body if isinstance(body, dict) else {})
    text = request.body.decode("utf-8", "replace")
    return found | {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}


def login(simulator: Simulator, request: Request) -> Answer:
    """Return a token if user name and password are correct."""
    sent = parameters_of(request)
    if (sent.get("username"), sent.get("password")) != (simulator.username, simulator.password):
        return empty(401)
    token = _issue(simulator)
    only_token = str(sent.get("only_token", "")).lower() in ("1", "true")
    if only_token and simulator.login_shape == "string":
        return enclose(simulator, token.access, simulator.login_status)
    return enclose(simulator, _described(simulator, token), simulator.login_status)


def refresh(simulator: Simulator, request: Request) -> Answer:
    """Return a new pair of tokens in exchange for a refresh token."""
    sent = parameters_of(request).get("refreshToken")
    if not isinstance(sent, str) or not simulator.tokens.take_refresh(sent):
        return empty(401)
    return enclose(simulator, _described(simulator, _issue(simulator)))


def whoim(simulator: Simulator, request: Request) -> Answer:
    """Return the signed-in user. Without a valid token, the status is 200, too, and the user is null."""
    result: dict[str, Any] = {"version": VERSION, "user": None}
    if authenticated(simulator, request):
        user = _user(simulator)
        result["user"] = user | {"_sys": user["_sys"] | {"accessToken": token_of(request)}}
    return enclose(simulator, result, timezone=simulator.user_timezone)


def _issue(simulator: Simulator) -> Token:
    expires = simulator.clock.instant.timestamp() + simulator.token_lifetime
    return simulator.tokens.issue(simulator.password, expires)


def _described(simulator: Simulator, token: Token) -> dict[str, Any]:
    return {
        "accessToken": token.access,
        "refreshToken": token.refresh,
        "accessTokenExpirationDate": simulator.clock.local(simulator.token_lifetime),
        "user": _user(simulator),
    }


def _user(simulator: Simulator) -> dict[str, Any]:
    rows = simulator.dataset.tables["users"]
    return rows[0] if rows else {"name": simulator.username, "title": "Robot", "_sys": {"model": "users"}}
