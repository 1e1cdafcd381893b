"""Checks an id_token (OpenID Connect Core, 3.1.3.7) and reads which clinician it names."""

import time
from typing import Any

from fhir_support.references import InvalidReference, resource_key
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from facade.smart.errors import IdentityRefused

__all__ = ["verify_id_token"]

# Asymmetric ones only: with a MAC, whoever knows the public key could sign.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
_LEEWAY_S = 60
_CLINICIANS = frozenset({"Practitioner", "PractitionerRole"})


def verify_id_token(
    unverified_token: str,
    key_set: dict[str, Any],
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    fhir_base: str,
    now: float | None = None,
) -> str:
    """Return ``fhirUser`` as a relative reference; raise ``IdentityRefused``.

    Signature by a key of ``key_set``, ``iss``, ``aud`` (we alone, or named as ``azp``), ``exp``, ``iat`` and
    ``nonce`` must all be right, and ``fhirUser`` a clinician of the EHR at ``fhir_base``.
    """
    moment = int(time.time() if now is None else now)
    try:
        keys = KeySet.import_key_set({"keys": [key for key in key_set.get("keys", []) if _may_sign(key)]})
        token = jwt.decode(unverified_token, keys, algorithms=_ALGORITHMS)
        jwt.JWTClaimsRegistry(
            now=moment,
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": issuer},
            sub={"essential": True},
            aud={"essential": True, "value": client_id},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(token.claims)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise IdentityRefused(f"id-token-{type(error).__name__}") from None
    audience = token.claims["aud"]
    several = isinstance(audience, list) and len(audience) > 1
    if (several or "azp" in token.claims) and token.claims.get("azp") != client_id:
        raise IdentityRefused("id-token-azp")
    return _clinician(token.claims.get("fhirUser"), fhir_base)


def _may_sign(key: object) -> bool:
    return isinstance(key, dict) and key.get("kty") in ("RSA", "EC") and key.get("use", "sig") == "sig"


def _clinician(unverified_reference: object, fhir_base: str) -> str:
    if not isinstance(unverified_reference, str):
        raise IdentityRefused("fhir-user-missing")
    try:
        key = resource_key(unverified_reference, fhir_base)
    except InvalidReference:
        raise IdentityRefused("fhir-user-elsewhere") from None
    if key.resource_type not in _CLINICIANS:
        raise IdentityRefused("fhir-user-not-a-clinician", "Only a clinician can review and sign documents here.")
    return key.reference
