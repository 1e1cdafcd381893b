"""Formularies of a FHIR server, page by page, into a folder as a bulk export would leave them.

Every page comes from the origin that was named: a ``next`` link that leads elsewhere ends the run, redirects are not
followed, proxies and credentials of the environment are not used. Pages, bytes and time are limited. The server is
asked once more where it says that it is busy.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx

from retrieval.importers.formularies import FORMULARY_TYPES
from retrieval.importers.records import RecordRefused

__all__ = ["Limits", "download_formularies", "server_address"]

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_BUSY = frozenset({429, 502, 503, 504})
_TRIES = 4
_MOST_WAIT_S = 60.0
_PAGE = 250


class Limits:
    """How much is taken from one server."""

    page_bytes = 64 * 1024 * 1024
    all_bytes = 4 * 1024 * 1024 * 1024
    pages = 100_000
    all_s = 4 * 3600.0
    wait_s = 60.0


def server_address(text: str) -> httpx.URL:
    """Return the base address of a FHIR server; raise ``ValueError`` in words for what cannot be one."""
    try:
        url = httpx.URL(text.rstrip("/") + "/")
    except (httpx.InvalidURL, TypeError):
        raise ValueError("not an address") from None
    if url.scheme != "https" and not (url.scheme == "http" and url.host in _LOOPBACK):
        raise ValueError("the address must begin with https://")
    if not re.fullmatch(r"[A-Za-z0-9.:-]+", url.host) or url.userinfo or url.query or url.fragment:
        raise ValueError("the address must be a host and a path, without password, query or fragment")
    return url


def download_formularies(
    base: httpx.URL,
    folder: Path,
    *,
    advance: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    limits: type[Limits] = Limits,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Write the formularies of a server with their items and drugs as ndjson; return how many plans there are.

    ``advance`` is told of resources. Raises ``RecordRefused`` when not all of it could be had: a formulary without
    some of its items would be another one.
    """
    with httpx.Client(
        timeout=limits.wait_s,
        follow_redirects=False,
        trust_env=False,
        headers={"Accept": "application/fhir+json", "Accept-Encoding": "identity", "User-Agent": "Preceptor"},
    ) as client:
        pages = _Pages(client, base, limits, sleep, stop)
        with _Files(folder, advance) as files:
            plans = [one for one in pages.search("InsurancePlan", type="DRUGPOL") if files.keep(one)]
            for plan in plans:
                for one in pages.search(
                    "Basic",
                    code="formulary-item",
                    formulary=f"InsurancePlan/{plan.get('id')}",
                    _include="Basic:subject",
                ):
                    files.keep(one)
    if not plans:
        raise RecordRefused("the server has no formulary (InsurancePlan of type DRUGPOL)")
    return len(plans)


class _Files:
    """One file of each type; a resource that comes twice is written once."""

    def __init__(self, folder: Path, advance: Callable[[int], None]) -> None:
        self._open = {kind: (folder / f"{kind}.ndjson").open("w", encoding="utf-8") for kind in FORMULARY_TYPES}
        self._seen: set[tuple[str, str]] = set()
        self._advance = advance

    def keep(self, resource: dict[str, Any]) -> bool:
        kind, key = str(resource.get("resourceType")), str(resource.get("id"))
        if kind not in self._open or (kind, key) in self._seen:
            return False
        self._seen.add((kind, key))
        self._open[kind].write(json.dumps(resource, ensure_ascii=False) + "\n")
        self._advance(1)
        return True

    def __enter__(self) -> "_Files":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()


class _Pages:
    """The pages of searches, within the limits of all of them together."""

    def __init__(
        self,
        client: httpx.Client,
        base: httpx.URL,
        limits: type[Limits],
        sleep: Callable[[float], None],
        stop: Callable[[], bool],
    ) -> None:
        self._client = client
        self._base = base
        self._limits = limits
        self._sleep = sleep
        self._stop = stop
        self._until = time.monotonic() + limits.all_s
        self._pages = 0
        self._bytes = 0

    def search(self, kind: str, **parameters: str) -> Iterator[dict[str, Any]]:
        url: httpx.URL | None = self._base.join(f"{kind}?{urlencode({**parameters, '_count': _PAGE})}")
        seen: set[str] = set()
        while url is not None:
            if str(url) in seen:
                raise RecordRefused("the server's pages lead in a circle")
            seen.add(str(url))
            bundle = self._page(url)
            for entry in bundle.get("entry") or []:
                resource = entry.get("resource") if isinstance(entry, dict) else None
                if isinstance(resource, dict):
                    yield resource
            url = self._next(bundle, url)

    def _next(self, bundle: dict[str, Any], url: httpx.URL) -> httpx.URL | None:
        links = bundle.get("link") or []
        found = [one.get("url") for one in links if isinstance(one, dict) and one.get("relation") == "next"]
        if not found:
            return None
        try:
            following = url.join(str(found[0]))
        except httpx.InvalidURL:
            raise RecordRefused("the server's next page has no address") from None
        if (following.scheme, following.host, following.port) != (self._base.scheme, self._base.host, self._base.port):
            raise RecordRefused("the server's next page lies on another server: it is not followed")
        return following

    def _page(self, url: httpx.URL) -> dict[str, Any]:
        self._pages += 1
        if self._pages > self._limits.pages:
            raise RecordRefused(f"more than {self._limits.pages} pages")
        for tries in range(1, _TRIES + 1):
            if self._stop():
                raise RecordRefused("stopped before all of it was there")
            status, wait_s, body = self._get(url)
            if status not in _BUSY or tries == _TRIES:
                break
            self._sleep(min(_MOST_WAIT_S, wait_s if wait_s is not None else 2.0**tries))
        if status != 200:
            raise RecordRefused(f"the server answered {status}")
        try:
            bundle = json.loads(body)
        except (ValueError, RecursionError):
            raise RecordRefused("the server's answer is not JSON") from None
        if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
            raise RecordRefused("the server's answer is not a Bundle")
        return bundle

    def _get(self, url: httpx.URL) -> tuple[int, float | None, bytes]:
        body = bytearray()
        try:
            with self._client.stream("GET", url) as response:
                for block in response.iter_raw():
                    body += block
                    self._bytes += len(block)
                    if len(body) > self._limits.page_bytes or self._bytes > self._limits.all_bytes:
                        raise RecordRefused("the server sends more than the limit")
                    if time.monotonic() > self._until:
                        raise RecordRefused("the server takes longer than the limit")
        except httpx.TransportError as error:
            raise RecordRefused(f"the server does not answer ({type(error).__name__})") from None
        asked = response.headers.get("retry-after", "")
        return response.status_code, float(asked) if asked.isdecimal() else None, bytes(body)
