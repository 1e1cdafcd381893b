"""A token response with its launch context (SMART App Launch 2.2, "Obtain access token" and "Launch context")."""

import json
from typing import Any

from fhir_support.references import InvalidReference, resource_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError

__all__ = ["AppContext", "FhirContextItem", "TokenResponse"]

_MAX_APP_CONTEXT_CHARACTERS = 2048


class AppContext(BaseModel):
    """What a link of our own CDS card asked to be opened: a document, and a flag of it. It is a hint, never a right."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    document: str = Field(min_length=1, max_length=128)
    flag: str | None = Field(default=None, max_length=128)

    @classmethod
    def read(cls, unverified_value: object) -> "AppContext | None":
        """Return what an ``appContext`` (our JSON as a string, or as an object) says, or None when it is not ours."""
        value: object = unverified_value
        if isinstance(value, str):
            if len(value) > _MAX_APP_CONTEXT_CHARACTERS:
                return None
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                return None
        try:
            return cls.model_validate(value)
        except ValidationError:
            return None


class FhirContextItem(BaseModel):
    """One further resource that is open in the EHR; items without a literal reference are of no use here."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    reference: str | None = None
    role: str = "launch"


class TokenResponse(BaseModel):
    """The members that we use; an unknown one is ignored, as RFC 6749 (5.1) says."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    access_token: str = Field(min_length=1)
    token_type: str
    expires_in: int = Field(default=300, gt=0)
    scope: str
    id_token: str | None = None
    refresh_token: str | None = None
    patient: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.-]{1,64}$")
    encounter: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.-]{1,64}$")
    need_patient_banner: bool = True
    fhir_context: tuple[FhirContextItem, ...] = Field(default=(), alias="fhirContext", max_length=50)
    app_context: Any = Field(default=None, alias="appContext")

    def open_resources(self, fhir_base: str) -> tuple[str, ...]:
        """Return the references of ``fhirContext`` that are of this EHR, relative; others are not followed."""
        found = []
        for item in self.fhir_context:
            try:
                found.append(resource_key(item.reference or "", fhir_base).reference)
            except InvalidReference:
                continue
        return tuple(found)
