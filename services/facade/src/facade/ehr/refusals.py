"""What the outbound client itself refuses.

OutboundRefused (an ``httpx.TransportError``)
├── OriginNotRegistered   the URL leads elsewhere
├── AnswerRefused         the answer is too large, or compressed although that was not asked for
└── ServerPaused          the server could not be reached lately, or asked to be left alone
"""

import httpx

__all__ = ["AnswerRefused", "OriginNotRegistered", "OutboundRefused", "ServerPaused"]


class OutboundRefused(httpx.TransportError):
    """Base of what this client itself refuses."""


class OriginNotRegistered(OutboundRefused):
    """The URL does not lead to a registered origin; nothing was sent, resolved or connected."""


class AnswerRefused(OutboundRefused):
    """The answer is larger than allowed or encoded in a way that was not asked for."""


class ServerPaused(OutboundRefused):
    """The server is left alone for a while."""
