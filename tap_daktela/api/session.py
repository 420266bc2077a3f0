"""The HTTP session of one instance: proxies and certificates of the environment, limits on time and size.

`requests` limits only the time without a byte. A server could send a byte now and then without end, or a response
without end. So the connections here limit the time and the bytes of a whole request:

- `limited` sets both limits for the request of the current thread;
- `_Connection` checks the time while a request is sent;
- `_BoundedReader` checks both while the headers and the body are received, which includes interim responses (1xx)
  and the response of a proxy to CONNECT;
- `read_body` limits the size of the decompressed body.

A connection through a SOCKS proxy is of a class of its own, so only `read_body` checks its time, between the parts
of a body.
"""

from __future__ import annotations

import importlib.util
import io
import os
import ssl
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.utils import prepend_scheme_if_needed, select_proxy
from typing_extensions import override
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import DecodeError, LocationValueError

from tap_daktela.api.redaction import register

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_daktela.api.address import Address

PART = 1 << 18
"""Bytes of a body to read at once."""
_SENT_PART = 1 << 16
"""Bytes of a request to send at once."""
_HEAD_BYTES = 1 << 20
"""Limit on the bytes of a response before its body, interim responses (1xx) included."""
_ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
"""Compressions that urllib3 decompresses part by part; no other is requested."""
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXY_SCHEMES = frozenset({"http", "https"})


class DeadlineError(Exception):
    """A whole request exceeds its time limit."""


class ResponseTooLargeError(Exception):
    """A response exceeds its size limit."""


class EnvironmentSettingError(Exception):
    """An environment variable for proxies or certificates is not valid; the message names it and says why."""


@dataclass
class _Limit:
    """The limits of the request of a thread."""

    deadline: float
    """The time on the monotonic clock at which the request ends."""
    bytes: int = _HEAD_BYTES
    """How many bytes may still be received."""

    def check(self, received: int = 0) -> None:
        """Count received bytes, and check the time.

        Raises:
            DeadlineError, ResponseTooLargeError: a limit is exceeded.
        """
        self.bytes -= received
        if self.bytes < 0:
            raise ResponseTooLargeError
        if time.monotonic() > self.deadline:
            raise DeadlineError


_limit: ContextVar[_Limit | None] = ContextVar("limit", default=None)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Limit the time of the request in a `with` block, and the size of its response."""
    token = _limit.set(_Limit(time.monotonic() + seconds))
    try:
        yield
    finally:
        _limit.reset(token)


def read_body(response: requests.Response, limit: int) -> Iterator[bytes]:
    """Yield the decompressed body of a streamed response, part by part.

    The caller is in the `limited` block of the request.

    Raises:
        ResponseTooLargeError: it has more than `limit` bytes, compressed or decompressed. All parts before that
            have been yielded.
        DeadlineError: the request exceeds its time limit.
        urllib3.exceptions.HTTPError: it cannot be received or decompressed.
    """
    raw = response.raw
    encoding = raw.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise DecodeError(f"a compression that was not requested: {encoding}")
    if (current := _limit.get()) is not None:
        current.bytes += limit
    left = limit
    while part := raw.read1(PART, decode_content=True):
        left -= len(part)
        if left < 0:
            raise ResponseTooLargeError
        # Connections through a SOCKS proxy do not check it themselves.
        if current is not None:
            current.check()
        yield part


class _BoundedReader(io.RawIOBase):
    """Reads bytes from a socket within the limits of the request."""

    def __init__(self, raw: io.RawIOBase, limit: _Limit) -> None:
        self._raw = raw
        self._limit = limit

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int | None:
        count = self._raw.readinto(buffer)
        self._limit.check(count or 0)
        return count

    @override
    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    """A response that is received within the limits of the request."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - those of the base class
        super().__init__(*args, **options)
        if (limit := _limit.get()) is not None:
            self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), limit))


class _Connection(HTTPConnection):
    """A connection that sends within the limits of the request."""

    response_class = _BoundedResponse

    @override
    def send(self, data: Any) -> None:
        """Send bytes in parts, each with the time-out of the socket, which the base class has for all of them."""
        limit = _limit.get()
        if not isinstance(data, bytes) or limit is None:
            super().send(data)
            return
        if self.sock is None:
            self.connect()
        left = memoryview(data)
        while left:
            limit.check()
            left = left[self.sock.send(left[:_SENT_PART]) :]


