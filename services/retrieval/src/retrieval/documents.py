"""What is ingested: documents in versions, with the facts, passages and drug names read from them."""

import hashlib
from dataclasses import dataclass, field
from datetime import date

from service_contracts.evidence import Fact, Source

__all__ = ["DocumentKind", "DrugName", "IngestedDocument", "PassageText", "as_ingested", "in_force", "superseded"]

DocumentKind = str
"""``label``, ``guideline``, ``policy``, ``literature``, ``formulary``, ``interaction``, ``code-system`` or ``starter``:
what a passage query filters."""


@dataclass(frozen=True)
class PassageText:
    """A span of a document; ``id`` is stable over ingestions of the same version of the same document."""

    id: str
    section: str
    text: str


@dataclass(frozen=True)
class DrugName:
    """A name or an RxNorm code, and the ingredients of what bears it. ``class:NAME`` as name lists its members."""

    name: str
    ingredients: tuple[str, ...]
    rxcuis: tuple[str, ...] = ()


@dataclass(frozen=True)
class IngestedDocument:
    """One version of one document. Two versions share ``key``; the later one supersedes the earlier one."""

    key: str
    kind: DocumentKind
    source: Source
    facts: tuple[Fact, ...] = ()
    passages: tuple[PassageText, ...] = ()
    names: tuple[DrugName, ...] = field(default=())

    @property
    def version(self) -> str:
        """The publisher's name of this version."""
        return self.source.version

    @property
    def digest(self) -> str:
        """A digest of everything in the document: the same document ingested again is no change."""
        digest = hashlib.sha256(repr((self.key, self.kind)).encode())
        digest.update(self.source.model_dump_json().encode())
        for fact in self.facts:
            digest.update(fact.model_dump_json().encode())
        digest.update(repr((self.passages, self.names)).encode())
        return digest.hexdigest()


def as_ingested(document: IngestedDocument, digest: str, passage_id: str) -> PassageText | None:
    """Return a passage of a document that was put together again from what is kept, None when it is not what came in.

    The digest is that of the ingestion. It is of facts and names in their order too, which is not kept: only documents
    of passages alone can be told to be whole.
    """
    if document.digest != digest:
        return None
    return next((one for one in document.passages if one.id == passage_id), None)


def in_force(effective_from: date | None, superseded_on: date | None, as_of: date) -> bool:
    """Whether text with these dates is current on ``as_of``: from its first day up to the day it is superseded."""
    return (effective_from is None or effective_from <= as_of) and (superseded_on is None or as_of < superseded_on)


def superseded(older: Source, newer: Source, today: date) -> date:
    """Return the day on which ``newer`` takes the place of ``older``: its own first day, or when it was read."""
    return newer.effective_from or newer.published or newer.retrieved or older.superseded_on or today
