"""What was said at order-select is not said again at order-sign; what clinicians do with cards is kept."""

import asyncio
import io
import logging

import pytest
import structlog
from facade.resources.ids import patient_scope
from service_runtime.log import configure_logging
from sqlalchemy import text

NOT_REPEATED = "health.preceptor.not-repeated"
AT = "2026-11-25T10:00:00Z"


@pytest.fixture
def log_lines():
    """Everything that would reach a log."""
    lines = io.StringIO()
    configure_logging("facade", logging.DEBUG)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(lines))
    yield lines.getvalue
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


async def kept(cds, ehr):
    return await cds.container.cds_hooks.cards.not_repeated(patient_scope("sandbox", f"Patient/{ehr.patient}"))


@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@214",
    "The value of an extension element MUST be a pre-coordinated JSON object",
)
@pytest.mark.requirement(
    "e3",
    "cds-hooks_2.0@215",
    "Extension structures SHOULD use a strategy for naming that ensures global uniqueness, such as "
    "reverse-domain-name notation",
)
async def test_an_alert_of_order_select_is_not_repeated_at_order_sign_and_the_reason_is_kept(cds, ehr):
    draft = ehr.draft("Simvastatin", 80, 1)
    (shown,) = await cds.cards("order-select", ehr.request("order-select", draft))
    answer = await cds.call("order-sign", ehr.request("order-sign", draft))
    assert answer.json() == {
        "cards": [],
        "systemActions": [],
        "extension": {NOT_REPEATED: [{"card": shown["uuid"], "reason": "shown-at-order-select"}]},
    }
    assert await kept(cds, ehr) == [(shown["uuid"], "shown-at-order-select")]


async def test_that_it_was_said_is_known_to_another_worker(cds, facade_with, ehr):
    draft = ehr.draft("Simvastatin", 80, 1)
    await cds.cards("order-select", ehr.request("order-select", draft))
    async with facade_with() as other:
        assert await other.cards("order-sign", ehr.request("order-sign", draft)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"draft": {"mg": 100}},
        {"draft": {"often": 2}},
        {"context": {"userId": "Practitioner/somebody-else"}},
    ],
    ids=["another dose", "another rhythm", "another clinician"],
)
async def test_what_is_not_the_same_is_said(cds, ehr, changes):
    await cds.cards("order-select", ehr.request("order-select", ehr.draft("Simvastatin", 80, 1)))
    dose = {"mg": 80, "often": 1, **changes.get("draft", {})}
    other = ehr.request("order-sign", ehr.draft("Simvastatin", **dose), context=changes.get("context", {}))
    assert len(await cds.cards("order-sign", other)) == 1


async def test_only_what_was_said_is_left_out(cds, ehr):
    first, second = ehr.draft("Simvastatin", 80, 1), ehr.draft("Acetaminophen", 1000, 6)
    await cds.cards("order-select", ehr.request("order-select", first))
    answer = (await cds.call("order-sign", ehr.request("order-sign", first, second))).json()
    assert ["acetaminophen" in card["summary"].lower() for card in answer["cards"]] == [True]
    assert len(answer["extension"][NOT_REPEATED]) == 1


async def test_what_was_said_long_ago_is_said_again(cds, ehr):
    draft = ehr.draft("Simvastatin", 80, 1)
    await cds.cards("order-select", ehr.request("order-select", draft))
    async with cds.container.database.session() as session:
        await session.execute(text("UPDATE cds_card SET shown_at = '2026-01-01 00:00:00.000000'"))
    assert len(await cds.cards("order-sign", ehr.request("order-sign", draft))) == 1


async def test_that_something_was_not_checked_is_said_each_time(cds, ehr, starter):
    starter.down = True
    draft = ehr.draft("Simvastatin", 20, 1)
    for hook in ("order-select", "order-sign"):
        (card,) = await cds.cards(hook, ehr.request(hook, draft))
        assert card["summary"].startswith("Not checked")


async def test_the_same_service_says_the_same_again_with_the_same_card(cds, ehr):
    draft = ehr.draft("Simvastatin", 80, 1)
    first, second = [await cds.cards("order-select", ehr.request("order-select", draft)) for _ in range(2)]
    assert first == second != []


