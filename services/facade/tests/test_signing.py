"""Signing against a real EHR: conflicts, crashes in the middle, and who may sign what."""

import pytest
from facade.decisions import corrected_sections
from facade.fhir.results import Results
from facade.pipeline.signing import (
    AlreadySigned,
    ChangedInEhr,
    EhrNotAnswering,
    NotYetWritten,
    Signer,
    Signing,
    UndecidedFlags,
    UnknownDocument,
)
from facade.store.documents import DocumentStatus
from fhir_support.client import FhirServerUnavailable

DOCTOR = Signer("Practitioner/dr-1", "Dr. Example")
ANOTHER = Signer("Practitioner/dr-2")


@pytest.fixture
async def draft(facade, ward, eventually, decide, new_request_id):
    """A document in the EHR whose flags are decided."""
    encounter = await ward.admit()
    await facade.drafting.draft("sandbox", encounter, new_request_id)
    await eventually(lambda: facade.documents.get("sandbox", encounter), lambda stored: stored.written)
    await decide(facade, encounter)
    return encounter


def sign(facade, encounter, signer=DOCTOR, sections=None, signing=None):
    return (signing or facade.signing).sign("sandbox", encounter, signer=signer, sections=sections, request_id="r")


async def test_the_text_the_clinician_typed_is_what_is_signed(facade, ward, draft):
    stored = await facade.documents.get("sandbox", draft)
    sections = [
        one.model_copy(update={"text": "Take it as before."}) if one.key == "medications" else one
        for one in corrected_sections(stored.document, stored.decisions)
    ]
    signed = await sign(facade, draft, sections=sections)
    assert signed.signed_sections == tuple(sections)
    composition = (await ward.written(draft))["Composition"][0]
    assert "Take it as before." in str(composition["section"])
    assert composition["meta"]["security"][0]["code"] == "AIAST"
    assert composition["attester"][0]["party"]["reference"] == DOCTOR.reference


async def test_a_document_nobody_drafted_cannot_be_signed(facade):
    with pytest.raises(UnknownDocument):
        await sign(facade, "Encounter/none")


async def test_an_undecided_flag_stops_the_signature(facade, ward, eventually, new_request_id):
    encounter = await ward.admit()
    await facade.drafting.draft("sandbox", encounter, new_request_id)
    await eventually(lambda: facade.documents.get("sandbox", encounter), lambda stored: stored.written)
    with pytest.raises(UndecidedFlags):
        await sign(facade, encounter)
    assert (await ward.written(encounter))["Composition"][0]["status"] == "preliminary"


async def test_a_draft_the_ehr_does_not_have_yet_cannot_be_signed(facade, ward, decide, new_request_id, monkeypatch):
    async def unavailable(*_):
        raise FhirServerUnavailable("HTTP 503")

    encounter = await ward.admit()
    monkeypatch.setattr(facade.documents, "mark_written", unavailable)
    await facade.drafting.draft("sandbox", encounter, new_request_id)
    await decide(facade, encounter)
    with pytest.raises(NotYetWritten):
        await sign(facade, encounter)


async def test_nobody_signs_what_somebody_else_signed(facade, draft):
    await sign(facade, draft)
    with pytest.raises(AlreadySigned):
        await sign(facade, draft, ANOTHER)


@pytest.mark.parametrize("kind", ["Composition", "DetectedIssue", "DocumentReference"])
async def test_a_change_in_the_ehr_stops_the_signature_and_nothing_is_written(facade, ward, draft, kind):
    changed = (await ward.written(draft))[kind][0]
    await ward.client.update({**changed, "language": "en"})
    with pytest.raises(ChangedInEhr):
        await sign(facade, draft)
    written = await ward.written(draft)
    assert [one["status"] for one in written["Composition"]] == ["preliminary"]
    assert len(written["Provenance"]) == 1
    assert (await facade.documents.get("sandbox", draft)).status is DocumentStatus.PRELIMINARY


class Dying:
    """The documents of a process that dies just before the document is made final here."""

    def __init__(self, documents):
        self._documents = documents

    def __getattr__(self, name):
        return getattr(self._documents, name)

    async def mark_final(self, *_):
        raise KeyboardInterrupt


def dying_signing(facade):
    return Signing(
        ehrs=facade.ehrs,
        connections=facade.connections,
        documents=Dying(facade.documents),
        results=Results(facade.resources, facade.ehrs),
        public_base_url=facade.settings.public_base_url,
    )


async def died_while_signing(facade, encounter):
    try:
        await sign(facade, encounter, signing=dying_signing(facade))
    except KeyboardInterrupt:
        return
    raise AssertionError("it did not die")


async def test_a_crash_after_the_ehr_accepted_heals_when_it_is_signed_again(facade, ward, draft):
    await died_while_signing(facade, draft)
    assert (await facade.documents.get("sandbox", draft)).status is DocumentStatus.PRELIMINARY
    signed = await sign(facade, draft)
    assert signed.status is DocumentStatus.FINAL
    written = await ward.written(draft)
    assert (len(written["Provenance"]), len(written["AuditEvent"])) == (2, 2)


async def test_a_crash_after_the_ehr_accepted_is_not_another_ones_signature(facade, draft):
    await died_while_signing(facade, draft)
    with pytest.raises(AlreadySigned):
        await sign(facade, draft, ANOTHER)
    stored = await facade.documents.get("sandbox", draft)
    assert (stored.status, stored.signature.signer) == (DocumentStatus.FINAL, DOCTOR.reference)


async def test_an_ehr_that_does_not_answer_leaves_a_draft_that_can_be_signed_later(facade, draft, monkeypatch):
    client = facade.connections.client("sandbox")

    async def unavailable(*_):
        raise FhirServerUnavailable("HTTP 503")

    with monkeypatch.context() as patch:
        patch.setattr(type(client), "transaction", unavailable)
        with pytest.raises(EhrNotAnswering):
            await sign(facade, draft)
    assert (await sign(facade, draft)).status is DocumentStatus.FINAL
