"""What we write to an EHR, as resources of our own server: our ids, our references, and the EHR's made absolute."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from fhir_support.r4 import validated
from fhir_support.references import InvalidReference, resource_key
from service_contracts.drafts import ModelIdentity
from sqlalchemy.ext.asyncio import AsyncSession

from facade.ehr.registry import EhrRegistry
from facade.resources.composition import urn
from facade.resources.ids import resource_id
from facade.resources.provenance import device_id
from facade.resources.transaction import Transaction
from facade.store.documents import StoredDocument
from facade.store.resource_writing import Prepared
from facade.store.resources import Resources

__all__ = ["Results", "own_resources"]

_DEVICE = "device"


def own_resources(
    transaction: Transaction,
    *,
    document_id: str,
    ehr_base: str,
    model: ModelIdentity | None = None,
    written: Mapping[str, str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield the resources of ``transaction`` as they stand on our own server.

    Each is called by the name it has in the document (``resource_id``), a Device by its model. References between
    them, by ``urn:uuid`` or as the EHR ``written`` them, become relative; every other is made absolute with
    ``ehr_base``, so that it resolves wherever it is read.
    """
    entries = list(zip(transaction.names, transaction.bundle["entry"], strict=True))
    ids = {name: resource_id(document_id, name) for name in (*transaction.names, *(written or {}))}
    if model is not None:
        ids[_DEVICE] = device_id(model)
    ours: dict[str, str] = {}
    for name, reference in (written or {}).items():
        own = f"{reference.partition('/')[0]}/{ids[name]}"
        ours |= {reference: own, urn(document_id, name): own}
    for name, entry in entries:
        ours[entry["fullUrl"]] = f"{entry['resource']['resourceType']}/{ids[name]}"
    for name, entry in entries:
        yield {**_moved(entry["resource"], ours, ehr_base), "id": ids[name]}


def _moved(value: Any, ours: Mapping[str, str], ehr_base: str) -> Any:
    if isinstance(value, list):
        return [_moved(one, ours, ehr_base) for one in value]
    if not isinstance(value, dict):
        return value
    moved = {name: _moved(one, ours, ehr_base) for name, one in value.items()}
    # DetectedIssue has an element called reference that is a URI and no Reference.
    if isinstance(value.get("reference"), str) and "resourceType" not in value:
        moved["reference"] = _reference(value["reference"], ours, ehr_base)
    return moved


def _reference(reference: str, ours: Mapping[str, str], ehr_base: str) -> str:
    if reference in ours:
        return ours[reference]
    try:
        key = resource_key(reference, ehr_base)
    except InvalidReference:
        return reference  # not a literal reference, or one to yet another server: it is as absolute as it can be
    if key.reference in ours:
        return ours[key.reference]
    version = f"/_history/{key.version}" if key.version else ""
    return f"{ehr_base}/{key.reference}{version}"


class Results:
    """Puts what is written to an EHR into our own store, in the transaction that keeps it otherwise."""

    def __init__(self, resources: Resources, ehrs: EhrRegistry) -> None:
        self._resources = resources
        self._ehrs = ehrs

    async def of_document(self, stored: StoredDocument, transaction: Transaction, *, at: datetime) -> list[Prepared]:
        """Return what a transaction of a document adds to our store; may call the secret store."""
        base = self._ehrs.get(stored.ehr_id).fhir_base
        resources = own_resources(
            transaction,
            document_id=stored.id,
            ehr_base=base,
            model=stored.document.model,
            written=stored.written,
        )
        return [await self._prepare(stored.ehr_id, one, stored.patient, at) for one in resources]

    async def of_failure(
        self, ehr_id: str, document_id: str, patient: str, transaction: Transaction, *, at: datetime
    ) -> list[Prepared]:
        """Return what the news that there is no document adds to our store; may call the secret store."""
        base = self._ehrs.get(ehr_id).fhir_base
        resources = own_resources(transaction, document_id=document_id, ehr_base=base)
        return [await self._prepare(ehr_id, one, patient, at) for one in resources]

    async def add(self, session: AsyncSession, prepared: Sequence[Prepared]) -> None:
        """Add them inside a transaction."""
        await self._resources.add_all(session, prepared)

    async def _prepare(self, ehr_id: str, resource: dict[str, Any], patient: str, at: datetime) -> Prepared:
        return await self._resources.prepare(ehr_id, validated(resource), patient=patient, at=at)
