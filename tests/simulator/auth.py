"""Login, tokens and who may ask: `login.json`, `whoim.json`, and the check in front of every other endpoint.

In: requests with a token in a header, the query or a cookie, or with credentials. Out: tokens, or 401 with
an empty body. Tokens end by the simulator's clock, after a number of uses, or when they are revoked.
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
    """A token that a login gave."""

    access: str
    refresh: str
    expires: float
    uses: int = 0


@dataclass
class Tokens:
    """All tokens given out; `serial` numbers them, so that a run's tokens are always the same."""

    serial: int = 0
    by_access: dict[str, Token] = field(default_factory=dict)

    def issue(self, secret: str, expires: float) -> Token:
        """A new token, dead from `expires` on."""
        self.serial += 1
        access, refresh = (
            hashlib.sha256(f"{secret}:{self.serial}:{use}".encode()).hexdigest()[:40]
            for use in ("access", "refresh")
        )
        token = self.by_access[access] = Token(access, refresh, expires)
        return token

    def take_refresh(self, refresh: str) -> bool:
        """Whether there is a token to refresh; each can be refreshed once."""
        for access, token in self.by_access.items():
            if token.refresh == refresh:
                del self.by_access[access]
                return True
        return False


def token_of(request: Request) -> str:
    """The token that a request brings, in whichever place."""
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
    """Whether a request may go on; counts the use of its token."""
    access = token_of(request)
    if access and access == simulator.access_token:
        return True
    token = simulator.tokens.by_access.get(access)
    if token is None or token.expires <= simulator.clock.instant.timestamp():
        return False
    token.uses += 1
    return simulator.token_uses is None or token.uses <= simulator.token_uses


def parameters_of(request: Request) -> dict[str, Any]:
    """What a login sends: query string, and a form or a JSON object as its body."""
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
    """A token for the right user name and password."""
    sent = parameters_of(request)
    if (sent.get("username"), sent.get("password")) != (simulator.username, simulator.password):
        return empty(401)
    token = _issue(simulator)
    only_token = str(sent.get("only_token", "")).lower() in ("1", "true")
    if only_token and simulator.login_shape == "string":
        return enclose(simulator, token.access, simulator.login_status)
    return enclose(simulator, _described(simulator, token), simulator.login_status)


def refresh(simulator: Simulator, request: Request) -> Answer:
    """A new pair of tokens for the refresh token of an old one."""
    sent = parameters_of(request).get("refreshToken")
    if not isinstance(sent, str) or not simulator.tokens.take_refresh(sent):
        return empty(401)
    return enclose(simulator, _described(simulator, _issue(simulator)))


def whoim(simulator: Simulator, request: Request) -> Answer:
    """Who is asking: 200 without a token too, the user being null then."""
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
