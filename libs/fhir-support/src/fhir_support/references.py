"""Literal FHIR references: which resource they name, and whether they stay on the server they came from."""

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

__all__ = ["InvalidReference", "ResourceKey", "is_below", "resource_key"]

_RELATIVE = re.compile(r"([A-Z][A-Za-z]{2,63})/([A-Za-z0-9.-]{1,64})(?:/_history/([A-Za-z0-9.-]{1,64}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class InvalidReference(ValueError):
    """Not a literal reference to a resource of this server."""


class ResourceKey(NamedTuple):
    """Type, id and, where the reference had one, version."""

    resource_type: str
    id: str
    version: str | None = None

    @property
    def reference(self) -> str:
        """The relative reference, without a version."""
        return f"{self.resource_type}/{self.id}"


def is_below(url: str, base: str) -> bool:
    """Whether ``url`` is ``base`` or below it: same scheme, host and port, and whole path segments.

    String prefixes would accept ``https://ehr.example.evil.org`` for ``https://ehr.example``.
    """
    if not url.isascii() or any(character <= " " or character in "\\\x7f" for character in url):
        # Some parsers drop line breaks and tabs, some take a backslash for a slash, some fold other alphabets.
        return False
    try:
        a, b = urlsplit(url), urlsplit(base)
        ports = a.port or _DEFAULT_PORTS.get(a.scheme), b.port or _DEFAULT_PORTS.get(b.scheme)
    except ValueError:
        return False
    # Servers and proxies decode a path before they resolve its dots, and then some take a backslash for a slash.
    segments = unquote(unquote(a.path)).replace("\\", "/").split("/")
    if a.username is not None or a.password is not None or ".." in segments:
        return False
    if (a.scheme, a.hostname) != (b.scheme, b.hostname) or ports[0] != ports[1]:
        return False
    path = b.path.rstrip("/")
    return a.path.rstrip("/") == path or a.path.startswith(path + "/")


def resource_key(reference: str, base: str) -> ResourceKey:
    """Return what a relative reference, or an absolute one below ``base``, names; raise ``InvalidReference``."""
    if reference.startswith(("http://", "https://")):
        if not is_below(reference, base):
            raise InvalidReference("the reference is to another server")
        reference = reference[len(base.rstrip("/")) + 1 :]
    match = _RELATIVE.fullmatch(reference)
    if match is None:
        raise InvalidReference("not a literal reference")
    return ResourceKey(match[1], match[2], match[3])
