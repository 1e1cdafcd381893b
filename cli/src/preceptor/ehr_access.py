"""The command line as a client of the sandbox EHR: reads over FHIR with a token of its own, discharges by the page."""

import base64
import json
import time
import uuid
from types import TracebackType
from typing import Any, Self

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from service_runtime.secrets import SecretStore
from service_runtime.vault_store import connect_secret_store

from preceptor.openbao.running import vault_settings
from preceptor.suite.registrations import CLI_CLIENT, CLI_SCOPES
from preceptor.suite.settings import SuiteSettings

__all__ = ["EhrAccess", "public_jwk"]

Resource = dict[str, Any]

_KEY = "cli-client-assertion"
_KEY_ID = "preceptor-cli"
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_LIFETIME_S = 120


async def public_jwk(secrets: SecretStore) -> dict[str, str]:
    """Return the public half of the command line's key as a JWK."""
    key = load_pem_public_key((await secrets.public_key_pem(_KEY)).encode())
    assert isinstance(key, EllipticCurvePublicKey)
    numbers = key.public_numbers()
    x, y = (_base64url(number.to_bytes(48, "big")) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-384", "x": x, "y": y, "kid": _KEY_ID, "alg": "ES384", "use": "sig"}


class EhrAccess:
    """A context manager; ``httpx.HTTPError`` leaves its methods as it is."""

    def __init__(self, settings: SuiteSettings) -> None:
        self._secrets = connect_secret_store(vault_settings(settings.openbao, settings.agent_socket, "cli"))
        self._http = httpx.AsyncClient(base_url=settings.ehr_url, timeout=10, trust_env=False)
        self._held: tuple[float, str] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def search(self, resource_type: str, **parameters: str) -> list[Resource]:
        """Return the first page of matches."""
        response = await self._get(f"/fhir/{resource_type}", parameters)
        return [entry["resource"] for entry in response.raise_for_status().json().get("entry", [])]

    async def read(self, reference: str) -> Resource:
        """Return the resource at a relative reference (``Patient/1``)."""
        resource: Resource = (await self._get(f"/fhir/{reference}", {})).raise_for_status().json()
        return resource

    async def has_active_subscription(self) -> bool:
        """Whether some Subscription is active: the one the facade made for discharges."""
        return any(one["status"] == "active" for one in await self.search("Subscription"))

    async def discharge(self, encounter: str) -> None:
        """Discharge the stay as a person does it, by the form of the EHR's page."""
        (await self._http.get("/", follow_redirects=True)).raise_for_status()
        form = {"csrf": self._http.cookies["sandbox_ehr_csrf"]}
        response = await self._http.post(f"/stays/{encounter}/discharge", data=form, follow_redirects=True)
        response.raise_for_status()

    async def _get(self, path: str, parameters: dict[str, str]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {await self._token()}", "Accept": "application/fhir+json"}
        return await self._http.get(path, params=parameters, headers=headers)

    async def _token(self) -> str:
        if self._held is None or time.monotonic() >= self._held[0]:
            discovery = (await self._http.get("/fhir/.well-known/smart-configuration")).raise_for_status().json()
            form = {
                "grant_type": "client_credentials",
                "scope": CLI_SCOPES,
                "client_assertion_type": _ASSERTION_TYPE,
                "client_assertion": await self._assertion(discovery["token_endpoint"]),
            }
            answer = (await self._http.post(discovery["token_endpoint"], data=form)).raise_for_status().json()
            self._held = (time.monotonic() + answer["expires_in"] / 2, answer["access_token"])
        return self._held[1]

    async def _assertion(self, token_url: str) -> str:
        now = int(time.time())
        claims = {"iss": CLI_CLIENT, "sub": CLI_CLIENT, "aud": token_url, "jti": str(uuid.uuid4())}
        parts = ({"alg": "ES384", "typ": "JWT", "kid": _KEY_ID}, claims | {"exp": now + _ASSERTION_LIFETIME_S})
        signing_input = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
        return f"{signing_input}.{_base64url(await self._secrets.sign(_KEY, signing_input.encode()))}"


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
