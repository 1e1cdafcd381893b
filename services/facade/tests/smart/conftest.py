"""A clinician at the real sandbox EHR, with a browser that keeps cookies as one does inside a frame."""

import html
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest
from facade.container import Container

DEMONSTRATION = "enc-ac4dcc33953d"


@dataclass
class Clinician:
    """Launches and clicks. Cookies of the facade are kept by hand: ``http`` would not send Secure ones to http."""

    http: httpx.AsyncClient
    ehr: Any
    container: Container
    cookies: dict[str, str] = field(default_factory=dict)
    set_cookies: list[str] = field(default_factory=list)

    @property
    def facade_url(self) -> str:
        return self.container.settings.public_base_url

    async def ask(self, url: str, *, method: str = "GET", **more: Any) -> httpx.Response:
        """Send a request to the facade with the cookies it set; redirects are not followed."""
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        full = url if url.startswith("http") else f"{self.facade_url}{url}"
        answer = await self.http.request(method, full, headers={**headers, **more.pop("headers", {})}, **more)
        for header in answer.headers.get_list("set-cookie"):
            self.set_cookies.append(header)
            name, _, value = header.partition(";")[0].partition("=")
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return answer

    async def launch_address(self, encounter: str = DEMONSTRATION, *, app_context: str = "") -> str:
        """Press Launch Preceptor on a stay, or a card's link, and return where the frame goes first."""
        page = await self.http.get(f"{self.ehr.base_url}/stays/{encounter}")
        token = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert token is not None
        form = {"csrf": html.unescape(token[1]), "client": "preceptor", "app_context": app_context}
        framed = await self.http.post(f"{self.ehr.base_url}/stays/{encounter}/launch", data=form)
        source = re.search(r'<iframe [^>]*src="([^"]+)"', framed.text)
        assert source is not None, framed.text[:500]
        return html.unescape(source[1])

    async def authorized(self, authorize_url: str, **changes: str) -> str:
        """Go to the EHR's authorization endpoint, with parameters changed on the way; return where it sends us."""
        if changes:
            query = {**dict(parse_qsl(urlsplit(authorize_url).query)), **changes}
            authorize_url = f"{authorize_url.partition('?')[0]}?{urlencode(query)}"
        answer = await self.http.get(authorize_url)
        assert answer.status_code == 302, answer.text[:500]
        return answer.headers["location"]

    async def to_callback(self, **changes: str) -> str:
        """Launch the demonstration stay and return the address of our callback with the EHR's answer."""
        started = await self.ask(await self.launch_address())
        assert started.status_code == 302, started.text
        return await self.authorized(started.headers["location"], **changes)

    async def launch(self) -> str:
        """Launch the demonstration stay; return the path of the page."""
        opened = await self.ask(await self.to_callback())
        assert opened.status_code == 303, opened.text
        return opened.headers["location"]

    async def standalone(self, encounter: str | None, *, patient: str | None = None) -> httpx.Response:
        """Launch without an EHR and choose a stay on the EHR's page; return the answer of our callback."""
        started = await self.ask(f"/smart/launch?{urlencode({'iss': self.ehr.fhir_base})}")
        assert started.status_code == 302, started.text
        page = await self.http.get(started.headers["location"])
        handle = re.search(r'name="request" value="([^"]+)"', page.text)
        practitioner = re.search(r'<option value="([^"/]+)"', page.text)
        assert handle is not None and practitioner is not None
        form = {"request": html.unescape(handle[1]), "practitioner": practitioner[1], "decision": "allow"}
        form["stay"] = f"{patient}/{encounter or ''}" if patient else ""
        decided = await self.http.post(f"{self.ehr.base_url}/auth/authorize/decision", data=form)
        assert decided.status_code == 302, decided.text[:500]
        return await self.ask(decided.headers["location"])

    async def open(self, encounter: str) -> str:
        """Open the page for ``Encounter/ID``; return its path."""
        stay = await self.container.connections.client("sandbox").read(encounter)
        patient = stay["subject"]["reference"].partition("/")[2]
        opened = await self.standalone(encounter.partition("/")[2], patient=patient)
        assert opened.status_code == 303, opened.text
        return opened.headers["location"]

    async def csrf(self, path: str) -> str:
        """The token of the page at ``path``."""
        page = await self.ask(path)
        found = re.search(r'(?:name="csrf" value|data-csrf)="([^"]+)"', page.text)
        assert found is not None, page.text[:500]
        return found[1]


@pytest.fixture
async def clinician(sandbox: Any, facade: Container) -> Any:
    async with httpx.AsyncClient(timeout=20, follow_redirects=False) as http:
        yield Clinician(http, sandbox, facade)


@pytest.fixture
def new_browser(clinician: Clinician) -> Any:
    """Another browser of the same clinician."""
    return lambda: Clinician(clinician.http, clinician.ehr, clinician.container)


def query_of(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


@pytest.fixture
def query() -> Any:
    """Reads the query of an address."""
    return query_of
