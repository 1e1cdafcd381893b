"""What can go wrong with the local OpenSearch node."""

__all__ = ["CannotAssemble", "OpenSearchError", "OpenSearchNotReady", "PoliciesRefused", "ToolMissing"]


class OpenSearchError(Exception):
    """Base of what can go wrong; the text is a sentence that can be shown.

    OpenSearchError
    ├── ToolMissing          no Java of 21 or later, or no Maven and nothing fetched yet
    ├── CannotAssemble       an artifact could not be fetched, or is not the one that is pinned
    ├── OpenSearchNotReady   the node did not start, or did not become ready in time
    └── PoliciesRefused      the node does not hold what the policies ask for
    """


class ToolMissing(OpenSearchError):
    """A program of this machine is missing."""


class CannotAssemble(OpenSearchError):
    """The artifacts are not to be had, or changed."""


class OpenSearchNotReady(OpenSearchError):
    """The node ended or took too long."""


class PoliciesRefused(OpenSearchError):
    """A setting of the cluster is not what the policies ask for."""
