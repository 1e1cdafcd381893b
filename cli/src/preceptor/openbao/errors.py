"""What can go wrong with the embedded OpenBao."""

__all__ = ["OpenBaoError", "OpenBaoNotReady", "UnsealKeyMissing"]


class OpenBaoError(Exception):
    """Base of what can go wrong; the text is a sentence that can be shown.

    OpenBaoError
    ├── OpenBaoNotReady     the server did not start, or did not become active in time
    └── UnsealKeyMissing    there is data, but not the key that opens it
    """


class OpenBaoNotReady(OpenBaoError):
    """The server did not start, or did not become active in time."""


class UnsealKeyMissing(OpenBaoError):
    """There is data, but not the key that opens it."""
