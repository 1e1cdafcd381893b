"""The cards that were shown, those that were not repeated and why, and what clinicians did with them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from advanced_alchemy.types import BigIntIdentity, DateTimeUTC
from service_runtime.envelope import EnvelopeCipher
from sqlalchemy import ForeignKey, Index, LargeBinary, String, select
from sqlalchemy.orm import Mapped, mapped_column

from facade.store.database import Database
from facade.store.tables import Base

__all__ = ["CardFeedback", "CdsCardRow", "CdsCards", "CdsFeedbackRow", "KeptCard", "SaidBefore", "ShownCard"]


class CdsCardRow(Base):
    """A card. ``alert_key`` is the same for the same alert about the same orders from whichever service.

    ``repeat_of`` names the card that said it before, and ``reason`` why this one was not shown; both are None for a
    card that was. ``sealed`` is the card itself.
    """

    __tablename__ = "cds_card"
    __table_args__ = (Index("ix_cds_card_alert", "ehr_id", "alert_key", "shown_at"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    ehr_id: Mapped[str] = mapped_column(String(32))
    patient_key: Mapped[str] = mapped_column(String(36), index=True)
    service: Mapped[str] = mapped_column(String(32))
    alert_key: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(32))
    repeat_of: Mapped[str | None] = mapped_column(String(36))
    reason: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str] = mapped_column(String(64))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    shown_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))


class CdsFeedbackRow(Base):
    """What a clinician did with a card; ``digest`` is of its content, so that a repetition is the same row."""

    __tablename__ = "cds_feedback"

    sequence: Mapped[int] = mapped_column(BigIntIdentity, primary_key=True, autoincrement=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    card_id: Mapped[str] = mapped_column(String(36), ForeignKey("cds_card.id"), index=True)
    outcome: Mapped[str] = mapped_column(String(16))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    given_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))


@dataclass(frozen=True)
class KeptCard:
    """A card to keep: ``content`` is the card with the claim and facts behind it, so that feedback has its label.

    ``once`` ones are left out of the answer when the same alert was shown before.
    """

    id: str
    ehr_id: str
    patient_key: str
    service: str
    alert_key: str
    kind: str
    request_id: str
    content: Mapping[str, Any]
    once: bool = False


@dataclass(frozen=True)
class SaidBefore:
    """Which alerts need not be said again: those that ``service`` has shown since ``since``; ``reason`` is kept."""

    service: str
    since: datetime
    reason: str


@dataclass(frozen=True)
class ShownCard:
    """A card as it was shown."""

    id: str
    service: str
    content: dict[str, Any]


@dataclass(frozen=True)
class CardFeedback:
    """One labelled outcome. ``content`` is what the EHR sent of it."""

    digest: str
    card_id: str
    outcome: str
    content: Mapping[str, Any]
    given_at: datetime


class CdsCards:
    """Cards and feedback; what is about the patient is sealed before it reaches the database."""

    def __init__(self, database: Database, cipher: EnvelopeCipher) -> None:
        self._database = database
        self._cipher = cipher

    async def keep(self, cards: Sequence[KeptCard], before: SaidBefore | None = None) -> Mapping[str, str]:
        """Keep cards; one that is known already is only shown again.

        Returns, by alert key, the ids of the cards that had said ``before`` what is to be said once. One transaction
        looks and keeps, so that what is kept of an answer is what the answer says.
        """
        if not cards:
            return {}
        now = datetime.now(UTC)
        rows = [await self._row(card, now) for card in cards]
        once = [card.alert_key for card in cards if card.once]
        async with self._database.session() as session:
            earlier: dict[str, str] = {}
            if before is not None and once:
                query = select(CdsCardRow.alert_key, CdsCardRow.id).where(
                    CdsCardRow.ehr_id == cards[0].ehr_id,
                    CdsCardRow.alert_key.in_(once),
                    CdsCardRow.service == before.service,
                    CdsCardRow.repeat_of.is_(None),
                    CdsCardRow.shown_at >= before.since,
                )
                earlier = {row.alert_key: row.id for row in await session.execute(query)}
                for row in rows:
                    if row["alert_key"] in earlier:
                        row |= {"repeat_of": earlier[row["alert_key"]], "reason": before.reason}
            await self._database.insert_or_update(session, CdsCardRow, rows, key="id", update=("shown_at",))
        return earlier

    async def shown(self, ehr_id: str, service: str, ids: Sequence[str]) -> Mapping[str, ShownCard]:
        """Return those of ``ids`` that ``service`` has shown to this EHR, by id."""
        query = select(CdsCardRow).where(
            CdsCardRow.id.in_(ids), CdsCardRow.ehr_id == ehr_id, CdsCardRow.service == service
        )
        async with self._database.reading() as session:
            rows = (await session.scalars(query)).all()
        return {row.id: ShownCard(row.id, row.service, await self._open(row)) for row in rows}

    async def add_feedback(self, feedback: Sequence[CardFeedback]) -> int:
        """Keep feedback, all of it or none; return how much of it was new."""
        if not feedback:
            return 0
        async with self._database.reading() as session:
            query = select(CdsCardRow.id, CdsCardRow.patient_key).where(
                CdsCardRow.id.in_([f.card_id for f in feedback])
            )
            scopes = {row.id: row.patient_key for row in await session.execute(query)}
        rows = [
            {
                "digest": one.digest,
                "card_id": one.card_id,
                "outcome": one.outcome,
                "sealed": await self._cipher.seal(
                    json.dumps(one.content).encode(), scope=scopes[one.card_id], aad=f"cds_feedback.sealed/{one.digest}"
                ),
                "given_at": one.given_at,
            }
            for one in feedback
        ]
        async with self._database.session() as session:
            return sum([await self._database.insert_new(session, CdsFeedbackRow, row) for row in rows])

    async def feedback(self, card_id: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the outcomes of one card with what was sent of them, oldest first."""
        query = select(CdsFeedbackRow).where(CdsFeedbackRow.card_id == card_id).order_by(CdsFeedbackRow.sequence)
        async with self._database.reading() as session:
            card = await session.get(CdsCardRow, card_id)
            rows = (await session.scalars(query)).all()
        found = []
        for row in rows:
            assert card is not None
            raw = await self._cipher.open(row.sealed, scope=card.patient_key, aad=f"cds_feedback.sealed/{row.digest}")
            found.append((row.outcome, json.loads(raw)))
        return found

    async def not_repeated(self, patient_key: str) -> list[tuple[str, str | None]]:
        """Return the cards of a patient that were not shown: which card had said it, and why."""
        query = select(CdsCardRow.repeat_of, CdsCardRow.reason).where(
            CdsCardRow.patient_key == patient_key, CdsCardRow.repeat_of.is_not(None)
        )
        async with self._database.reading() as session:
            return [(str(row.repeat_of), row.reason) for row in await session.execute(query)]

    async def _row(self, card: KeptCard, now: datetime) -> dict[str, Any]:
        sealed = await self._cipher.seal(
            json.dumps(card.content).encode(), scope=card.patient_key, aad=f"cds_card.sealed/{card.id}"
        )
        return {
            "id": card.id,
            "ehr_id": card.ehr_id,
            "patient_key": card.patient_key,
            "service": card.service,
            "alert_key": card.alert_key,
            "kind": card.kind,
            "repeat_of": None,
            "reason": None,
            "request_id": card.request_id,
            "sealed": sealed,
            "shown_at": now,
        }

    async def _open(self, row: CdsCardRow) -> dict[str, Any]:
        raw = await self._cipher.open(row.sealed, scope=row.patient_key, aad=f"cds_card.sealed/{row.id}")
        content: dict[str, Any] = json.loads(raw)
        return content
