"""Cookies that a browser sends inside an EHR's frame, and only there.

``SameSite=None`` because the frame's page is another site's; ``Partitioned`` because browsers drop other sites'
cookies in frames unless they are kept apart per embedding site; ``Secure`` and ``HttpOnly``, and the ``__Host-``
prefix, which no other host can set. Browsers take ``Secure`` cookies from http://localhost too, but not the prefix.
"""

from dataclasses import dataclass

from litestar.datastructures import Cookie

__all__ = ["FrameCookie", "cookie_name"]

_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=None; Partitioned"


def cookie_name(purpose: str, name: str, public_base_url: str) -> str:
    """Return the cookie's name; each launch and each session has one of its own, so that none replaces another."""
    prefix = "__Host-" if public_base_url.startswith("https://") else ""
    return f"{prefix}preceptor-{purpose}-{name}"


@dataclass
class FrameCookie(Cookie):
    """A cookie with the attributes above; without a value it is removed from this partition."""

    __hash__ = Cookie.__hash__

    def to_encoded_header(self) -> tuple[bytes, bytes]:
        """Return the header; written here because Python's own cookies know ``Partitioned`` only from 3.14 on."""
        max_age = self.max_age if self.value else 0
        return b"set-cookie", f"{self.key}={self.value or ''}; Max-Age={max_age}; {_ATTRIBUTES}".encode("ascii")
