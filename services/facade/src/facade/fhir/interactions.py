"""What ``/fhir`` does: read, vread, history and search. Everything is read-only, held to the access, and recorded."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from fhir_support.errors import BadRequest, NotFound, NotSupported
from service_runtime.log import LogCode, log

from facade.fhir.audit import Auditor, Call
from facade.fhir.bundles import etag, history_bundle, http_date, search_bundle, self_link, shortened
from facade.fhir.includes import included_resources, require_includes
from facade.fhir.pages import PAGE_PARAMETER, Page, Pages
from facade.fhir.search import parse_search
from facade.fhir.served import SERVED
from facade.fhir.terms import date_range
from facade.store.resources import Found, Resources, StoredResource

__all__ = ["Answer", "Interactions"]

_VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Answer:
    """What to answer; ``body`` is None for 304."""

    status: int
    body: dict[str, Any] | None
    headers: Mapping[str, str] = field(default_factory=dict)


class Interactions:
    """The interactions, as they are reached directly and from within a batch."""

    def __init__(self, resources: Resources, auditor: Auditor, pages: Pages) -> None:
        self._resources = resources
        self._auditor = auditor
        self._pages = pages

    async def read(
        self,
        call: Call,
        resource_type: str,
        resource_id: str,
        *,
        version: str | None = None,
        pairs: Sequence[tuple[str, str]] = (),
        strict: bool = True,
        if_none_match: str | None = None,
        if_modified_since: str | None = None,
    ) -> Answer:
        """Read a resource, or one version of it. What may not be seen is not found."""
        _require_served(resource_type)
        call.access.require("r", resource_type)
        shape = parse_search(resource_type, pairs, call.access.home, strict=strict)
        if any(name not in ("_summary", "_elements") for name, _ in shape.pairs):
            raise NotSupported("A read takes _summary and _elements only.")
        number = None if version is None else int(version) if _VERSION.fullmatch(version) else 0
        stored = await self._resources.get(call.access.ehr_id, resource_type, resource_id, number)
        if stored is None or not call.access.sees(stored.resource, "r", stored.about):
            raise NotFound
        await self._auditor.read(call, "read" if version is None else "vread", stored)
        headers = {"ETag": etag(stored.version), "Last-Modified": http_date(stored.updated)}
        if _unchanged(stored, if_none_match, if_modified_since):
            return Answer(304, None, headers)
        return Answer(200, shortened(stored.resource, shape.summary), headers)

    async def search(self, call: Call, resource_type: str, pairs: Sequence[tuple[str, str]], *, strict: bool) -> Answer:
        """Search a type; ``pairs`` are the parameters, or a single ``_page``."""
        _require_served(resource_type)
        access = call.access
        access.require("s", resource_type)
        page = await self._page(call, resource_type, pairs)
        if page is not None:
            pairs, strict = page.pairs, page.strict
        search = parse_search(resource_type, pairs, access.home, strict=strict)
        require_includes(access, search)
        counting = search.summary.kind == "count" or search.count == 0
        found = await self._resources.search(
            access.ehr_id,
            resource_type,
            limits=access.limits("s", resource_type),
            criteria=search.criteria,
            count=0 if counting else search.count,
            after=page.after if page else None,
            order=search.order,
            total=search.total or counting,
        )
        found = self._seen(call, found, "s")
        included = await included_resources(self._resources, access, search, found.resources)
        text = self_link("", resource_type, search.pairs).removeprefix("/")
        await self._auditor.query(call, "search", text, [*found.resources, *included])
        links = {"self": self_link(call.base, resource_type, search.pairs)}
        if found.more:
            links["next"] = await self._next(call, resource_type, resource_type, search.pairs, found, strict)
        body = search_bundle(call.base, links, found.resources, included, total=found.total, summary=search.summary)
        return Answer(200, body)

    async def history(
        self,
        call: Call,
        resource_type: str,
        resource_id: str | None,
        pairs: Sequence[tuple[str, str]],
        *,
        strict: bool,
    ) -> Answer:
        """Return the versions of a resource, or of all resources of a type."""
        _require_served(resource_type)
        letter = "s" if resource_id is None else "r"
        call.access.require(letter, resource_type)
        place = f"{resource_type}/_history" if resource_id is None else f"{resource_type}/{resource_id}/_history"
        page = await self._page(call, place, pairs)
        if page is not None:
            pairs, strict = page.pairs, page.strict
        used, count, since = _history_parameters(resource_type, pairs, call, strict=strict)
        found = await self._resources.history(
            call.access.ehr_id,
            resource_type,
            limits=call.access.limits(letter, resource_type),
            resource_id=resource_id,
            since=since,
            count=count,
            after=page.after if page else None,
        )
        found = self._seen(call, found, letter)
        if resource_id is not None and not found.total and since is None:
            raise NotFound
        interaction = "history-type" if resource_id is None else "history-instance"
        text = self_link("", place, used).removeprefix("/")
        await self._auditor.query(call, interaction, text, found.resources)
        links = {"self": self_link(call.base, place, used)}
        if found.more:
            links["next"] = await self._next(call, place, place, used, found, strict)
        return Answer(200, history_bundle(call.base, links, found.resources, total=found.total))

    async def _page(self, call: Call, place: str, pairs: Sequence[tuple[str, str]]) -> Page | None:
        tokens = [value for name, value in pairs if name == PAGE_PARAMETER]
        if not tokens:
            return None
        if len(pairs) != 1:
            raise BadRequest("A page link is used as it was given.")
        return await self._pages.open(call.access, place, tokens[0])

    async def _next(
        self, call: Call, path: str, place: str, pairs: tuple[tuple[str, str], ...], found: Found, strict: bool
    ) -> str:
        token = await self._pages.seal(call.access, place, Page(pairs, found.resources[-1].place, strict))
        return self_link(call.base, path, [(PAGE_PARAMETER, token)])

    def _seen(self, call: Call, found: Found, letters: str) -> Found:
        """Look at every resource a second time: index and resource must agree that the caller may see it."""
        seen = tuple(one for one in found.resources if call.access.sees(one.resource, letters, one.about))
        if len(seen) == len(found.resources):
            return found
        log(LogCode.REQUEST_FAILED, reason="fhir-index-disagrees", count=len(found.resources) - len(seen))
        return Found(seen, more=False, total=None)


def _require_served(resource_type: str) -> None:
    if resource_type not in SERVED:
        raise NotFound("Resources of that type are not served here.")


def _unchanged(stored: StoredResource, if_none_match: str | None, if_modified_since: str | None) -> bool:
    """Whether the client has this version (RFC 9110, 13.2.2: If-None-Match counts before If-Modified-Since)."""
    if if_none_match is not None:
        held = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
        return "*" in held or f'"{stored.version}"' in held
    if if_modified_since is None:
        return False
    try:
        since = parsedate_to_datetime(if_modified_since)
        return stored.updated.replace(microsecond=0) <= since
    except (ValueError, TypeError):
        return False


def _history_parameters(
    resource_type: str, pairs: Iterable[tuple[str, str]], call: Call, *, strict: bool
) -> tuple[tuple[tuple[str, str], ...], int, datetime | None]:
    """Return the parameters that were understood, the size of a page, and since when."""
    used, since = [], None
    for name, value in pairs:
        if name == "_count":
            used.append((name, value))
        elif name == "_since":
            span = date_range(value.replace(" ", "+"))
            if span is None:
                raise BadRequest("_since is not an instant.")
            since = _EPOCH + timedelta(microseconds=span.low)
            used.append((name, value))
        elif strict:
            raise NotSupported("A history takes _count and _since only.")
    counted = [pair for pair in used if pair[0] == "_count"]
    count = parse_search(resource_type, counted, call.access.home, strict=True).count
    return tuple(used), count, since
