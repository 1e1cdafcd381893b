"""The error answer of OAuth 2.0 endpoints (RFC 6749, sections 4.1.2.1 and 5.2)."""

__all__ = ["OAuthError"]


class OAuthError(Exception):
    """A refused request: ``error`` is a code of RFC 6749, ``description`` says to a developer what to change."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status
