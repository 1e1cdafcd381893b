"""The bearer token with which our services know each other."""

import hmac
import time

from service_runtime.secrets import SecretStore

__all__ = ["SERVICE_TOKEN_PATH", "ServiceAuth"]

SERVICE_TOKEN_PATH = "services/token"  # noqa: S105  a path, not a secret
_KEEP_S = 60.0


class ServiceAuth:
    """Sends and checks the token kept in the secret store at ``SERVICE_TOKEN_PATH``, field ``token``."""

    def __init__(self, store: SecretStore) -> None:
        self._store = store
        self._held: tuple[float, str] | None = None

    async def header(self) -> dict[str, str]:
        """Return the header to send; raise ``SecretError`` when the token cannot be had."""
        return {"Authorization": f"Bearer {await self._token()}"}

    async def accepts(self, unverified_authorization: str | None) -> bool:
        """Whether an ``Authorization`` header carries the token, compared in constant time."""
        expected = f"Bearer {await self._token()}"
        return hmac.compare_digest(expected.encode(), (unverified_authorization or "").encode())

    async def _token(self) -> str:
        if self._held is None or time.monotonic() > self._held[0]:
            fields = await self._store.read(SERVICE_TOKEN_PATH)
            self._held = (time.monotonic() + _KEEP_S, fields["token"])
        return self._held[1]
