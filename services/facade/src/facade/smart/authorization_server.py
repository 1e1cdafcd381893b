"""What a launch asks of an EHR's authorization server: where to go, tokens for a code, and whose keys are whose."""

import httpx
from pydantic import ValidationError
from service_runtime.secrets import SecretError

from facade.ehr.asking import AskFailed, ServerRefused, ServerSilent, ask
from facade.ehr.client_authentication import ClientAuthentication
from facade.ehr.discovery import Discovery, SmartConfiguration
from facade.ehr.registry import Ehr
from facade.jwt_keys import KeySetUnavailable, RemoteKeySets, UnknownKey
from facade.smart.errors import EhrRefused, EhrUnavailable, IdentityRefused, LaunchRefused
from facade.smart.id_token import unverified_key_id, verify_id_token
from facade.smart.token_response import TokenResponse

__all__ = ["AuthorizationServer"]


class AuthorizationServer:
    """Speaks to the authorization servers of registered EHRs; what goes wrong is a ``LaunchRefused``."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        discovery: Discovery,
        authentication: ClientAuthentication,
        key_sets: RemoteKeySets,
    ) -> None:
        self._http = http
        self._discovery = discovery
        self._authentication = authentication
        self._key_sets = key_sets

    async def configuration(self, ehr: Ehr) -> SmartConfiguration:
        """Return the SMART configuration of an EHR that can be launched from."""
        try:
            configuration = await self._discovery.smart(ehr)
        except AskFailed as error:
            raise _refused(error) from None
        if configuration.authorization_endpoint is None:
            raise EhrRefused("smart-configuration-incomplete")
        if "S256" not in configuration.code_challenge_methods_supported:
            raise EhrRefused("pkce-s256-not-supported")
        return configuration

    async def exchange(self, ehr: Ehr, token_endpoint: str, form: dict[str, str]) -> TokenResponse:
        """Send a token request with a fresh proof of who we are."""
        try:
            proof = await self._authentication.launch(ehr, token_endpoint)
        except SecretError:
            raise EhrUnavailable("client-secret-unavailable") from None
        try:
            answer = await ask(self._http, "POST", token_endpoint, form={**form, **proof.form}, headers=proof.headers)
        except AskFailed as error:
            raise _refused(error) from None
        try:
            response = TokenResponse.model_validate(answer)
        except ValidationError:
            raise EhrRefused("token-response-incomplete") from None
        if response.token_type.lower() != "bearer":
            raise EhrRefused("token-type-unknown")
        return response

    async def clinician(self, ehr: Ehr, issuer: str, id_token: str | None, nonce: str, now: float) -> str:
        """Return who signs in, as a relative reference, after every check of the id_token."""
        if id_token is None:
            raise IdentityRefused(
                "id-token-missing", "The EHR did not grant openid and fhirUser, so it did not say who you are."
            )
        try:
            jwks_uri = await self._discovery.openid_keys(ehr, issuer)
            key = await self._key_sets.key(jwks_uri, unverified_key_id(id_token))
        except ServerSilent as error:
            raise EhrUnavailable(error.reason) from None
        except AskFailed as error:
            raise IdentityRefused(error.reason) from None
        except KeySetUnavailable:
            raise EhrUnavailable("openid-keys-unavailable") from None
        except UnknownKey:
            raise IdentityRefused("id-token-key-unknown") from None
        return verify_id_token(
            id_token,
            key,
            issuer=issuer,
            client_id=ehr.launch_client_id,
            nonce=nonce,
            fhir_base=ehr.fhir_base,
            now=now,
        )


def _refused(error: AskFailed) -> LaunchRefused:
    return EhrRefused(error.reason) if isinstance(error, ServerRefused) else EhrUnavailable(error.reason)
