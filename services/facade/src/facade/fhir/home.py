"""Whose a reference is: ours, the EHR's, or somebody else's; each resource has exactly one canonical name."""

import re
from dataclasses import dataclass
from functools import lru_cache

from fhir_support.references import InvalidReference, resource_key

from facade.fhir.served import is_served

__all__ = ["Home"]

_REMEMBERED_LENGTH = 256
_BARE_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Home:
    """One tenant: its EHR's FHIR base, and the bases under which it knows this server."""

    ehr_id: str
    ehr_base: str
    bases: tuple[str, ...]

    def canonical(self, reference: str) -> str:
        """Return the canonical name of what ``reference`` names, without its version.

        Ours: ``Composition/ID``. The EHR's: ``Patient/ID``, with its base before it where the type is one we serve.
        A relative reference is ours when we serve the type, else the EHR's; anything else is itself.
        """
        canonical = _canonical if len(reference) <= _REMEMBERED_LENGTH else _canonical.__wrapped__
        return canonical(self, reference)

    def patient(self, unverified: object) -> str | None:
        """Return ``Patient/ID`` for a patient named by id or reference, or None when it is neither."""
        if not isinstance(unverified, str):
            return None
        if _BARE_ID.fullmatch(unverified):
            return f"Patient/{unverified}"
        canonical = self.canonical(unverified)
        kind, _, identifier = canonical.partition("/")
        return canonical if kind == "Patient" and _BARE_ID.fullmatch(identifier) else None


@lru_cache(maxsize=2048)  # the same references come many times: to index, to limit, to audit
def _canonical(home: Home, reference: str) -> str:
    is_absolute = reference.startswith(("http://", "https://"))
    for base in home.bases:
        try:
            return resource_key(reference, base if is_absolute else home.ehr_base).reference
        except InvalidReference:
            continue
    try:
        key = resource_key(reference, home.ehr_base)
    except InvalidReference:
        return reference
    return f"{home.ehr_base}/{key.reference}" if is_served(key.resource_type) else key.reference
