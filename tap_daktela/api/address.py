"""Where an instance lives: the settings `url`, `server` and `allow_http` in, a checked base URL out."""

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
    """The place of one Daktela instance."""

    origin: str
    """Scheme, host and port: all that a token is ever sent to."""
    prefix: str = ""
    """Path in front of `/api/v6`, without a slash at its end."""

    @property
    def base(self) -> str:
        """The instance's URL, without a slash at its end."""
        return self.origin + self.prefix

    @property
    def api(self) -> str:
        """The URL that endpoints are appended to, with a slash at its end."""
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
        """The host's first label, which names the instance (`acme` of `acme.daktela.com`)."""
        return (urlsplit(self.origin).hostname or "").split(".")[0]


def parse(url: str, *, allow_http: bool = False) -> Address:
    """Return the address that `url` means.

    A path prefix is kept, and an URL that already ends in `/api/v6` is accepted (daktela-api.md §1).

    Raises:
        AddressError: not an http(s) URL, credentials inside, or plain http to anything but this machine.
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
    """Return the origin as it stands in the requests sent there, hosts of other than ASCII letters included."""
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
