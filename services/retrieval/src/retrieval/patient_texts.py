"""Text about patients: kept sealed under a key of each patient's own, searched only inside one patient's rows.

Text and vector of a passage are sealed together, by AES-256-GCM with a data key that Transit wraps for this index and
patient; patient, index, field and id are bound as additional data. The engine holds a tag of the patient (an HMAC
under a key of the index), ids made the same way, and sealed bytes: no words, no vectors, nothing to invert. A search
opens one patient's rows and looks through them in memory: it is exact, and no other patient's can be among its results.

The wrapped keys lie in the secret store, never beside the rows. Destroying one there makes every copy of the rows
unreadable: on disk, in snapshots, in replicas and in copies of the files that were taken before. What opens them still
is a backup of the secret store itself from before that moment, as long as it is kept.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
from collections.abc import Sequence
from datetime import date

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from service_contracts.evidence import Passage, Source
from service_contracts.patient_texts import PatientText
from service_runtime.secrets import DecryptionRefused, SecretNotFound, SecretStore

from retrieval.encoder import Encoder
from retrieval.index import IndexBusy, IndexUnreadable
from retrieval.index_key import TRANSIT_KEY
from retrieval.passage_search import PassageSearch
from retrieval.sealed_store import SealedStore
from retrieval.stored import PassageVector, StoredPassage
from retrieval.wanted import Wanted

__all__ = ["PatientTexts", "open_patient_texts"]

_FIELD = "passage"
_NONCE_BYTES = 12
_KIND = "patient"


class PatientTexts:
    """The sealed texts of one index. No key and no opened text is held between two calls."""

    def __init__(
        self, store: SealedStore, secrets: SecretStore, index_id: str, tag_key: bytes, encoder: Encoder | None = None
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._index_id = index_id
        self._tag_key = tag_key
        self._encoder = encoder

    async def add(self, patient: str, texts: Sequence[PatientText]) -> None:
        """Seal and keep texts; raises the ``SecretError`` of the store, and keeps nothing then.

        Raises ``IndexBusy`` when the patient was forgotten meanwhile: then nothing is kept either.
        """
        tag, place = self._tag("patient", patient), self._key_path(patient)
        wrapped = await self._wrapped(patient)
        if wrapped is None:
            new = await self._secrets.new_data_key(TRANSIT_KEY, self._context(patient))
            wrapped = (await self._secrets.keep_first(place, {"wrapped": new.wrapped}))["wrapped"]
        key = await self._secrets.unwrap_data_key(TRANSIT_KEY, wrapped, self._context(patient))
        rows = await asyncio.to_thread(self._sealed, key, wrapped, patient, texts)
        await self._store.put(tag, rows)
        if await self._wrapped(patient) != wrapped:
            # Rows that were written behind the back of one who forgot: nobody could open them any more.
            await self._store.remove(tag, [row_id for row_id, _ in rows])
            raise IndexBusy("the patient was forgotten while texts were kept: nothing of them stays")

    async def search(self, patient: str, text: str, limit: int, as_of: date) -> list[Passage]:
        """Return the best passages of one patient's texts; none when none are kept.

        Raises ``IndexUnreadable`` when there are rows that the patient's key does not open, or that none does.
        """
        wrapped = await self._wrapped(patient)
        rows = await self._store.rows(self._tag("patient", patient))
        if not rows:
            return []
        if wrapped is None:
            raise IndexUnreadable("the key of these rows was destroyed, or may not be read")
        try:
            key = await self._secrets.unwrap_data_key(TRANSIT_KEY, wrapped, self._context(patient))
        except DecryptionRefused:
            raise IndexUnreadable("the key of these rows is not the patient's") from None
        return await asyncio.to_thread(self._found, key, patient, rows, text, limit, as_of)

    async def forget(self, patient: str) -> int:
        """Destroy the patient's key, then delete the rows that nobody can open any more; return how many."""
        await self._secrets.destroy(self._key_path(patient))
        return await self._store.destroy(self._tag("patient", patient))

    async def close(self) -> None:
        """Let go of the engine."""
        await self._store.close()

    async def _wrapped(self, patient: str) -> str | None:
        try:
            return (await self._secrets.read(self._key_path(patient)))["wrapped"]
        except SecretNotFound:
            return None

    def _sealed(self, key: bytes, wrapped: str, patient: str, texts: Sequence[PatientText]) -> list[tuple[str, bytes]]:
        vectors = None if self._encoder is None else self._encoder.encode([one.text for one in texts])
        cipher, rows = AESGCM(key), []
        for place, one in enumerate(texts):
            content = {"id": one.id, "text": one.text, "source": one.source.model_dump(mode="json")}
            if vectors is not None and self._encoder is not None:
                content["vector"] = base64.b64encode(vectors[place].astype(np.float16).tobytes()).decode()
                content["encoder"] = self._encoder.name
            # Rows under another key have other ids, so that none of the one can take the place of one of the other.
            row_id, nonce = self._tag("row", patient, wrapped, one.id), os.urandom(_NONCE_BYTES)
            rows.append(
                (row_id, nonce + cipher.encrypt(nonce, json.dumps(content).encode(), self._aad(patient, row_id)))
            )
        return rows

    def _found(
        self, key: bytes, patient: str, rows: Sequence[tuple[str, bytes]], text: str, limit: int, as_of: date
    ) -> list[Passage]:
        cipher, contents = AESGCM(key), []
        for row_id, blob in rows:
            try:
                opened = cipher.decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], self._aad(patient, row_id))
            except InvalidTag:
                raise IndexUnreadable("a sealed row was changed, or is another patient's") from None
            contents.append(json.loads(opened))
        # The engine gives them in the order of their tags; equally good ones come in an order that does not change.
        contents.sort(key=lambda one: one["id"])
        sources = [Source.model_validate(one["source"]) for one in contents]
        passages = [
            StoredPassage(number, _KIND, source.title, source.section, one["text"], source.effective_from, None)
            for number, (one, source) in enumerate(zip(contents, sources, strict=True))
        ]
        name = None if self._encoder is None else self._encoder.name
        vectors = [
            PassageVector(number, base64.b64decode(one["vector"]), _KIND, sources[number].effective_from, None)
            for number, one in enumerate(contents)
            if name is not None and one.get("encoder") == name
        ]
        found = PassageSearch.over(passages, vectors, self._encoder).search(text, limit, Wanted(), as_of)
        return [
            Passage(id=contents[number]["id"], text=contents[number]["text"], source=sources[number], score=score)
            for number, score in found
        ]

    def _key_path(self, patient: str) -> str:
        return f"retrieval/patient-keys/{self._index_id}/{self._tag('patient', patient)}"

    def _context(self, patient: str) -> bytes:
        return json.dumps(["patient", self._index_id, patient]).encode()

    def _aad(self, patient: str, row_id: str) -> bytes:
        return json.dumps([self._index_id, patient, _FIELD, row_id]).encode()

    def _tag(self, *parts: str) -> str:
        return hmac.new(self._tag_key, json.dumps(parts).encode(), hashlib.sha256).hexdigest()


async def open_patient_texts(
    store: SealedStore, secrets: SecretStore, index_id: str, encoder: Encoder | None = None
) -> PatientTexts:
    """Return the texts in ``store``; the key of its tags is made when this is the first opening of the index."""
    new = {"key": os.urandom(32).hex()}
    kept = await secrets.keep_first(f"retrieval/patient-tags/{index_id}", new)
    return PatientTexts(store, secrets, index_id, bytes.fromhex(kept["key"]), encoder)
