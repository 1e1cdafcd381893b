"""A discharge in the EHR becomes one checked, flagged document; what is down is said and never shown as passed."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from preceptor.demo.document import ShownDocument, read_document
from preceptor.demo.run import DEMONSTRATION_ENCOUNTER, wait_for_document
from preceptor.ehr_access import EhrAccess
from preceptor.suite.background import BackgroundSuite

pytestmark = pytest.mark.suite

Until = Callable[..., Awaitable[Any]]

ORDINARY = "enc-081ca84e8e7c"
WITHOUT_RETRIEVAL = "enc-cc756340b096"
WITHOUT_DRAFTING = "enc-ec997eba53d6"


async def discharged(ehr: EhrAccess, encounter: str) -> ShownDocument:
    await ehr.discharge(encounter)
    return await shown(ehr, await wait_for_document(ehr, encounter))


async def shown(ehr: EhrAccess, composition: dict[str, Any]) -> ShownDocument:
    references = [entry["reference"] for one in composition["section"] for entry in one.get("entry", [])]
    return read_document(composition, [await ehr.read(reference) for reference in references])


async def test_a_discharge_becomes_a_document(ehr: EhrAccess) -> None:
    document = await discharged(ehr, ORDINARY)
    assert document.sections
    assert [note for note in document.notes if "checked statements agree" in note]


async def test_the_demonstration_has_a_true_flag_of_each_kind(suite: BackgroundSuite, ehr: EhrAccess) -> None:
    document = await discharged(ehr, DEMONSTRATION_ENCOUNTER)
    assert not [note for note in document.notes if "the time ran out" in note]
    flags = {flag.kind: flag for flag in document.flags}
    assert {"dose", "interaction", "activity", "follow-up"} <= flags.keys()
    for kind in ("dose", "interaction", "activity", "follow-up"):
        of_kind = [flag for flag in document.flags if flag.kind == kind]
        assert any(flag.source and '"' in flag.source and "version" in flag.source for flag in of_kind), kind
    words = " ".join(f"{flag.says} {flag.finding} {flag.source}".lower() for flag in document.flags)
    for truth in ("metformin", "2550", "simvastatin", "clarithromycin", "lift up to 50"):
        assert truth in words
    placed = [flag for one in document.sections for _, flags_here in one.lines for flag in flags_here]
    assert {"dose", "interaction", "activity"} <= {flag.kind for flag in placed}
    assert document.status == "preliminary"


async def test_the_document_comes_with_its_provenance_and_a_completed_task(ehr: EhrAccess, until: Until) -> None:
    composition = (await ehr.search("Composition", encounter=f"Encounter/{DEMONSTRATION_ENCOUNTER}"))[0]
    (provenance,) = await ehr.search("Provenance", target=f"Composition/{composition['id']}")
    assert provenance["agent"][0]["who"]["reference"].startswith("Device/")
    tasks = await ehr.search("Task", encounter=f"Encounter/{DEMONSTRATION_ENCOUNTER}")
    assert [task["status"] for task in tasks] == ["completed"]
    assert len(await ehr.search("DocumentReference", encounter=f"Encounter/{DEMONSTRATION_ENCOUNTER}")) == 1


async def test_a_second_discharge_of_the_same_stay_writes_nothing_more(ehr: EhrAccess) -> None:
    before = await ehr.search("Composition", encounter=f"Encounter/{DEMONSTRATION_ENCOUNTER}")
    await ehr.discharge(DEMONSTRATION_ENCOUNTER)
    assert await ehr.search("Composition", encounter=f"Encounter/{DEMONSTRATION_ENCOUNTER}") == before


async def test_without_retrieval_the_document_is_there_and_nothing_is_shown_as_passed(
    suite: BackgroundSuite, ehr: EhrAccess
) -> None:
    await suite.apply(("adapter-serving", "reconciliation"))
    try:
        document = await discharged(ehr, WITHOUT_RETRIEVAL)
    finally:
        await suite.apply()
    assert document.sections
    not_checked = [note for note in document.notes if note.startswith("Not checked: ")]
    assert not_checked
    # Which of the two it is depends on whether the call failed or hung until the deadline.
    reasons = ("the evidence could not be reached", "the time ran out")
    assert [note for note in not_checked if not any(reason in note for reason in reasons)] == []
    assert document.notes[-1] == "No statement could be checked against the evidence."
    assert not [note for note in document.notes if note.startswith("No evidence found")], "nobody looked"


async def test_without_drafting_the_task_fails_with_its_reason_and_is_done_when_drafting_is_back(
    suite: BackgroundSuite, ehr: EhrAccess, until: Until
) -> None:
    async def tasks(status: str) -> list[dict[str, Any]]:
        found = await ehr.search("Task", encounter=f"Encounter/{WITHOUT_DRAFTING}")
        return [task for task in found if task["status"] == status]

    await suite.apply(("retrieval", "reconciliation"))
    try:
        await ehr.discharge(WITHOUT_DRAFTING)
        (failed,) = await until(lambda: tasks("failed"))
        assert failed["statusReason"]["text"]
        assert not await ehr.search("Composition", encounter=f"Encounter/{WITHOUT_DRAFTING}")
    finally:
        await suite.apply()
    (completed,) = await until(lambda: tasks("completed"), timeout_s=90)
    assert completed["id"] == failed["id"]
    assert (await shown(ehr, await wait_for_document(ehr, WITHOUT_DRAFTING))).sections
