"""Checks an id_token (OpenID Connect Core, 3.1.3.7) and reads which clinician it names."""

import base64
import json
import time
from typing import Any

from fhir_support.references import InvalidReference, resource_key
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from facade.jwt_keys import VerificationKey
from facade.smart.errors import IdentityRefused

__all__ = ["unverified_key_id", "verify_id_token"]

# Asymmetric ones only, each with the one kind of key it is for: with a MAC, whoever knows the public key could sign.
_ALGORITHMS: dict[str, type[RSAKey] | type[ECKey]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSAKey),
    **dict.fromkeys(("ES256", "ES384", "ES512"), ECKey),
}
_LEEWAY_S = 60
_LONGEST_LIFE_S = 86_400
_MAX_CHARACTERS = 16_384
_CLINICIANS = frozenset({"Practitioner", "PractitionerRole"})
# Where a header would bring or point to a key of its own, or ask for something that is not known here.
_FORBIDDEN_HEADERS = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip"})


def unverified_key_id(unverified_token: str) -> str | None:
    """Return the ``kid`` of a token's header, None when it has none; raise ``IdentityRefused`` for what is no token."""
    kid = _header(unverified_token).get("kid")
    if kid is not None and not isinstance(kid, str):
        raise IdentityRefused("id-token-kid")
    return kid


def verify_id_token(
    unverified_token: str,
    key: VerificationKey,
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    fhir_base: str,
    now: float | None = None,
) -> str:
    """Return ``fhirUser`` as a relative reference; raise ``IdentityRefused``.

    ``key`` is the issuer's key that the token names. Signature, ``iss``, ``aud`` (we alone, or named as ``azp``),
    ``exp``, ``iat`` and ``nonce`` must all be right, and ``fhirUser`` a clinician of the EHR at ``fhir_base``.
    """
    moment = int(time.time() if now is None else now)
    header = _header(unverified_token)
    algorithm = header.get("alg")
    kind = _ALGORITHMS.get(algorithm) if isinstance(algorithm, str) else None
    if kind is None or not isinstance(key, kind) or _FORBIDDEN_HEADERS & header.keys():
        raise IdentityRefused("id-token-header")
    if key.get("alg") not in (None, algorithm):
        raise IdentityRefused("id-token-algorithm-of-another-key")
    try:
        claims = jwt.decode(unverified_token, key, algorithms=[str(algorithm)]).claims
        jwt.JWTClaimsRegistry(
            now=moment,
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": issuer},
            sub={"essential": True},
            aud={"essential": True, "value": client_id},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(claims)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise IdentityRefused(f"id-token-{type(error).__name__}") from None
    # The registry takes a list that holds the value for the value.
    if (claims["iss"], claims["nonce"]) != (issuer, nonce) or not isinstance(claims["sub"], str):
        raise IdentityRefused("id-token-claim-type")
    if claims["exp"] - moment > _LONGEST_LIFE_S or moment - claims["iat"] > _LONGEST_LIFE_S:
        raise IdentityRefused("id-token-lifetime")
    audience = claims["aud"]
    several = isinstance(audience, list) and len(audience) > 1
    if (several or "azp" in claims) and claims.get("azp") != client_id:
        raise IdentityRefused("id-token-azp")
    return _clinician(claims.get("fhirUser"), fhir_base)


def _header(unverified_token: str) -> dict[str, Any]:
    if len(unverified_token) > _MAX_CHARACTERS or not unverified_token.isascii():
        raise IdentityRefused("id-token-size")
    encoded = unverified_token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise IdentityRefused("id-token-malformed")
    return header


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
