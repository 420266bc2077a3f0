"""The URL of an instance, checked, and the origin that may receive its token."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

_API = "/api/v6"


class AddressError(ValueError):
    """The URL of an instance cannot be used; the message says why, without repeating any credentials."""


@dataclass(frozen=True)
class Address:
    """The URL of one Daktela instance."""

    origin: str
    """Scheme, host and port. A token is sent to no other origin."""
    prefix: str = ""
    """Path before `/api/v6`, without a trailing slash."""

    @property
    def base(self) -> str:
        """The URL of the instance, without a trailing slash."""
        return self.origin + self.prefix

    @property
    def api(self) -> str:
        """The URL that endpoints are appended to, with a trailing slash."""
        return f"{self.base}{_API}/"

    @property
    def is_plain_loopback(self) -> bool:
        """Whether requests go to this machine over plain http."""
        parts = urlsplit(self.origin)
        return parts.scheme == "http" and _is_loopback(parts.hostname or "")

    @property
    def has_ip_address(self) -> bool:
        """Whether the host is an IP address instead of a name."""
        return _ip_address(urlsplit(self.origin).hostname or "") is not None

    @property
    def first_label(self) -> str:
        """The first label of the host, which names the instance (`acme` of `acme.daktela.com`)."""
        return (urlsplit(self.origin).hostname or "").split(".")[0]


def parse(url: str, *, allow_http: bool = False) -> Address:
    """Return the address of an instance from the settings `url` and `allow_http`.

    A path prefix is kept, and a URL that already ends in `/api/v6` is accepted (daktela-api.md §1).

    Raises:
        AddressError: it is not an http(s) URL, it contains credentials, or it is plain http to another machine.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressError("it is not a URL") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise AddressError("it is not a URL of the form https://acme.daktela.com")
    if parts.username or parts.password:
        raise AddressError("it holds credentials; put them into their own settings")
    if parts.query or parts.fragment:
        raise AddressError("it has a query or fragment; give the address of the instance alone")
    if parts.scheme == "http" and not allow_http and not _is_loopback(host):
        raise AddressError("plain http would show the token to the network; use https, or set allow_http")
    path = parts.path.rstrip("/")
    return Address(_origin(parts.scheme, host, port), path.removesuffix(_API).rstrip("/"))


def _origin(scheme: str, host: str, port: int | None) -> str:
    """Return the origin as requests to it contain it: hosts with other than ASCII letters are encoded."""
    shown = f"[{host}]" if ":" in host else host
    default_port = 443 if scheme == "https" else 80
    request = requests.PreparedRequest()
    try:
        request.prepare_url(f"{scheme}://{shown}" + (f":{port}" if port not in {None, default_port} else ""), None)
    except requests.RequestException as error:
        raise AddressError("its host is not valid") from error
    sent = urlsplit(request.url or "")
    return f"{sent.scheme}://{sent.netloc}"


def _is_loopback(host: str) -> bool:
    address = _ip_address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
