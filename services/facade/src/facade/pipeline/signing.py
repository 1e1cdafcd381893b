"""Signing: a clinician's signature makes the document final, in the EHR first and then here.

SigningError
├── NotYetWritten    the EHR does not have the draft yet: try again in a moment
├── AlreadySigned    somebody else has signed it
├── ChangedInEhr     the EHR's copy is not the one that was reviewed
└── EhrNotAnswering  the EHR could not be asked or refused; signing again is safe

Before the transaction is sent, what is being signed is kept here. When the process dies after the EHR has accepted
it, the next attempt finds the signature in the EHR, compares the text, and only makes the local document final.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from weakref import WeakValueDictionary

from fhir_support.client import FhirClient, FhirClientError, FhirNotFound, FhirVersionConflict
from fhir_support.identifiers import EFFECT_TAG
from fhir_support.r4 import ResourceInvalid
from service_contracts.reconciliation import Section
from service_runtime.log import LogCode, log
from sqlalchemy.ext.asyncio import AsyncSession

from facade.decisions import corrected_sections, undecided_flags
from facade.ehr.connections import EhrConnections
from facade.ehr.registry import EhrRegistry
from facade.fhir.results import Results
from facade.pipeline.keeping import audit_parties
from facade.resources.composition import urn
from facade.resources.detected_issue import issue_name
from facade.resources.ids import resource_id
from facade.resources.narrative import plain_text
from facade.resources.signing import Signer, UndecidedFlags, sign_transaction
from facade.resources.transaction import Transaction
from facade.store.documents import Documents, DocumentStatus, Signature, StoredDocument, UnknownDocument

__all__ = [
    "AlreadySigned",
    "ChangedInEhr",
    "EhrNotAnswering",
    "NotYetWritten",
    "Signer",
    "Signing",
    "SigningError",
    "UndecidedFlags",
    "UnknownDocument",
]


class SigningError(Exception):
    """The document was not signed."""


class NotYetWritten(SigningError):
    """The EHR does not have the draft yet."""


class AlreadySigned(SigningError):
    """Somebody else has signed it."""


class ChangedInEhr(SigningError):
    """The EHR's copy was changed after the draft was written."""


class EhrNotAnswering(SigningError):
    """The EHR could not be asked, or refused."""


