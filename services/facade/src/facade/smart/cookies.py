"""Cookies that a browser sends inside an EHR's frame, and only there.

``SameSite=None`` because the frame's page is another site's; ``Partitioned`` because browsers drop other sites'
cookies in frames unless they are kept apart per embedding site; ``Secure`` and ``HttpOnly``, and the ``__Host-``
prefix, which no other host can set. Browsers take ``Secure`` cookies from http://localhost too, but not the prefix.
"""

__all__ = ["clear_cookie", "cookie_name", "set_cookie"]

_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=None; Partitioned"


def cookie_name(purpose: str, name: str, public_base_url: str) -> str:
    """Return the cookie's name; each launch and each session has one of its own, so that none replaces another."""
    prefix = "__Host-" if public_base_url.startswith("https://") else ""
    return f"{prefix}preceptor-{purpose}-{name}"


def set_cookie(name: str, value: str, max_age_s: int) -> str:
    """Return a ``Set-Cookie`` header value."""
    return f"{name}={value}; Max-Age={max_age_s}; {_ATTRIBUTES}"


def clear_cookie(name: str) -> str:
    """Return a ``Set-Cookie`` header value that removes the cookie from this partition."""
    return set_cookie(name, "", 0)
