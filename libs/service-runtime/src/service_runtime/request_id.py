"""The X-Request-Id of the work at hand, carried through every call it causes."""

import re
import uuid
from contextvars import ContextVar

__all__ = ["REQUEST_ID_HEADER", "accept_request_id", "current_request_id"]

REQUEST_ID_HEADER = "X-Request-Id"
_SHAPE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_current: ContextVar[str | None] = ContextVar("request_id", default=None)


def accept_request_id(unverified_value: str | None) -> str:
    """Adopt the caller's id when it is short and plain, else make one; return what is now current."""
    value = unverified_value if unverified_value and _SHAPE.fullmatch(unverified_value) else str(uuid.uuid4())
    _current.set(value)
    return value


def current_request_id() -> str | None:
    """Return the id of the request being served, or None outside of one."""
    return _current.get()
