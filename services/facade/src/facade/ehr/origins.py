"""Origins of URLs (scheme, host and port), read by the same parser that the outbound client connects with.

Two parsers that read one URL differently are how a check of one host leads to a connection to another.
"""

import ipaddress
import re

import httpx

__all__ = ["is_loopback", "origin_of", "registered_origin", "registered_url"]

_DEFAULT_PORTS = {"http": 80, "https": 443}
# A host name as it is written in a certificate; an address in numbers is read by ipaddress instead.
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.ASCII)
_NUMBERS = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*", re.ASCII)


def origin_of(url: httpx.URL | str) -> str:
    """Return ``scheme://host:port`` in lower case, the port always written; raise ``ValueError``.

    A URL with user information has none: ``https://ehr.example@evil.example`` is a trick or a leak, never an address.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        raise ValueError("not a URL") from None
    if parsed.scheme not in _DEFAULT_PORTS or not parsed.raw_host:
        raise ValueError("not an absolute http(s) URL")
    if parsed.userinfo:
        raise ValueError("a URL with user information")
    host = parsed.raw_host.decode("ascii").lower()
    written = f"[{host}]" if ":" in host else host
    return f"{parsed.scheme}://{written}:{parsed.port or _DEFAULT_PORTS[parsed.scheme]}"


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine by its very name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def registered_url(value: str) -> str:
    """Return ``value`` when an administrator may register it; raise ``ValueError`` that says what is wrong.

    TLS everywhere but on this machine itself. A host is a plain name or an address in its usual form, because every
    other form is read differently by somebody.
    """
    if not value.isascii() or any(character <= " " or character in "\\\x7f" for character in value):
        raise ValueError("must be written in ASCII without blanks and backslashes")
    if "?" in value or "#" in value or value.endswith("/"):
        raise ValueError("must be written without query, fragment and trailing slash")
    origin_of(value)
    parsed = httpx.URL(value)
    host = parsed.raw_host.decode("ascii")
    if not value.startswith(f"{parsed.scheme}://") or host not in value:
        raise ValueError("must be written in lower case")
    if not _is_plain_host(host):
        raise ValueError("the host must be a plain name or an address in its usual form")
    if parsed.scheme == "http" and not is_loopback(host):
        raise ValueError("must be https, except on this machine itself")
    if any(segment in (".", "..") for segment in value.split("/")):
        raise ValueError("must be written without . and .. segments")
    return value


def registered_origin(value: str) -> str:
    """Return ``value`` when it is an origin that may be registered, that is a URL without a path."""
    if value.count("/") != 2:
        raise ValueError("must be an origin: scheme, host and port, nothing else")
    return registered_url(value)


def _is_plain_host(host: str) -> bool:
    try:
        return str(ipaddress.ip_address(host)) == host
    except ValueError:
        return _NAME.fullmatch(host) is not None and _NUMBERS.fullmatch(host) is None
