"""The document of one encounter: its reconciled draft, its decisions and what was written of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, TypeAdapter
from service_contracts.chart import Chart
from service_contracts.reconciliation import ReconciledDocument, Section
from service_runtime.envelope import EnvelopeCipher
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from facade.decisions import Decision, InvalidDecision
from facade.resources.ids import document_id, patient_scope
from facade.store.database import Database
from facade.store.tables import DecisionRow, DocumentRow, SessionRow

__all__ = ["DocumentStatus", "Documents", "Signature", "StoredDocument", "UnknownDocument"]


class DocumentStatus(StrEnum):
    """Where a document stands."""

    PRELIMINARY = "preliminary"
    FINAL = "final"


class UnknownDocument(LookupError):
    """There is no document for that encounter."""


@dataclass(frozen=True)
class Signature:
    """What is or was signed: ``signer`` is the practitioner's FHIR reference, ``sections`` the text."""

    signer: str
    display: str | None
    sections: tuple[Section, ...]
    at: datetime


class _Content(BaseModel):
    """What is sealed in one column; never leaves this module."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encounter: str
    patient: str
    document: ReconciledDocument
    chart: Chart
    signed_sections: tuple[Section, ...] | None = None
    signature: Signature | None = None
    written: dict[str, str] = {}
    versions: dict[str, str] = {}


@dataclass(frozen=True)
class StoredDocument:
    """The document of ``encounter`` (a reference such as ``Encounter/1``) at the EHR ``ehr_id``.

    ``written`` maps a name (``composition``, ``document-reference``, ``task``, ``device``, ``issue:FLAG-ID``) to
    the reference the EHR gave it, ``versions`` the version it was written as; both are empty until the EHR has the
    document. ``signed_sections`` is the text that was signed, None before. ``signature`` is also set while a
    signature is under way. ``decisions`` are in the order they were made. ``updated_at`` is when the row was changed.
    """

    id: str
    ehr_id: str
    encounter: str
    patient: str
    status: DocumentStatus
    document: ReconciledDocument
    chart: Chart
    created_at: datetime
    decisions: tuple[Decision, ...] = ()
    signed_sections: tuple[Section, ...] | None = None
    signature: Signature | None = None
    written: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    updated_at: datetime | None = field(default=None, compare=False)


_DECISION: TypeAdapter[Decision] = TypeAdapter(Decision)


class Documents:
    """Documents by EHR and encounter; what is about the patient is sealed before it reaches the database."""

    def __init__(self, database: Database, cipher: EnvelopeCipher) -> None:
        self._database = database
        self._cipher = cipher

    async def get(self, ehr_id: str, encounter: str) -> StoredDocument | None:
        """Return the document of ``encounter``, or None when there is none yet."""
        async with self._database.reading() as session:
            row = await session.get(DocumentRow, document_id(ehr_id, encounter))
            if row is None:
                return None
            query = select(DecisionRow).where(DecisionRow.document_id == row.id).order_by(DecisionRow.sequence)
            decisions = (await session.scalars(query)).all()
        content = await self._open(row)
        return StoredDocument(
            id=row.id,
            ehr_id=row.ehr_id,
            encounter=content.encounter,
            patient=content.patient,
            status=DocumentStatus(row.status),
            document=content.document,
            chart=content.chart,
            created_at=row.created_at,
            decisions=tuple([await self._open_decision(row.patient_key, decision) for decision in decisions]),
            signed_sections=content.signed_sections,
            signature=content.signature,
            written=content.written,
            versions=content.versions,
            updated_at=row.updated_at,
        )

    async def unsigned(self, ehr_id: str, patient: str) -> list[StoredDocument]:
        """Return the documents of ``patient`` (``Patient/ID``) that nobody has signed, the oldest first."""
        query = (
            select(DocumentRow)
            .where(
                DocumentRow.ehr_id == ehr_id,
                DocumentRow.patient_key == patient_scope(ehr_id, patient),
                DocumentRow.status == str(DocumentStatus.PRELIMINARY),
            )
            .order_by(DocumentRow.created_at)
        )
        async with self._database.reading() as session:
            rows = (await session.scalars(query)).all()
        encounters = [(await self._open(row)).encounter for row in rows]
        found = [await self.get(ehr_id, encounter) for encounter in encounters]
        return [one for one in found if one is not None and one.status is DocumentStatus.PRELIMINARY]

    async def sealed_row(self, stored: StoredDocument) -> dict[str, object]:
        """Return the row of a new preliminary document, to be added with ``add_row`` inside a transaction.

        Sealing may call the secret store, which must not happen while the database is locked.
        """
        return {
            "id": stored.id,
            "ehr_id": stored.ehr_id,
            "patient_key": patient_scope(stored.ehr_id, stored.patient),
            "status": str(DocumentStatus.PRELIMINARY),
            "sealed": await self._seal(stored, _content_of(stored)),
            "created_at": stored.created_at,
            "updated_at": stored.created_at,
        }

    async def add_row(self, session: AsyncSession, row: dict[str, object]) -> bool:
        """Add a sealed document; return False, changing nothing, when the encounter has one already."""
        return await self._database.insert_new(session, DocumentRow, row)

    async def revise_row(self, session: AsyncSession, row: dict[str, object], former: StoredDocument) -> bool:
        """Put a sealed document in the place of ``former``; return False, changing nothing, when it may not be.

        It may only while nobody has decided on it, signed it or changed it in any other way since it was read.
        """
        statement = (
            update(DocumentRow)
            .where(
                DocumentRow.id == former.id,
                DocumentRow.status == str(DocumentStatus.PRELIMINARY),
                DocumentRow.updated_at == former.updated_at,
                ~select(DecisionRow.sequence).where(DecisionRow.document_id == former.id).exists(),
            )
            .values(sealed=row["sealed"], created_at=row["created_at"], updated_at=row["updated_at"])
            .execution_options(synchronize_session=False)
        )
        return bool(getattr(await session.execute(statement), "rowcount", 0))

    async def is_open(self, stored: StoredDocument) -> bool:
        """Whether a clinician may have the patient's page before them: it must not change under their eyes."""
        query = select(SessionRow.window).where(
            SessionRow.ehr_id == stored.ehr_id,
            SessionRow.patient_key == patient_scope(stored.ehr_id, stored.patient),
            SessionRow.idle_until > datetime.now(UTC),
        )
        async with self._database.reading() as session:
            return (await session.scalars(query.limit(1))).first() is not None

    async def save(self, stored: StoredDocument) -> bool:
        """Keep a new preliminary document in a transaction of its own; return whether it was new."""
        row = await self.sealed_row(stored)
        async with self._database.session() as session:
            return await self.add_row(session, row)

    async def record_decision(self, ehr_id: str, encounter: str, decision: Decision) -> StoredDocument:
        """Add ``decision``; raise ``UnknownDocument``, or ``InvalidDecision`` when it cannot be or it is signed."""
        stored = await self._required(ehr_id, encounter)
        if stored.status is DocumentStatus.FINAL:
            raise InvalidDecision("the document is signed")
        decision.check(stored.document)
        scope = patient_scope(ehr_id, stored.patient)
        sealed = await self._cipher.seal(_DECISION.dump_json(decision), scope=scope, aad=f"decision.sealed/{stored.id}")
        async with self._database.session() as session:
            session.add(DecisionRow(document_id=stored.id, sealed=sealed, made_at=decision.at))
        return await self._required(ehr_id, encounter)

    async def mark_written(
        self, ehr_id: str, encounter: str, written: Mapping[str, str], versions: Mapping[str, str]
    ) -> None:
        """Keep the references and versions the EHR gave to what was written.

        Only the first time: a transaction that is sent again finds resources that may have been signed since.
        """
        stored = await self._required(ehr_id, encounter)
        if not stored.written:
            await self._replace(stored, {"written": dict(written), "versions": dict(versions)}, stored.status)

    async def begin_signature(self, ehr_id: str, encounter: str, signature: Signature) -> None:
        """Keep what is about to be signed, so that a signature the EHR has accepted is recognised after a crash."""
        stored = await self._required(ehr_id, encounter)
        if stored.status is DocumentStatus.FINAL:
            raise InvalidDecision("the document is signed")
        await self._replace(stored, {"signature": signature}, stored.status)

    async def mark_final(
        self,
        ehr_id: str,
        encounter: str,
        sections: Sequence[Section],
        alongside: Callable[[AsyncSession], Awaitable[None]] | None = None,
    ) -> StoredDocument:
        """Make the document final with the text that was signed; ``alongside`` adds to the same transaction."""
        stored = await self._required(ehr_id, encounter)
        await self._replace(stored, {"signed_sections": tuple(sections)}, DocumentStatus.FINAL, alongside)
        return await self._required(ehr_id, encounter)

    async def _required(self, ehr_id: str, encounter: str) -> StoredDocument:
        stored = await self.get(ehr_id, encounter)
        if stored is None:
            raise UnknownDocument("no document for this encounter")
        return stored

    async def _replace(
        self,
        stored: StoredDocument,
        changes: dict[str, object],
        status: DocumentStatus,
        alongside: Callable[[AsyncSession], Awaitable[None]] | None = None,
    ) -> None:
        """Replace the content, and never that of a document which another has made final since it was read."""
        sealed = await self._seal(stored, _content_of(stored).model_copy(update=changes))
        async with self._database.session() as session:
            result = await session.execute(
                update(DocumentRow)
                .where(DocumentRow.id == stored.id, DocumentRow.status == str(stored.status))
                .values(sealed=sealed, status=str(status), updated_at=datetime.now(UTC))
            )
            changed = bool(getattr(result, "rowcount", 0))
            if changed and alongside is not None:
                await alongside(session)

    async def _seal(self, stored: StoredDocument, content: _Content) -> bytes:
        return await self._cipher.seal(
            content.model_dump_json().encode(),
            scope=patient_scope(stored.ehr_id, stored.patient),
            aad=f"document.sealed/{stored.id}",
        )

    async def _open(self, row: DocumentRow) -> _Content:
        raw = await self._cipher.open(row.sealed, scope=row.patient_key, aad=f"document.sealed/{row.id}")
        return _Content.model_validate_json(raw)

    async def _open_decision(self, scope: str, row: DecisionRow) -> Decision:
        raw = await self._cipher.open(row.sealed, scope=scope, aad=f"decision.sealed/{row.document_id}")
        return _DECISION.validate_json(raw)


def _content_of(stored: StoredDocument) -> _Content:
    return _Content(
        encounter=stored.encounter,
        patient=stored.patient,
        document=stored.document,
        chart=stored.chart,
        signed_sections=stored.signed_sections,
        signature=stored.signature,
        written=dict(stored.written),
        versions=dict(stored.versions),
    )
