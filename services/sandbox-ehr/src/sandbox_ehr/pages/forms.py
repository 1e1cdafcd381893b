"""Forms of the EHR's own pages: every POST carries the token of the visitor's cookie and comes from our own origin."""

import hashlib
import hmac
import secrets
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from litestar import Request
from litestar.datastructures import Cookie
from litestar.exceptions import PermissionDeniedException

__all__ = ["CSRF_COOKIE", "Forms"]

CSRF_COOKIE = "sandbox_ehr_csrf"


class Forms:
    """Makes and checks tokens (signed double submit): a cookie another site or port planted is not signed by us."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._host = urlsplit(base_url).netloc
        self._is_https = base_url.startswith("https:")
        self._key = secrets.token_bytes(32)

    def check_host(self, request: Request[Any, Any, Any]) -> None:
        """Refuse a request for another host name: a page of that name could read ours (DNS rebinding)."""
        if request.headers.get("Host", "").lower() != self._host.lower():
            raise PermissionDeniedException

    def token(self, request: Request[Any, Any, Any]) -> str:
        """Return the visitor's token, a new one when there is none that is ours."""
        held = request.cookies.get(CSRF_COOKIE, "")
        return held if self._is_ours(held) else self._signed(secrets.token_urlsafe(24))

    def cookie(self, token: str) -> Cookie:
        """Return the cookie that holds ``token``."""
        return self.session_cookie(CSRF_COOKIE, token)

    def session_cookie(self, name: str, value: str) -> Cookie:
        """Return a cookie for these pages only."""
        return Cookie(key=name, value=value, path="/", httponly=True, secure=self._is_https, samesite="lax")

    async def read(self, request: Request[Any, Any, Any]) -> dict[str, str]:
        """Return the fields of a form that our page sent; raise ``PermissionDeniedException`` for any other."""
        self.check_host(request)
        if request.headers.get("Origin", self._base_url) != self._base_url:
            raise PermissionDeniedException
        if not request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            raise PermissionDeniedException
        body = (await request.body()).decode(errors="replace")
        fields = dict(parse_qsl(body, keep_blank_values=True))
        held, sent = request.cookies.get(CSRF_COOKIE, ""), fields.get("csrf", "")
        if not self._is_ours(held) or not hmac.compare_digest(held.encode(), sent.encode()):
            raise PermissionDeniedException
        return fields

    def _signed(self, value: str) -> str:
        return f"{value}.{hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()}"

    def _is_ours(self, token: str) -> bool:
        return hmac.compare_digest(self._signed(token.partition(".")[0]).encode(), token.encode())