@pytest.mark.requirement(
    "e2", "", "Contexts as the hook library defines them: order-select has selections beside draftOrders."
)
@pytest.mark.requirement(
    "e2",
    "cds-hooks-library_1.0.1@86",
    "[When invoking the order-select hook the context field] `selections`[is] Optional",
)
@pytest.mark.requirement(
    "e2",
    "cds-hooks-library_1.0.1@88",
    "[When invoking the order-select hook if context field] `selections`[is populated it SHALL be t]he FHIR id of"
    " the newly selected order(s) … [that] references FHIR resources in the `draftOrders` Bundle.",
)
@pytest.mark.requirement(
    "e2",
    "cds-hooks-library_1.0.1@90",
    "[When invoking the order-select hook the context field] `draftOrders`[is] REQUIRED",
)
async def test_order_select_is_about_what_is_selected_beside_the_other_drafts(cds, ehr):
    chosen, other = ehr.draft("Aspirin", 325, 1), ehr.draft("Warfarin", 500, 1)
    body = ehr.request("order-select", chosen, other, context={"selections": ["MedicationRequest/draft-aspirin"]})
    cards = await cds.cards("order-select", body)
    assert cards
    assert all("aspirin" in card["detail"].lower() for card in cards), "the other draft is not judged by itself"
    assert any("warfarin" in card["detail"].lower() for card in cards), "but it is what the chosen one is beside"
    nothing = ehr.request("order-select", chosen, other, context={"selections": []})
    assert await cds.cards("order-select", nothing) == []
    third = ehr.draft("Simvastatin", 80, 1)
    unsaid = ehr.request("order-select", chosen, other, third, context={"selections": None})
    judged = " ".join(card["summary"].lower() for card in await cds.cards("order-select", unsaid))
    assert "simvastatin" in judged, "without selections all are asked about"
    wrong = ehr.request("order-select", chosen, context={"selections": "MedicationRequest/draft-aspirin"})
    assert (await cds.call("order-select", wrong)).status_code == 400


async def outcomes(cds, card):
    return await cds.container.cds_hooks.cards.feedback(card["uuid"])


@pytest.fixture
async def card(cds, ehr):
    (found,) = await cds.cards("order-sign", ehr.request("order-sign", ehr.draft("Simvastatin", 80, 1)))
    return found


def accepted(card, *suggestions, **more):
    return {"card": card["uuid"], "outcome": "accepted", "acceptedSuggestions": [{"id": one} for one in suggestions],
            "outcomeTimestamp": AT, **more}  # fmt: skip


@pytest.mark.requirement(
    "e7",
    "cds-hooks_2.0@155",
    "[When sending a feedback object,] the card field is required [and SHALL be a] string data type [containing] "
    "the card.uuid from the CDS Hooks response",
)
@pytest.mark.requirement(
    "e7",
    "cds-hooks_2.0@158",
    "[When sending a feedback object,] the acceptedSuggestions field is an array of json objects and is required "
    "[when feedback.outcome is accepted]",
)
@pytest.mark.requirement(
    "e7",
    "cds-hooks_2.0@154",
    "The request to the feedback endpoint SHALL be an object containing an array [of "
    "[Feedback](https://cds-hooks.hl7.org/2.0/#feedback) objects]",
)
@pytest.mark.requirement(
    "e7",
    "cds-hooks_2.0@162",
    "[When sending an AcceptedSuggestion object], the id field is required [and SHALL be a] string data type "
    "[containing] card.suggestion.uuid from the CDS Hooks response",
)
@pytest.mark.requirement(
    "e7",
    "cds-hooks_2.0@161",
    "[When sending a feedback object,] the outcomeTimestamp field is required [and SHALL be a] string data type "
    "[using the] [ISO8601](https://en.wikipedia.org/wiki/ISO_8601) representation of the date and time in "
    "Coordinated Universal Time (UTC) when action was taken on the card, as profiled in [section 5.6 of "
    "RFC3339](https://datatracker.ietf.org/doc/html/rfc3339#section-5.6)",
)
async def test_an_accepted_suggestion_is_kept_with_its_label(cds, card):
    chosen = card["suggestions"][0]["uuid"]
    answer = await cds.feedback("order-sign", accepted(card, chosen))
    assert (answer.status_code, answer.content) == (200, b"")
    ((outcome, content),) = await outcomes(cds, card)
    assert (outcome, content["acceptedSuggestions"]) == ("accepted", [{"id": chosen}])
    shown = (await cds.container.cds_hooks.cards.shown("sandbox", "order-sign", [card["uuid"]]))[card["uuid"]]
    about = shown.content["about"]
    assert (about["kind"], about["verdict"], about["fact"]["body"]["ingredient"]) == (
        "dose",
        "contradicted",
        "simvastatin",
    )