class _TlsConnection(_Connection, HTTPSConnection):
    """The same over TLS."""


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class _Adapter(HTTPAdapter):
    """Makes connections with limits."""

    @override
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    @override
    def proxy_manager_for(self, proxy: str, **options: Any) -> urllib3.ProxyManager:
        manager: urllib3.ProxyManager = super().proxy_manager_for(proxy, **options)
        if type(manager) is urllib3.ProxyManager:
            manager.pool_classes_by_scheme = _POOLS
        return manager


def make_session(user_agent: str, connections: int) -> requests.Session:
    """Return a session with up to `connections` open connections to one instance, and without cookies."""
    session = requests.Session()
    session.headers.update(
        # Only what `read_body` decompresses, even if packages for other compressions are installed.
        {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "gzip, deflate"}
    )
    # Newer builds also send tokens as cookies. Such a cookie could contradict the token in the header.
    session.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(pool_maxsize=connections)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


@dataclass(frozen=True)
class Route:
    """How requests reach an instance."""

    options: dict[str, Any]
    """Options of `Session.send`: proxies and certificates."""
    host: str
    proxy: str = ""
    """The URL of the proxy without its credentials, empty without a proxy."""
    proxy_setting: str = ""
    """The environment variable that names the proxy, or `the proxy settings` of the system."""


def find_route(session: requests.Session, address: Address, *, verify_tls: bool) -> Route:
    """Return how requests reach an instance, according to the environment and the system's settings.

    Proxies and certificates are found as `requests` finds them, with one exception: plain http to this machine
    never goes through a proxy, which would see the token. Plain http to another host may go through one. It
    needs the setting allow_http, which accepts that the network sees the token. Passwords of proxies are
    registered as secrets.

    Raises:
        EnvironmentSettingError: a variable is not valid.
    """
    host = urlsplit(address.origin).hostname or ""
    options: dict[str, Any] = dict(
        session.merge_environment_settings(address.api, {}, stream=True, verify=verify_tls, cert=None)
    )
    if address.is_plain_loopback:
        options["proxies"] = {}
    if isinstance(options["verify"], str) and address.origin.startswith("https:"):
        _check_certificates(options["verify"])
    proxy = select_proxy(address.api, options["proxies"])
    if not proxy:
        return Route(options, host)
    setting = _variable_of(proxy, urlsplit(address.origin).scheme)
    return Route(options, host, _checked_proxy(proxy, setting), setting)


def _check_certificates(path: str) -> None:
    variable = next((name for name in _CA_VARIABLES if os.environ.get(name) == path), _CA_VARIABLES[0])
    try:
        if Path(path).is_dir():
            ssl.create_default_context(capath=path)
        else:
            Path(path).read_bytes()
            ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        problem = "is not a file of certificates in PEM format"
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    else:
        return
    raise EnvironmentSettingError(f"{variable}: {path} {problem}; set it to a readable file, or unset it")


def _variable_of(proxy: str, scheme: str) -> str:
    """Return the environment variable that contains the URL of a proxy."""
    names = (name for prefix in (scheme, "all") for name in (f"{prefix}_proxy", f"{prefix}_proxy".upper()))
    return next((name for name in names if os.environ.get(name) == proxy), "the proxy settings of the system")


def _checked_proxy(proxy: str, setting: str) -> str:
    """Return the URL of a proxy without its credentials."""
    try:
        url = urlsplit(prepend_scheme_if_needed(proxy, "http"))  # type: ignore[no-untyped-call]
        host, port, password = url.hostname, url.port, url.password
        urllib3.util.parse_url(url.geturl())
    except (ValueError, LocationValueError):
        host, port, password = None, None, None
    if not host:
        raise EnvironmentSettingError(f"{setting}: its value is not the URL of a proxy such as http://proxy:3128")
    for secret in (password, unquote(password or "")):
        register(secret)
    if url.scheme.startswith("socks"):
        if importlib.util.find_spec("socks") is None:
            raise EnvironmentSettingError(
                f"{setting}: a SOCKS proxy needs the package PySocks; install it beside this command, "
                "or use an http proxy"
            )
    elif url.scheme not in _PROXY_SCHEMES:
        raise EnvironmentSettingError(f"{setting}: a proxy cannot have the scheme {url.scheme}://; use http://")
    return f"{url.scheme}://{host}" + (f":{port}" if port else "")
