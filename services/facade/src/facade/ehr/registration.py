"""What an administrator says of an EHR: who it is, what it knows us as, and where its parts are."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from facade.ehr.origins import origin_of, registered_origin, registered_url

__all__ = ["AccessTokens", "CdsClient", "ClientType", "Ehr", "SigningAlgorithm"]

_Url = Annotated[str, AfterValidator(registered_url)]
_Origin = Annotated[str, AfterValidator(registered_origin)]


class ClientType(StrEnum):
    """How a client proves itself to a token endpoint (SMART App Launch 2.2, "Client Authentication")."""

    PUBLIC = "public"
    SYMMETRIC = "confidential-symmetric"
    ASYMMETRIC = "confidential-asymmetric"


class SigningAlgorithm(StrEnum):
    """The two algorithms that every SMART server must know at least one of."""

    ES384 = "ES384"
    RS384 = "RS384"


class _Registered(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CdsClient(_Registered):
    """Who may call our CDS services: the ``iss`` of its JWTs, compared exactly, and where its keys are."""

    issuer: Annotated[str, Field(min_length=1)]
    jwks_uri: _Url


class AccessTokens(_Registered):
    """Who issues the access tokens for our own FHIR server, and how one is checked.

    By its signature with the keys at ``jwks_uri``, or by asking ``introspection_endpoint`` (RFC 7662) as
    ``introspection_client_id``; where both are given, by both.
    """

    issuer: Annotated[str, Field(min_length=1)]
    jwks_uri: _Url | None = None
    introspection_endpoint: _Url | None = None
    introspection_client_id: str | None = None

    @model_validator(mode="after")
    def _can_be_checked(self) -> Self:
        if (self.introspection_endpoint is None) != (self.introspection_client_id is None):
            raise ValueError("introspection needs both its endpoint and our client id there")
        if self.jwks_uri is None and self.introspection_endpoint is None:
            raise ValueError("a token must be checked by jwks_uri or introspection_endpoint")
        return self


class Ehr(_Registered):
    """One EHR as registered.

    ``id`` is our short name for it and part of the notification address; ``issuer`` is the value of ``iss`` in a
    launch, compared character by character; ``fhir_base`` is where it is read and written. ``backend_client_id``
    and ``launch_client_id`` are what it knows us as, ``launch_client_type`` how the launched app proves itself,
    ``signing_algorithm`` what our assertions are signed with, ``assertion_jku`` whether they name our key set (only
    where the EHR was given its address). ``frame_ancestors`` are the origins that may show our
    page in a frame. ``encounter_topic`` is the canonical URL of the topic for finished encounters,
    ``encounter_filters`` its filters (``Encounter?class=IMP``). ``origins`` are further origins that may be
    connected to for this EHR: its authorization server, its keys. ``cds_clients`` may call our CDS services and
    ``access_tokens`` open our FHIR server; without them nobody of this EHR can.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    name: str
    issuer: _Url
    fhir_base: _Url
    backend_client_id: str
    backend_scopes: str
    launch_client_id: str
    launch_scopes: str
    launch_client_type: ClientType = ClientType.ASYMMETRIC
    signing_algorithm: SigningAlgorithm = SigningAlgorithm.ES384
    assertion_jku: bool = False
    frame_ancestors: tuple[_Origin, ...] = ()
    origins: tuple[_Origin, ...] = ()
    cds_clients: tuple[CdsClient, ...] = ()
    access_tokens: AccessTokens | None = None
    encounter_topic: str
    encounter_filters: tuple[str, ...] = ()

    @property
    def allowed_origins(self) -> frozenset[str]:
        """Every origin that this registration lets us connect to."""
        urls = [self.issuer, self.fhir_base, *self.origins, *(client.jwks_uri for client in self.cds_clients)]
        if self.access_tokens is not None:
            urls += [url for url in (self.access_tokens.jwks_uri, self.access_tokens.introspection_endpoint) if url]
        return frozenset(origin_of(url) for url in urls)
