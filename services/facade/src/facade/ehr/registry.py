"""The EHRs that may call the facade, read from a JSON file that holds no secrets."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

__all__ = ["Ehr", "EhrRegistry", "UnknownEhr"]


def _plain_http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("must be an absolute http(s) URL without user, query and fragment")
    if value.endswith("/"):
        raise ValueError("must be written without a trailing slash")
    return value


_Url = Annotated[str, AfterValidator(_plain_http_url)]


class Ehr(BaseModel):
    """One EHR as registered.

    ``id`` is our short name for it and part of the notification address; ``issuer`` is the value of ``iss`` in a
    launch, compared character by character; ``fhir_base`` is where it is read and written. ``backend_client_id``
    and ``launch_client_id`` are what it knows us as. ``frame_ancestors`` are the origins that may show our page in
    a frame. ``encounter_topic`` is the canonical URL of the topic for finished encounters, ``encounter_filters``
    its filters (``Encounter?class=IMP``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    name: str
    issuer: _Url
    fhir_base: _Url
    backend_client_id: str
    backend_scopes: str
    launch_client_id: str
    launch_scopes: str
    frame_ancestors: tuple[_Url, ...] = ()
    encounter_topic: str
    encounter_filters: tuple[str, ...] = ()


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
