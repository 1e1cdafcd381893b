"""Text about patients: sealed in both engines, found inside one patient only, unreadable once the key is destroyed."""

import asyncio
import hashlib
import uuid
from datetime import date

import numpy as np
import pytest
from retrieval.index import IndexBusy, IndexUnreadable
from retrieval.opensearch.sealed import open_sealed_store
from retrieval.passage_search import PassageSearch
from retrieval.patient_texts import PatientTexts, open_patient_texts
from retrieval.sealed_store import EmbeddedSealedStore
from retrieval.sqlcipher_file import SqlCipherFile
from retrieval.stored import PassageVector, StoredPassage
from retrieval.wanted import Wanted
from service_contracts.evidence import Source
from service_contracts.patient_texts import PatientText
from service_runtime.secrets import MemorySecretStore, SecretStoreUnavailable

PATIENTS, EACH, DIMENSION = 20, 50, 768
TODAY = date(2026, 1, 1)


class WordVectors:
    """A vector for a text from its words, as wide as a large encoder's; texts with common words are near each other."""

    name = "word-vectors"

    def encode(self, texts):
        rows = np.stack(
            [sum((self._word(word) for word in text.lower().split()), np.zeros(DIMENSION)) for text in texts]
        )
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    @staticmethod
    def _word(word):
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        return np.random.default_rng(seed).standard_normal(DIMENSION)


def sentence(patient, place):
    return f"Quokka{patient}x{place} reports zanzibar pain level{place % 7} after wombat{patient} procedure{place % 11}"


def planted(patient):
    source = Source(title="A note", publisher="A ward", identifier="note-1", version="1", section="Course")
    return [PatientText(id=f"note-1#{place}", source=source, text=sentence(patient, place)) for place in range(EACH)]


class Embedded:
    def __init__(self, folder):
        self.folder = folder
        self.file = SqlCipherFile(folder / "patients.db", b"k" * 32)

    async def store(self):
        return EmbeddedSealedStore(self.file)

    async def bytes_on_disk(self):
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("patients.db*")))

    async def close(self):
        self.file.close()


class OpenSearch:
    def __init__(self, opensearch, connect_node):
        self.node = opensearch.node
        self.cluster = connect_node()
        self.tenant = uuid.uuid4().hex

    async def store(self):
        return await open_sealed_store(self.cluster, self.tenant)

    async def bytes_on_disk(self):
        name = f"preceptor-patients-{self.tenant}"
        with self.node.client() as admin:
            found = admin.get(f"/{name}/_settings").raise_for_status().json()
            folders = {one["settings"]["index"]["uuid"] for one in found.values()}
            # The translog, which a flush empties, and then the segments.
            before = self._files(folders)
            admin.post(f"/{name}/_flush").raise_for_status()
            return before + self._files(folders)

    def _files(self, folders):
        files = [path for path in self.node.state_dir.rglob("*") if path.is_file() and set(path.parts) & folders]
        return b"".join(path.read_bytes() for path in sorted(files))

    async def close(self):
        await self.cluster.close()


@pytest.fixture(params=["embedded", "opensearch"])
async def engine(request, tmp_path):
    if request.param == "embedded":
        one = Embedded(tmp_path)
    else:
        one = OpenSearch(request.getfixturevalue("opensearch"), request.getfixturevalue("connect_node"))
    yield one
    await one.close()


@pytest.fixture
async def texts(engine, secrets):
    return await open_patient_texts(await engine.store(), secrets, "index-1", WordVectors())


