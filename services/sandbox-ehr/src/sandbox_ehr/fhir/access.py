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
        if interaction.letter == "s":
            self._check_search(interaction)
        if interaction.letter in "rs":
            return
        # A granular scope speaks of stored resources; what is being written is not stored yet.
        scopes = [scope for scope in scopes if not scope.query]
        if any(scope.context != "patient" for scope in scopes):
            return
        creates_patient = interaction.resource_type == "Patient" and interaction.letter == "c"
        if not scopes or interaction.by_criteria or interaction.is_patch or creates_patient:
            raise self._refusal(interaction)
        stored = None
        if interaction.resource_id is not None:
            stored = await self._records.read(interaction.resource_type, interaction.resource_id)
        for resource in (stored, interaction.body):
            # Shared resources are everybody's: an app held to one patient may not change them.
            if resource is not None and not self._in_compartment(resource):
                raise self._refusal(interaction)

    def permits(self, resource: Mapping[str, Any], letters: str) -> bool:
        """Whether the token may see this resource by one of ``letters``."""
        return any(
            self._reaches(scope, resource)
            for letter in letters
            for scope in self._scopes(str(resource.get("resourceType")), letter)
        )

    def everything(self, resource_type: str, letter: str) -> bool:
        """Whether some scope allows this on every resource of the type, with no limit to a patient or a query."""
        return any(s.context != "patient" and not s.query for s in self._scopes(resource_type, letter))

    def limits(self, resource_type: str) -> tuple[str | None, list[tuple[str, str]]] | None:
        """Return the patient and the parameters that make a search find just what may be seen.

        None when that cannot be said in one search, because several scopes with different limits apply.
        """
        if self.everything(resource_type, "s"):
            return None, []
        scopes = self._scopes(resource_type, "s")
        if len({(scope.context == "patient", scope.query) for scope in scopes}) != 1:
            return None
        held = scopes[0].context == "patient" and resource_type not in SHARED_TYPES
        return self._token.patient if held else None, scopes[0].parameters()

    def visible(self, body: Any, letters: str, *, exact: bool) -> Any:
        """Return an answer without what the token may not see; ``exact`` says that its total may be told."""
        if not isinstance(body, dict) or body.get("resourceType") != "Bundle":
            return body
        responds = body.get("type") in ("transaction-response", "batch-response")
        entries = body.get("entry", [])
        kept = []
        for entry in entries:
            if self._entry_visible(entry, letters):
                kept.append(entry)
            elif responds:
                # These answers are read by position, so the entry stays and only its resource goes.
                kept.append(self._without_hidden(entry, letters))
        answer = {name: value for name, value in body.items() if name != "entry"}
        if not exact or len(kept) < len(entries):
            answer.pop("total", None)
            links = [link for link in answer.pop("link", []) if link.get("relation") != "last"]
            answer |= {"link": links} if links else {}
        return answer | ({"entry": kept} if kept else {})

    def _without_hidden(self, entry: Mapping[str, Any], letters: str) -> dict[str, Any]:
        resource = entry.get("resource")
        kept = {name: value for name, value in entry.items() if name not in ("resource", "fullUrl")}
        if isinstance(resource, dict) and resource.get("resourceType") == "Bundle":
            return kept | {"resource": self.visible(resource, letters, exact=True)}
        return kept

    def _entry_visible(self, entry: Mapping[str, Any], letters: str) -> bool:
        resource = entry.get("resource")
        if not isinstance(resource, dict):
            # A deletion in a history, or the answer to a write that asked for nothing back.
            request = entry.get("request")
            return not request or self.everything(str(request.get("url")).partition("/")[0], "s")
        if resource.get("resourceType") == "Bundle":  # the answer to a search inside a batch
            return False
        return resource.get("resourceType") in ("OperationOutcome", "Parameters") or self.permits(resource, letters)

    def _check_search(self, interaction: Interaction) -> None:
        if interaction.in_bundle and not self.everything(interaction.resource_type, "s"):
            raise self._refusal(interaction)
        for name, _ in interaction.query:
            # A chain asks about resources of another type, so it needs the right to search those.
            for resource_type in _chained_types(name):
                if not self.everything(resource_type, "s"):
                    raise self._refusal(Interaction(resource_type, "s"))

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
        return resource.get("resourceType") in SHARED_TYPES or self._in_compartment(resource)

    def _in_compartment(self, resource: Mapping[str, Any]) -> bool:
        return self._token.patient is not None and in_compartment(resource, self._token.patient, self._base_url)

    def _refusal(self, interaction: Interaction) -> FhirRefusal:
        needed = f"{interaction.resource_type}.{interaction.letter}"
        challenge = f'Bearer realm="{self._base_url}", error="insufficient_scope"'
        return FhirRefusal(
            403, "forbidden", f"the token has no scope for {needed} on this resource", {"WWW-Authenticate": challenge}
        )


def _chained_types(name: str) -> list[str]:
    """Return the types a search parameter reaches into; ``*`` where it does not say which."""
    if name.startswith("_has:"):
        inner = name.split(":")
        return [inner[1] if len(inner) > 1 else "*", *_chained_types(":".join(inner[3:]))]
    if "." not in name:
        return []
    first, _, rest = name.partition(".")
    _, _, resource_type = first.partition(":")
    return [resource_type or "*", *_chained_types(rest)]
