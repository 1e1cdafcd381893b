"""Discovery: the SMART configuration, the OpenID configuration and the key set."""

from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from sandbox_ehr.auth.client_authentication import ASSERTION_ALGORITHMS
from sandbox_ehr.auth.tokens import Tokens

__all__ = ["discovery_routes", "smart_configuration"]

# What any origin may read (SMART App Launch 2.2, considerations for CORS).
_HEADERS = {"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=300"}
_CAPABILITIES = (
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "context-standalone-encounter",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
)
_SCOPES = (
    "openid",
    "fhirUser",
    "launch",
    "launch/patient",
    "launch/encounter",
    "offline_access",
    "online_access",
    "patient/*.cruds",
    "user/*.cruds",
    "system/*.cruds",
)


def smart_configuration(base_url: str) -> dict[str, Any]:
    """Return the document at ``{FHIR base}/.well-known/smart-configuration``."""
    return {
        "issuer": f"{base_url}/fhir",
        "jwks_uri": f"{base_url}/auth/jwks",
        "authorization_endpoint": f"{base_url}/auth/authorize",
        "token_endpoint": f"{base_url}/auth/token",
        "introspection_endpoint": f"{base_url}/auth/introspect",
        "revocation_endpoint": f"{base_url}/auth/revoke",
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "response_types_supported": ["code"],
        "scopes_supported": list(_SCOPES),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "capabilities": list(_CAPABILITIES),
    }


def discovery_routes(base_url: str, tokens: Tokens) -> list[HTTPRouteHandler]:
    """Return the handlers; each answers JSON whatever the Accept header says."""
    smart = smart_configuration(base_url)
    openid = {
        name: smart[name]
        for name in (
            "issuer",
            "jwks_uri",
            "authorization_endpoint",
            "token_endpoint",
            "scopes_supported",
            "response_types_supported",
            "grant_types_supported",
            "token_endpoint_auth_methods_supported",
            "token_endpoint_auth_signing_alg_values_supported",
        )
    } | {
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "nonce", "fhirUser"],
    }

    @get("/fhir/.well-known/smart-configuration")
    async def smart_configuration_route() -> Response[dict[str, Any]]:
        """SMART discovery."""
        return Response(smart, headers=_HEADERS, media_type="application/json")

    @get("/fhir/.well-known/openid-configuration")
    async def openid_configuration() -> Response[dict[str, Any]]:
        """OpenID Connect discovery; the issuer is the FHIR base."""
        return Response(openid, headers=_HEADERS, media_type="application/json")

    @get("/auth/jwks")
    async def jwks() -> Response[dict[str, Any]]:
        """The public keys of tokens."""
        return Response(tokens.jwks(), headers=_HEADERS, media_type="application/json")

    return [smart_configuration_route, openid_configuration, jwks]