def most_alike(content, vector):
    """Return the highest cosine of ``vector`` with any run of float16 or float32 numbers, beginning at any byte."""
    highest = 0.0
    for kind, width in ((np.float16, 2), (np.float32, 4)):
        for shift in range(width):
            usable = content[shift : shift + (len(content) - shift) // width * width]
            with np.errstate(all="ignore"):
                numbers = np.frombuffer(usable, kind).astype(np.float64)
            numbers[~np.isfinite(numbers)] = 0.0
            numbers[np.abs(numbers) > 2] = 0.0
            if len(numbers) < len(vector):
                continue
            size = 1 << (len(numbers) + len(vector)).bit_length()
            spectrum = np.fft.rfft(numbers, size) * np.conj(np.fft.rfft(vector, size))
            products = np.fft.irfft(spectrum, size)[: len(numbers) - len(vector) + 1]
            sums = np.concatenate([[0.0], np.cumsum(numbers**2)])
            norms = np.sqrt(np.maximum(sums[len(vector) :] - sums[: -len(vector)], 1e-6))
            highest = max(highest, float(np.max(np.abs(products) / norms)))
    return highest


def test_the_look_for_vectors_finds_one_that_is_there():
    vector = WordVectors().encode([sentence(1, 1)])[0]
    noise = np.random.default_rng(1).bytes(200_000)
    assert most_alike(noise, vector) < 0.3
    for kind in (np.float16, np.float32):
        assert most_alike(noise[:777] + vector.astype(kind).tobytes() + noise, vector) > 0.99


async def test_bytes_on_disk_hold_no_planted_sentence_and_no_vector(engine, texts):
    for patient in range(PATIENTS):
        await texts.add(f"Patient/{patient}", planted(patient))
    content = await engine.bytes_on_disk()
    assert len(content) > PATIENTS * EACH * 500
    lowered = content.lower()
    words = [b"zanzibar", b"note-1", b"patient/", *(f"quokka{patient}x".encode() for patient in range(PATIENTS))]
    assert [word for word in words if word in lowered] == []
    sentences = [sentence(patient, place).encode() for patient in range(PATIENTS) for place in range(EACH)]
    assert len(sentences) == 1000 and not any(one in content for one in sentences)
    # Four words that stand in one sentence only, of each.
    runs = [b" ".join(one.lower().split()[:4]) for one in sentences]
    assert len({*runs}) == 1000 and not any(run in lowered for run in runs)
    for vector in WordVectors().encode([sentence(0, 0), sentence(19, 49)]):
        assert most_alike(content[:4_000_000], vector) < 0.3


async def test_the_best_ten_are_those_of_a_search_in_plain_text(texts):
    await texts.add("Patient/1", planted(1))
    await texts.add("Patient/2", planted(2))
    mine = sorted(planted(1), key=lambda one: one.id)
    vectors = WordVectors().encode([one.text for one in mine])
    plain = PassageSearch.over(
        [StoredPassage(n, "patient", "A note", "Course", one.text, None, None) for n, one in enumerate(mine)],
        [PassageVector(n, row.astype(np.float16).tobytes(), "patient", None, None) for n, row in enumerate(vectors)],
        WordVectors(),
    )
    for question in ("pain level3", "procedure4 wombat1", "Quokka1x17 reports"):
        wanted = [mine[number].id for number, _ in plain.search(question, 10, Wanted(), TODAY)]
        found = await texts.search("Patient/1", question, 10, TODAY)
        assert {one.id for one in found} == set(wanted)
        assert all("wombat1 " in one.text for one in found)


async def test_one_patient_never_finds_another_and_an_unknown_one_finds_nothing(texts):
    await texts.add("Patient/1", planted(1))
    await texts.add("Patient/11", planted(11))
    found = await texts.search("Patient/1", "wombat11 Quokka11x3", 50, TODAY)
    assert found and all("Quokka1x" in one.text for one in found)
    assert await texts.search("Patient/3", "zanzibar", 5, TODAY) == []


async def test_the_same_text_again_replaces_itself(texts):
    await texts.add("Patient/1", planted(1))
    await texts.add("Patient/1", planted(1))
    assert len(await texts.search("Patient/1", "zanzibar", 50, TODAY)) == EACH


async def test_a_row_that_was_moved_to_another_patient_or_place_does_not_open(engine, texts):
    await texts.add("Patient/1", planted(1)[:1])
    await texts.add("Patient/2", planted(2)[:1])
    store = await engine.store()
    one, two = (texts._tag("patient", f"Patient/{patient}") for patient in (1, 2))
    [(row_id, blob)] = await store.rows(one)
    [(other_id, _)] = await store.rows(two)
    await store.put(two, [(other_id, blob)])
    with pytest.raises(IndexUnreadable, match="changed, or is another patient's"):
        await texts.search("Patient/2", "zanzibar", 5, TODAY)
    await store.put(one, [(row_id, blob[:-1] + bytes([blob[-1] ^ 1]))])
    with pytest.raises(IndexUnreadable, match="changed"):
        await texts.search("Patient/1", "zanzibar", 5, TODAY)


async def test_a_destroyed_key_makes_a_patient_unreadable_everywhere_even_where_rows_were_copied(
    engine, texts, secrets
):
    await texts.add("Patient/1", planted(1))
    await texts.add("Patient/2", planted(2))
    store = await engine.store()
    tag = texts._tag("patient", "Patient/1")
    copied = await store.rows(tag)
    wrapped = (await secrets.read(texts._key_path("Patient/1")))["wrapped"]
    replica = await open_patient_texts(await engine.store(), secrets, "index-1", WordVectors())
    assert await replica.search("Patient/1", "zanzibar", 5, TODAY)
    # The key was never in the engine: a copy of its files, whenever it was taken, holds none.
    assert wrapped.encode() not in await engine.bytes_on_disk()
    assert await texts.forget("Patient/1") == EACH
    assert await replica.search("Patient/1", "zanzibar", 5, TODAY) == []
    assert await store.rows(tag) == []
    # Rows that come back from a copy stay closed, and it is said: nobody takes them for a patient without texts.
    await store.put(tag, copied)
    with pytest.raises(IndexUnreadable, match="destroyed"):
        await replica.search("Patient/1", "zanzibar", 5, TODAY)
    await texts.add("Patient/1", planted(1)[:1])
    with pytest.raises(IndexUnreadable):
        await replica.search("Patient/1", "zanzibar", 5, TODAY)
    # To forget once more clears them away.
    assert await texts.forget("Patient/1") == EACH + 1
    await texts.add("Patient/1", planted(1)[:1])
    assert len(await replica.search("Patient/1", "zanzibar", 5, TODAY)) == 1
    assert len(await texts.search("Patient/2", "zanzibar", 50, TODAY)) == EACH


async def test_to_forget_one_who_is_not_known_changes_nothing(texts):
    await texts.add("Patient/2", planted(2))
    assert await texts.forget("Patient/1") == 0
    assert len(await texts.search("Patient/2", "zanzibar", 50, TODAY)) == EACH


@pytest.mark.parametrize("returns", [False, True])
async def test_what_is_kept_while_the_patient_is_forgotten_does_not_stay(engine, texts, secrets, returns):
    store = await engine.store()

    class Forgotten(type(store)):
        """The patient is forgotten, and perhaps comes back, just before rows are written."""

        async def put(self, patient, rows):
            await texts.forget("Patient/1")
            if returns:
                await texts.add("Patient/1", planted(1)[:2])
            await super().put(patient, rows)

    store.__class__ = Forgotten
    slow = await open_patient_texts(store, secrets, "index-1", WordVectors())
    with pytest.raises(IndexBusy):
        await slow.add("Patient/1", planted(1))
    assert len(await texts.search("Patient/1", "zanzibar", 50, TODAY)) == (2 if returns else 0)


async def test_two_who_begin_with_one_patient_at_once_seal_with_one_key(engine, texts, secrets):
    other = await open_patient_texts(await engine.store(), secrets, "index-1", WordVectors())
    await asyncio.gather(texts.add("Patient/1", planted(1)[:25]), other.add("Patient/1", planted(1)[25:]))
    assert len(await texts.search("Patient/1", "zanzibar", 50, TODAY)) == EACH


async def test_another_index_or_secret_store_opens_nothing(engine, texts):
    await texts.add("Patient/1", planted(1))
    same_tags = PatientTexts(await engine.store(), texts._secrets, "index-2", texts._tag_key)
    with pytest.raises(IndexUnreadable, match="destroyed, or may not be read"):
        await same_tags.search("Patient/1", "zanzibar", 5, TODAY)
    # Even with the wrapped key of the one carried to the other: it was wrapped for the one.
    kept = await texts._secrets.read(texts._key_path("Patient/1"))
    await texts._secrets.write(same_tags._key_path("Patient/1"), kept)
    with pytest.raises(IndexUnreadable, match="not the patient's"):
        await same_tags.search("Patient/1", "zanzibar", 5, TODAY)
    elsewhere = await open_patient_texts(await engine.store(), texts._secrets, "index-3")
    assert await elsewhere.search("Patient/1", "zanzibar", 5, TODAY) == []


async def test_an_index_of_patients_that_would_log_is_not_opened(opensearch, connect_node):
    tenant, cluster = uuid.uuid4().hex, connect_node()
    await open_sealed_store(cluster, tenant)
    with opensearch.node.client() as admin:
        slow = {"index.indexing.slowlog.threshold.index.trace": "0ms"}
        admin.put(f"/preceptor-patients-{tenant}/_settings", json=slow).raise_for_status()
        with pytest.raises(IndexUnreadable, match="would log"):
            await open_sealed_store(cluster, tenant)
        admin.delete(f"/preceptor-patients-{tenant}").raise_for_status()
    await cluster.close()


class Sealed(MemorySecretStore):
    async def new_data_key(self, key, context):
        raise SecretStoreUnavailable


@pytest.mark.filterwarnings("ignore:secrets are kept in memory only")
async def test_nothing_is_kept_while_the_secret_store_is_away(engine):
    texts = PatientTexts(await engine.store(), Sealed(), "index-1", b"t" * 32, WordVectors())
    with pytest.raises(SecretStoreUnavailable):
        await texts.add("Patient/1", planted(1))
    assert await (await engine.store()).rows(texts._tag("patient", "Patient/1")) == []
