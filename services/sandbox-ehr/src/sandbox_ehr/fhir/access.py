"""Decides by the scopes of a token what of a request and of its answer is allowed."""

from collections.abc import Mapping
from typing import Any, Protocol

from sandbox_ehr.auth.scopes import ResourceScope
from sandbox_ehr.auth.tokens import AccessToken
from sandbox_ehr.fhir.compartment import SHARED_TYPES, in_compartment
from sandbox_ehr.fhir.interactions import Interaction
from sandbox_ehr.fhir.outcome import FhirRefusal

__all__ = ["Access", "Records"]

# Subscriptions hold the secrets of their receivers; they are an affair between systems.
_SYSTEM_ONLY = frozenset({"Subscription"})


class Records(Protocol):
    """What a decision needs to know of the stored resources."""

    async def read(self, resource_type: str, resource_id: str) -> dict[str, Any] | None:
        """Return the stored resource."""
        ...

    def matches(self, resource: dict[str, Any], query: list[tuple[str, str]]) -> bool:
        """Whether a stored resource meets search parameters."""
        ...


class Access:
    """The decisions for one token."""

    def __init__(self, token: AccessToken, records: Records, base_url: str) -> None:
        self._token = token
        self._records = records
        self._base_url = base_url

    async def check(self, interaction: Interaction) -> None:
        """Refuse an interaction the token may not do on any resource, or a write that touches a wrong one."""
        scopes = self._scopes(interaction.resource_type, interaction.letter)
        if not scopes:
            raise self._refusal(interaction)
        if interaction.letter in "rs":
            return
        # A granular scope speaks of stored resources; what is being written is not stored yet.
        scopes = [scope for scope in scopes if not scope.query]
        if any(scope.context != "patient" for scope in scopes):
            return
        if not scopes or interaction.by_criteria or interaction.is_patch:
            raise self._refusal(interaction)
        stored = None
        if interaction.resource_id is not None:
            stored = await self._records.read(interaction.resource_type, interaction.resource_id)
        for resource in (stored, interaction.body):
            if resource is not None and not self._about_the_patient(resource):
                raise self._refusal(interaction)

    def permits(self, resource: Mapping[str, Any], letters: str) -> bool:
        """Whether the token may see this resource by one of ``letters``."""
        return any(
            self._reaches(scope, resource)
            for letter in letters
            for scope in self._scopes(str(resource.get("resourceType")), letter)
        )

    def searches_one_patient(self, resource_type: str) -> str | None:
        """Return the patient when every scope for searching this type is held to that patient."""
        scopes = self._scopes(resource_type, "s")
        held = all(scope.context == "patient" for scope in scopes)
        return self._token.patient if held and resource_type not in SHARED_TYPES else None

    def visible(self, body: Any, letters: str) -> Any:
        """Return a copy of an answer without the resources the token may not see."""
        if not isinstance(body, dict) or body.get("resourceType") != "Bundle":
            return body
        entries = body.get("entry", [])
        kept = [entry for entry in entries if self._entry_visible(entry, letters)]
        if len(kept) == len(entries):
            return body
        answer = {name: value for name, value in body.items() if name not in ("entry", "total")}
        return answer | ({"entry": kept} if kept else {})

    def _entry_visible(self, entry: Mapping[str, Any], letters: str) -> bool:
        resource = entry.get("resource")
        if not isinstance(resource, dict):
            return True
        if resource.get("resourceType") == "Bundle":  # the answer to a search inside a batch
            nested = self.visible(resource, letters)
            return len(nested.get("entry", [])) == len(resource.get("entry", []))
        return resource.get("resourceType") in ("OperationOutcome", "Parameters") or self.permits(resource, letters)

    def _scopes(self, resource_type: str, letter: str) -> list[ResourceScope]:
        found = [s for s in self._token.resource_scopes if s.covers(resource_type, letter)]
        if resource_type == "*":
            found = [s for s in found if s.resource_type == "*" and not s.query]
        if resource_type in _SYSTEM_ONLY:
            found = [s for s in found if s.context == "system"]
        return [s for s in found if s.context != "patient" or self._token.patient]

    def _reaches(self, scope: ResourceScope, resource: Mapping[str, Any]) -> bool:
        if scope.context == "patient" and not self._about_the_patient(resource):
            return False
        return not scope.query or self._records.matches(dict(resource), scope.parameters())

    def _about_the_patient(self, resource: Mapping[str, Any]) -> bool:
        if resource.get("resourceType") in SHARED_TYPES:
            return True
        return self._token.patient is not None and in_compartment(resource, self._token.patient, self._base_url)

    def _refusal(self, interaction: Interaction) -> FhirRefusal:
        needed = f"{interaction.resource_type}.{interaction.letter}"
        challenge = f'Bearer realm="{self._base_url}", error="insufficient_scope"'
        return FhirRefusal(
            403, "forbidden", f"the token has no scope for {needed} on this resource", {"WWW-Authenticate": challenge}
        )
