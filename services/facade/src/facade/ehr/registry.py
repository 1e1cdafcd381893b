"""The EHRs that may call the facade, read from a JSON file that holds no secrets."""

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter

from facade.ehr.registration import AccessTokens, CdsClient, ClientType, Ehr, SigningAlgorithm

__all__ = ["AccessTokens", "CdsClient", "ClientType", "Ehr", "EhrRegistry", "SigningAlgorithm", "UnknownEhr"]


class UnknownEhr(LookupError):
    """No EHR is registered under that id or issuer."""


class EhrRegistry:
    """The registered EHRs; ids and issuers are unique."""

    def __init__(self, ehrs: tuple[Ehr, ...]) -> None:
        self._by_id = {ehr.id: ehr for ehr in ehrs}
        self._by_issuer = {ehr.issuer: ehr for ehr in ehrs}
        if len(self._by_id) != len(ehrs) or len(self._by_issuer) != len(ehrs):
            raise ValueError("two EHRs share an id or an issuer")

    @classmethod
    def from_file(cls, path: Path) -> "EhrRegistry":
        """Read a JSON array of ``Ehr`` objects; raise ``ValueError`` when it is not one."""
        return cls(TypeAdapter(tuple[Ehr, ...]).validate_python(json.loads(path.read_text())))

    def __iter__(self) -> Iterator[Ehr]:
        return iter(self._by_id.values())

    @property
    def origins(self) -> dict[str, str]:
        """Every origin that may be connected to, with the id of the EHR (the first, where two share one)."""
        return {origin: ehr.id for ehr in reversed(self._by_id.values()) for origin in ehr.allowed_origins}

    def get(self, ehr_id: str) -> Ehr:
        """Return the EHR called ``ehr_id``; raise ``UnknownEhr``."""
        try:
            return self._by_id[ehr_id]
        except KeyError:
            raise UnknownEhr(ehr_id) from None

    def by_issuer(self, unverified_issuer: str) -> Ehr:
        """Return the EHR whose issuer is exactly ``unverified_issuer``; raise ``UnknownEhr``."""
        try:
            return self._by_issuer[unverified_issuer]
        except KeyError:
            raise UnknownEhr("issuer") from None
