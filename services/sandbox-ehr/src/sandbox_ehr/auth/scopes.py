"""SMART scopes: both syntaxes, what one covers, and what is left when a client may have less than it asks for."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

__all__ = ["LAUNCH_SCOPES", "OTHER_SCOPES", "ResourceScope", "grant", "resource_scopes"]

Context = Literal["patient", "user", "system"]

LAUNCH_SCOPES = frozenset({"launch", "launch/patient", "launch/encounter"})
OTHER_SCOPES = LAUNCH_SCOPES | {"openid", "fhirUser", "offline_access", "online_access"}
# SMART App Launch 2.2, scopes for FHIR resources: v1 `.read` is v2 `.rs`, `.write` is `.cud`, `.*` is `.cruds`.
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}
# The letters SHALL come in this order, each at most once.
_SYNTAX = re.compile(
    r"(?P<context>patient|user|system)/(?P<type>\*|[A-Z][A-Za-z]+)"
    r"\.(?P<letters>read|write|\*|(?=[cruds])c?r?u?d?s?)(?:\?(?P<query>[^\s]+))?"
)


@dataclass(frozen=True)
class ResourceScope:
    """A scope for FHIR resources; ``query`` narrows it to resources that match these search parameters."""

    context: Context
    resource_type: str
    letters: str
    query: str = ""
    text: str = ""

    @classmethod
    def parse(cls, text: str) -> "ResourceScope | None":
        """Read one scope in v1 or v2 syntax; None when it is not a scope for resources."""
        match = _SYNTAX.fullmatch(text)
        if match is None:
            return None
        letters = _V1.get(match["letters"], match["letters"])
        context: Context = match["context"]  # type: ignore[assignment]  # the expression allows these three
        return cls(context, match["type"], letters, match["query"] or "", text)

    def covers(self, resource_type: str, letter: str) -> bool:
        """Whether the scope speaks of this interaction; its query and patient are the caller's to hold to."""
        return self.resource_type in ("*", resource_type) and letter in self.letters

    def parameters(self) -> list[tuple[str, str]]:
        """The query as search parameters."""
        return parse_qsl(self.query, keep_blank_values=True)

    def within(self, allowed: "ResourceScope") -> "ResourceScope | None":
        """Return what of this scope ``allowed`` permits, spelled as asked for when that is all of it."""
        if self.context != allowed.context:
            return None
        if "*" not in (self.resource_type, allowed.resource_type) and self.resource_type != allowed.resource_type:
            return None
        if self.query and allowed.query and self.query != allowed.query:
            return None
        resource_type = allowed.resource_type if self.resource_type == "*" else self.resource_type
        letters = "".join(letter for letter in self.letters if letter in allowed.letters)
        query = self.query or allowed.query
        if not letters:
            return None
        if (resource_type, letters, query) == (self.resource_type, self.letters, self.query):
            return self
        text = f"{self.context}/{resource_type}.{letters}" + (f"?{query}" if query else "")
        return ResourceScope(self.context, resource_type, letters, query, text)


def grant(requested: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """Return the scopes of ``requested`` that ``allowed`` permits, narrowed where needed, in the order asked for."""
    permitted = list(allowed)
    permitted_resources = resource_scopes(permitted)
    granted: list[str] = []
    for text in requested:
        wanted = ResourceScope.parse(text)
        if wanted is None:
            found = [text] if text in permitted and text in OTHER_SCOPES else []
        else:
            parts = [part for scope in permitted_resources if (part := wanted.within(scope)) is not None]
            found = [text] if any(part is wanted for part in parts) else [part.text for part in parts]
        granted += [scope for scope in found if scope not in granted]
    return granted


def resource_scopes(texts: Iterable[str]) -> list[ResourceScope]:
    """Return the scopes for resources among ``texts``."""
    return [scope for text in texts if (scope := ResourceScope.parse(text)) is not None]
