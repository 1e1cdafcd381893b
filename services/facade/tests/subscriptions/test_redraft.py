"""A draft that was made while the stay went on is made again when it ends, as long as nobody has decided on it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from facade.resources.ids import patient_scope
from facade.resources.signing import Signer
from facade.store.tables import SessionRow


async def drafted_during_the_stay(facade, ward, eventually, new_request_id):
    """Admit a patient and draft as the clinician's page does; return the encounter and the document."""
    encounter = await ward.admit()
    events = [event async for event in facade.drafting.stream("sandbox", encounter, new_request_id)]
    assert events[-1].event == "finished"
    stored = await eventually(
        lambda: facade.documents.get("sandbox", encounter), lambda found: found is not None and found.written
    )
    return encounter, stored


async def lower_the_dose(ward, encounter):
    patient = (await ward.client.read(encounter))["subject"]["reference"]
    (order,) = await ward.client.search("MedicationRequest", [("patient", patient)])
    order["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["value"] = 20
    await ward.client.update(order)


@pytest.mark.requirement("b2", "", "Writes use conditional create, If-Match, or a transaction.")
@pytest.mark.requirement("f3", "", "Deterministic ids and conditional create: a replay is a no-op.")
async def test_what_changed_since_is_in_the_same_documents_as_a_new_version(
    facade, ward, eventually, new_request_id, decide
):
    encounter, first = await drafted_during_the_stay(facade, ward, eventually, new_request_id)
    assert len(first.document.flags) == 1, "80 mg of simvastatin is too much"
    await lower_the_dose(ward, encounter)
    await ward.discharge(encounter)
    second = await eventually(
        lambda: facade.documents.get("sandbox", encounter),
        lambda found: found.chart.discharged is not None and found.written,
    )
    assert second.document.flags == ()
    written = await ward.written(encounter)
    counts = {kind: len(found) for kind, found in written.items()}
    assert counts == {
        "Composition": 1, "DocumentReference": 1, "DetectedIssue": 1, "Task": 1, "Provenance": 2, "AuditEvent": 2,
    }  # fmt: skip
    assert written["Composition"][0]["meta"]["versionId"] == second.versions["composition"] == "2"
    assert "20 mg" in str(written["Composition"][0]["section"])
    (provenance,) = [one for one in written["Provenance"] if len(one["target"]) == 2]
    assert {target["reference"].partition("/_history")[0] for target in provenance["target"]} == {
        second.written["composition"], second.written["document-reference"],
    }  # fmt: skip
    assert written["DetectedIssue"][0]["status"] == "cancelled"
    assert second.written["composition"] == first.written["composition"]
    await decide(facade, encounter)
    signed = await facade.signing.sign(
        "sandbox", encounter, signer=Signer("Practitioner/dr-1", "Dr. Example"), sections=None,
        request_id=new_request_id,
    )  # fmt: skip
    assert signed.status == "final"


async def test_what_somebody_has_decided_on_is_left_as_it_is(facade, ward, eventually, new_request_id, decide):
    encounter, first = await drafted_during_the_stay(facade, ward, eventually, new_request_id)
    await decide(facade, encounter)
    await lower_the_dose(ward, encounter)
    await ward.discharge(encounter)
    await eventually(facade.inbox.queue.counts, lambda found: not found.get("pending"))
    stored = await facade.documents.get("sandbox", encounter)
    assert stored.document == first.document
    assert len((await ward.written(encounter))["Provenance"]) == 1


async def test_a_document_does_not_change_while_its_page_may_be_open(
    facade, ward, eventually, new_request_id, monkeypatch
):
    encounter, first = await drafted_during_the_stay(facade, ward, eventually, new_request_id)
    is_open = True

    async def asked(_):
        return is_open

    monkeypatch.setattr(facade.documents, "is_open", asked)
    await lower_the_dose(ward, encounter)
    await ward.discharge(encounter)
    await asyncio.sleep(1.5)
    assert (await facade.documents.get("sandbox", encounter)).document == first.document
    is_open = False
    await eventually(
        lambda: facade.documents.get("sandbox", encounter), lambda found: found.chart.discharged is not None
    )


async def test_a_session_of_the_patient_is_an_open_page(facade, ward, eventually, new_request_id):
    _, stored = await drafted_during_the_stay(facade, ward, eventually, new_request_id)
    assert not await facade.documents.is_open(stored)
    for minutes, is_open in ((-1, False), (5, True)):
        moment = datetime.now(UTC) + timedelta(minutes=minutes)
        row = SessionRow(
            window=f"w{minutes}", secret_hash="x", ehr_id="sandbox",
            patient_key=patient_scope("sandbox", stored.patient), sealed=b"", idle_until=moment, ends_at=moment,
        )  # fmt: skip
        async with facade.database.session() as session:
            session.add(row)
        assert await facade.documents.is_open(stored) is is_open
