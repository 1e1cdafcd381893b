"""Calls order-sign: discovery, prefetch from our own records, a JWT for each call, and feedback on the cards."""

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from sandbox_ehr.fhir.server import FhirServer

__all__ = ["Answer", "CdsHooksClient"]

Resource = dict[str, Any]

_TIMEOUT_S = 3.0
_LIFETIME_S = 120
_HOOK = "order-sign"
_WHOLE = 1000


@dataclass(frozen=True)
class Answer:
    """The cards of a service, or why there are none: ``failure`` is shown to the prescriber."""

    cards: tuple[dict[str, Any], ...] = ()
    failure: str = ""


class CdsHooksClient:
    """A CDS client of the services at ``services_url`` (None: of none); its key lives as long as the process."""

    def __init__(self, http: httpx.AsyncClient, fhir: FhirServer, base_url: str, services_url: str | None) -> None:
        self._http = http
        self._fhir = fhir
        self._base_url = base_url
        self._services_url = services_url
        self._key = ECKey.generate_key("P-384", {"use": "sig", "alg": "ES384"}, auto_kid=True)

    @property
    def has_services(self) -> bool:
        """Whether orders can be checked at all."""
        return self._services_url is not None

    def jwks(self) -> dict[str, Any]:
        """Return the public key set, by which services know our JWTs."""
        return {"keys": [self._key.as_dict(private=False)]}

    async def order_sign(self, drafts: Sequence[Resource], *, user: str, patient: str, encounter: str) -> Answer:
        """Ask every service for this hook about the drafts; a service that does not answer is said to have failed."""
        context = {
            "userId": f"Practitioner/{user}",
            "patientId": patient,
            "encounterId": encounter,
            "draftOrders": {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": d} for d in drafts]},
        }
        cards: list[dict[str, Any]] = []
        try:
            for service in await self._services():
                body = {
                    "hook": _HOOK,
                    "hookInstance": str(uuid.uuid4()),
                    "fhirServer": f"{self._base_url}/fhir",
                    "context": context,
                    "prefetch": await self._prefetched(service.get("prefetch", {}), context),
                }
                response = await self._post(service["id"], body)
                if response.status_code != 200:
                    return Answer(failure=f"The service answered {response.status_code}: the order was not checked.")
                cards += [{**card, "service": service["id"]} for card in response.json()["cards"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return Answer(failure="The service could not be reached or understood: the order was not checked.")
        return Answer(tuple(cards))

    async def feedback(self, service: str, item: dict[str, Any]) -> bool:
        """Say what became of a card; return whether the service took it."""
        stamped = {**item, "outcomeTimestamp": datetime.now(UTC).isoformat(timespec="seconds")}
        try:
            return (await self._post(f"{service}/feedback", {"feedback": [stamped]})).status_code == 200
        except httpx.HTTPError:
            return False

    async def _services(self) -> list[dict[str, Any]]:
        response = await self._http.get(str(self._services_url), timeout=_TIMEOUT_S)
        listed: list[dict[str, Any]] = response.raise_for_status().json()["services"]
        return [one for one in listed if one["hook"] == _HOOK]

    async def _prefetched(self, templates: dict[str, str], context: dict[str, Any]) -> dict[str, Any]:
        """Fill each template and run it; a key whose data cannot be had is left out (CDS Hooks 2.0)."""
        found = {}
        for key, template in templates.items():
            filled = template
            for name, value in context.items():
                if isinstance(value, str):
                    filled = filled.replace(f"{{{{context.{name}}}}}", value)
            path, _, query = filled.partition("?")
            if query and "_count=" not in query:
                query += f"&_count={_WHOLE}"  # a page would be taken for what it is: not the whole
            response = await self._fhir.request("GET", f"/{path}", query=query)
            if response.status_code == 200:
                found[key] = response.json()
        return found

    async def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        url = f"{self._services_url}/{path}"
        now = int(time.time())
        claims = {"iss": self._base_url, "aud": url, "exp": now + _LIFETIME_S, "iat": now, "jti": str(uuid.uuid4())}
        header = {"alg": "ES384", "typ": "JWT", "kid": self._key.kid}
        token = jwt.encode(header, claims, self._key, algorithms=["ES384"])
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return await self._http.post(url, content=json.dumps(body), headers=headers, timeout=_TIMEOUT_S)
