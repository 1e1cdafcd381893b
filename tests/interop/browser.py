"""A browser as far as a launch needs one: it follows redirects between two sites and keeps the cookies of both."""

import html
import re
from urllib.parse import urlencode, urljoin

import httpx

__all__ = ["Browser"]

_MAX_REDIRECTS = 12


class Browser:
    """A browser nobody has used yet. The facade's cookies are kept by hand: they are Secure, and this is http."""

    def __init__(self, facade: str) -> None:
        self._facade = facade
        self._http = httpx.AsyncClient(timeout=20, follow_redirects=False)
        self._cookies: dict[str, str] = {}

    async def __aenter__(self) -> "Browser":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def ask(self, url: str, *, method: str = "GET", data: dict[str, str] | None = None) -> httpx.Response:
        """Send one request; a path is one of the facade's."""
        url = urljoin(f"{self._facade}/", url)
        if not url.startswith(f"{self._facade}/"):
            return await self._http.request(method, url, data=data)
        # Where the page stands is what tells the facade that a form is its own.
        headers = {"Origin": self._facade} if method == "POST" else {}
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        answer = await self._http.request(method, url, headers=headers, data=data)
        for header in answer.headers.get_list("set-cookie"):
            name, _, value = header.partition(";")[0].partition("=")
            self._cookies |= {name: value}
            if not value:
                del self._cookies[name]
        return answer

    async def launch(self, issuer: str, launch: str) -> tuple[str, httpx.Response]:
        """Launch from the EHR; return the address of our callback and what it answered."""
        answer = await self.ask(f"/smart/launch?{urlencode({'iss': issuer, 'launch': launch})}")
        for _ in range(_MAX_REDIRECTS):
            assert answer.status_code in (302, 303), answer.text[:1_000]
            url = str(answer.request.url.join(answer.headers["location"]))
            answer = await self.ask(url)
            if url.startswith(f"{self._facade}/smart/callback"):
                return url, answer
        raise AssertionError("the launch goes in circles")

    async def form(self, path: str) -> dict[str, str]:
        """Return what the forms of the page at ``path`` would send as they are."""
        page = (await self.ask(path)).text
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
        typed = re.findall(r'<textarea name="([^"]+)"[^>]*>\n?(.*?)</textarea>', page, re.DOTALL)
        # The first of a name: what a dialog further down fills in by itself is empty.
        return {name: html.unescape(value) for name, value in reversed([*hidden, *typed])}