@pytest.mark.requirement(
    "e7",
    "cds-hooks_2.0@156",
    "[When sending a feedback object,] the outcome field is required [and SHALL be a] string data type [with a "
    "value of either] accepted or overridden",
)
@pytest.mark.requirement(
    "e7", "cds-hooks_2.0@159", "[When sending a feedback object,] the overrideReason field is a overrideReason object"
)
@pytest.mark.requirement(
    "e7",
    "cds-hooks_2.0@165",
    "[When sending a overrideReason object,] the reason field is required if user selected an override reason "
    "from the list of reasons provided in the Card [and SHALL be a] coding object",
)
@pytest.mark.requirement(
    "e7",
    "cds-hooks_2.0@166",
    "[When sending a overrideReason object,] the userComment field is a string data type",
)
async def test_an_override_is_kept_with_its_reason_and_comment(cds, card):
    reason = {"reason": card["overrideReasons"][0], "userComment": "Taken for years."}
    item = {"card": card["uuid"], "outcome": "overridden", "overrideReason": reason, "outcomeTimestamp": AT}
    assert (await cds.feedback("order-sign", item)).status_code == 200
    ((outcome, content),) = await outcomes(cds, card)
    assert (outcome, content["overrideReason"]) == ("overridden", reason)


@pytest.mark.requirement("e7", "", "Repeats are one.")
async def test_feedback_that_is_repeated_is_kept_once(cds, card):
    item = accepted(card, card["suggestions"][0]["uuid"])
    answers = await asyncio.gather(*(cds.feedback("order-sign", item) for _ in range(5)))
    answers.append(await cds.feedback("order-sign", item, item))
    assert {one.status_code for one in answers} == {200}
    assert len(await outcomes(cds, card)) == 1


async def test_a_clinician_may_think_again(cds, card):
    await cds.feedback("order-sign", accepted(card, card["suggestions"][0]["uuid"]))
    again = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": "2026-11-25T10:05:00Z"}
    await cds.feedback("order-sign", again)
    assert [outcome for outcome, _ in await outcomes(cds, card)] == ["accepted", "overridden"]


@pytest.mark.requirement("e7", "", "Unknown card 404 or ignored.")
async def test_a_card_that_was_not_shown_is_not_found_and_nothing_is_kept(cds, card):
    known = accepted(card, card["suggestions"][0]["uuid"])
    unknown = {**known, "card": "6d037c46-a16c-5bd5-9232-000000000000"}
    assert (await cds.feedback("order-sign", unknown)).status_code == 404
    assert (await cds.feedback("order-sign", known, unknown)).status_code == 404
    assert (await cds.feedback("order-select", known)).status_code == 404, "it was another service that showed it"
    assert await outcomes(cds, card) == []


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "ignored"},
        {"outcome": None},
        {"acceptedSuggestions": []},
        {"acceptedSuggestions": [{"id": "not-one-of-the-card"}]},
        {"acceptedSuggestions": "all"},
        {"outcomeTimestamp": "yesterday"},
        {"outcomeTimestamp": None},
        {"card": None},
    ],
)
async def test_feedback_that_is_none_is_refused_without_its_values(cds, card, change):
    item = {**accepted(card, card["suggestions"][0]["uuid"]), **change, "surname": "Marked"}
    answer = await cds.feedback("order-sign", item)
    assert answer.status_code == 400
    assert "Marked" not in answer.text
    assert "not-one" not in answer.text


async def test_who_it_is_about_is_in_no_log_and_no_file(cds, ehr, log_lines, cds_settings, starter):
    marked = ehr.draft("Simvastatin", 80, 1, note=[{"text": "Zebediahquill asked for it."}])
    body = ehr.request("order-sign", marked)
    body["prefetch"]["patient"]["name"] = [{"family": "Zebediahquill"}]
    await cds.cards("order-sign", body)
    await cds.call("order-sign", body | {"context": "Zebediahquill"})
    await cds.call("order-sign", body, token="Zebediahquill.Zebediahquill.Zebediahquill")
    starter.down = True
    await cds.cards("order-sign", body)
    lines = log_lines()
    assert "cds.answered" in lines
    assert "cds.client-refused" in lines
    stored = b"".join(path.read_bytes() for path in cds_settings.ehrs_file.parent.glob("facade.sqlite3*"))
    for word in ("Zebediahquill", "imvastatin", "patient-1", "stay-1", "dr-1"):
        assert word not in lines
        assert word.encode() not in stored


async def test_what_a_clinician_wrote_is_sealed(cds, card, cds_settings):
    item = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": AT,
            "overrideReason": {"userComment": "Zebediahquill wants it."}}  # fmt: skip
    assert (await cds.feedback("order-sign", item)).status_code == 200
    folder = cds_settings.ehrs_file.parent
    raw = b"".join(path.read_bytes() for path in folder.glob("facade.sqlite3*"))
    for word in (b"Zebediahquill", b"imvastatin", b"patient-1", b"dr-1"):
        assert word not in raw
