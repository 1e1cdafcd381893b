"""Random values of a launch, the hashes kept of them, and the PKCE challenge."""

import base64
import hashlib
import secrets

__all__ = ["challenge", "hashed", "random_value", "short_name"]


def random_value() -> str:
    """Return 256 random bits as 43 characters (SMART asks for 122 of ``state``, RFC 7636 for this of a verifier)."""
    return secrets.token_urlsafe(32)


def short_name() -> str:
    """Return 96 random bits as 16 characters: a name nobody else has, which need not stay secret."""
    return secrets.token_urlsafe(12)


def hashed(value: str) -> str:
    """Return the SHA-256 of a random value in hexadecimal; what is stored of it."""
    return hashlib.sha256(value.encode()).hexdigest()


def challenge(verifier: str) -> str:
    """Return the S256 code challenge of a verifier (RFC 7636, section 4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