class Signing:
    """Signs documents with the facade's own access and in the clinician's name."""

    def __init__(
        self,
        *,
        ehrs: EhrRegistry,
        connections: EhrConnections,
        documents: Documents,
        results: Results,
        public_base_url: str,
    ) -> None:
        self._ehrs = ehrs
        self._connections = connections
        self._documents = documents
        self._results = results
        self._public_base_url = public_base_url
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def sign(
        self,
        ehr_id: str,
        encounter: str,
        *,
        signer: Signer,
        sections: Sequence[Section] | None,
        request_id: str,
    ) -> StoredDocument:
        """Make the document final and return it; the same signer signing again changes nothing.

        ``sections`` is the text to sign; None means the draft with every decision applied. Raises
        ``UnknownEhr``, ``UnknownDocument``, ``UndecidedFlags`` and the ``SigningError`` family.
        """
        lock = self._locks.setdefault((ehr_id, encounter), asyncio.Lock())
        async with lock:
            return await self._sign(ehr_id, encounter, signer, sections, request_id)

    async def _sign(
        self, ehr_id: str, encounter: str, signer: Signer, sections: Sequence[Section] | None, request_id: str
    ) -> StoredDocument:
        ehr = self._ehrs.get(ehr_id)
        stored = await self._documents.get(ehr_id, encounter)
        if stored is None:
            raise UnknownDocument("no document for this encounter")
        client = self._connections.client(ehr_id)
        try:
            if stored.status is not DocumentStatus.FINAL and stored.signature is not None:
                stored = await self._heal(client, stored, stored.signature)
            if stored.status is DocumentStatus.FINAL:
                if stored.signature is None or stored.signature.signer != signer.reference:
                    raise AlreadySigned
                return stored
            if undecided_flags(stored.document, stored.decisions):
                raise UndecidedFlags("a flag is undecided")
            current = await self._current(client, stored)
            text = tuple(sections if sections is not None else corrected_sections(stored.document, stored.decisions))
            now = datetime.now(UTC)
            transaction = sign_transaction(
                stored,
                sections=text,
                signer=signer,
                current=current,
                parties=audit_parties(ehr, self._public_base_url),
                request_id=request_id,
                signed_at=now,
            )
            await self._documents.begin_signature(
                ehr_id, encounter, Signature(signer.reference, signer.display, text, now)
            )
            alongside = await self._alongside(stored, transaction, now)
            await client.transaction(transaction.bundle)
        except FhirVersionConflict:
            raise ChangedInEhr from None
        except FhirClientError as error:
            log(LogCode.REQUEST_FAILED, ehr=ehr_id, stage="signing", error_type=type(error).__name__)
            raise EhrNotAnswering from None
        except (ResourceInvalid, KeyError) as error:
            log(LogCode.REQUEST_FAILED, ehr=ehr_id, stage="signing", error_type=type(error).__name__)
            raise ChangedInEhr from None
        signed = await self._documents.mark_final(ehr_id, encounter, text, alongside)
        log(LogCode.DOCUMENT_SIGNED, ehr=ehr_id, flags=len(stored.document.flags))
        return signed

    async def _current(self, client: FhirClient, stored: StoredDocument) -> dict[str, dict[str, Any]]:
        """Read what is about to be replaced; raise ``ChangedInEhr`` when it is not what we wrote."""
        names = ["composition", "document-reference", *(issue_name(flag.id) for flag in stored.document.flags)]
        if not stored.written:
            raise NotYetWritten
        try:
            resources = await asyncio.gather(*(client.read(stored.written[name]) for name in names))
        except FhirNotFound:
            raise ChangedInEhr from None
        for name, resource in zip(names, resources, strict=True):
            written_version = stored.versions.get(name)
            if written_version is not None and resource["meta"]["versionId"] != written_version:
                raise ChangedInEhr
        return dict(zip(names, resources, strict=True))

    async def _heal(self, client: FhirClient, stored: StoredDocument, begun: Signature) -> StoredDocument:
        """Make the document final here when the EHR has the signature that was begun; else return it as it is."""
        tag = f"{EFFECT_TAG}|{resource_id(stored.id, 'signature-provenance')}"
        found = await client.search("Provenance", [("_tag", tag)])
        if not found:
            return stored
        document = await client.read(stored.written["document-reference"])
        data = base64.b64decode(document["content"][0]["attachment"]["data"]).decode()
        signers = {agent["who"].get("reference") for provenance in found for agent in provenance["agent"]}
        if begun.signer not in signers or data != plain_text(begun.sections):
            raise ChangedInEhr
        transaction = await self._signed_in_ehr(client, stored, document, found[0])
        alongside = await self._alongside(stored, transaction, begun.at)
        healed = await self._documents.mark_final(stored.ehr_id, stored.encounter, begun.sections, alongside)
        log(LogCode.DOCUMENT_SIGNED, ehr=stored.ehr_id, flags=len(stored.document.flags), reason="healed")
        return healed

    async def _alongside(
        self, stored: StoredDocument, transaction: Transaction, at: datetime
    ) -> Callable[[AsyncSession], Awaitable[None]]:
        """Return what puts the signed resources into our own store when the document becomes final."""
        prepared = await self._results.of_document(stored, transaction, at=at)

        async def add(session: AsyncSession) -> None:
            await self._results.add(session, prepared)

        return add

    async def _signed_in_ehr(
        self, client: FhirClient, stored: StoredDocument, document: dict[str, Any], provenance: dict[str, Any]
    ) -> Transaction:
        """Return the transaction that the EHR has accepted, as it holds it."""
        names = ["composition", *(issue_name(flag.id) for flag in stored.document.flags)]
        resources = dict(
            zip(names, await asyncio.gather(*(client.read(stored.written[name]) for name in names)), strict=True)
        )
        resources |= {"document-reference": document, "signature-provenance": provenance}
        tag = f"{EFFECT_TAG}|{resource_id(stored.id, 'signature-audit-event')}"
        for event in (await client.search("AuditEvent", [("_tag", tag)]))[:1]:
            resources["signature-audit-event"] = event
        entries = [{"fullUrl": urn(stored.id, name), "resource": resource} for name, resource in resources.items()]
        return Transaction({"resourceType": "Bundle", "type": "transaction", "entry": entries}, tuple(resources))
