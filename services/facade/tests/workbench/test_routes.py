"""The page over HTTP against a real EHR: who may do what, every decision, and the signature."""

import html
import json
import re

import pytest
from facade.decisions import Decision, DecisionAction
from facade.store.documents import DocumentStatus
from facade.workbench.static_files import static_url
from service_contracts.reconciliation import Verdict

HOSTILE = "<script>alert('draft')</script><img src=x onerror=alert(1)>"


@pytest.fixture
async def stay(ward):
    """A stay whose discharge list has a dose above the limit."""
    return await ward.admit()


@pytest.fixture
async def path(clinician, ward, stay, eventually):
    """The page of a stay whose draft is in the EHR and has one flag."""
    path = await clinician.open(stay)
    answer = await clinician.ask(f"{path}/draft", method="POST", data={"csrf": await clinician.csrf(path)})
    assert answer.status_code == 303
    await eventually(lambda: clinician.container.documents.get("sandbox", stay), lambda stored: stored.written)
    return path


async def flag_of(clinician, stay):
    (flag,) = (await clinician.container.documents.get("sandbox", stay)).document.flags
    return flag


async def decide(clinician, path, stay, action, **more):
    form = {"csrf": await clinician.csrf(path), "flag": (await flag_of(clinician, stay)).id, "action": action, **more}
    return await clinician.ask(f"{path}/decisions", method="POST", data=form)


async def signature(clinician, path, **changes):
    page = await clinician.ask(f"{path}/final")
    form = {
        name: html.unescape(value)
        for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
    }
    for name, text in re.findall(r'<textarea name="([^"]+)"[^>]*>\n(.*?)</textarea>', page.text, re.S):
        form[name] = html.unescape(text)
    return await clinician.ask(f"{path}/signature", method="POST", data={**form, **changes})


async def test_a_stay_without_a_document_offers_to_write_it(clinician, stay):
    path = await clinician.open(stay)

    page = await clinician.ask(path)

    assert page.status_code == 200
    assert "Write the draft" in page.text
    assert await clinician.container.documents.get("sandbox", stay) is None


async def test_the_draft_streams_checked_sentences_and_ends_with_finished(clinician, stay):
    path = await clinician.open(stay)

    answer = await clinician.ask(
        f"{path}/draft",
        method="POST",
        data={"csrf": await clinician.csrf(path)},
        headers={"Accept": "application/x-ndjson"},
    )

    events = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert events[-1] == {"event": "finished"}
    sentences = [event for event in events if event["event"] == "sentence"]
    assert [event["text"] for event in sentences if event["section"] == "medications"] == [
        "Take Simvastatin 80 mg once a day."
    ]
    assert {event["state"] for event in sentences} <= {"agrees", "disagrees", "unchecked", "no-evidence", "no-claim"}
    assert await clinician.container.documents.get("sandbox", stay)


@pytest.mark.parametrize("script", [True, False])
async def test_a_draft_that_fails_says_what_failed_and_leaves_no_document(clinician, suite, stay, script):
    suite.drafting.failure = "drafting-unavailable"
    path = await clinician.open(stay)

    answer = await clinician.ask(
        f"{path}/draft",
        method="POST",
        data={"csrf": await clinician.csrf(path)},
        headers={"Accept": "application/x-ndjson" if script else "text/html"},
    )

    assert "The drafting service is not running." in answer.text
    assert answer.status_code == (200 if script else 503)
    assert '"finished"' not in answer.text
    assert await clinician.container.documents.get("sandbox", stay) is None


async def test_the_flag_stands_in_the_text_with_everything_a_reader_needs_to_check_it(clinician, path, stay):
    flag = await flag_of(clinician, stay)

    page = html.unescape((await clinician.ask(path)).text)

    assert f">{flag.span.quote}</mark>" in page
    assert flag.finding in page
    assert flag.says in page
    assert "“The recommended dosage is at most 40 mg a day.”" in page
    assert "Simvastatin label. A publisher, version 7, Dosage." in page
    assert 'href="https://example.org/label" target="_blank" rel="noopener noreferrer"' in page
    assert "Order: Simvastatin" in page
    assert "0 of 1 flags decided" in page


async def test_accept_puts_the_correction_into_the_text(clinician, path, stay):
    flag = await flag_of(clinician, stay)
    assert flag.correction

    answer = await decide(clinician, path, stay, "accept")

    assert (answer.status_code, answer.headers["location"]) == (303, path)
    page = html.unescape((await clinician.ask(path)).text)
    assert f"<ins>{flag.correction}</ins>" in page
    assert "1 of 1 flags decided" in page


async def test_edit_puts_the_clinicians_words_into_the_text(clinician, path, stay):
    await decide(clinician, path, stay, "edit", replacement="Take half a tablet.")

    assert "<ins>Take half a tablet.</ins>" in (await clinician.ask(path)).text


async def test_override_keeps_the_text_and_shows_the_reason(clinician, path, stay):
    await decide(clinician, path, stay, "override", reason="Taken for years.")

    page = (await clinician.ask(path)).text
    assert "Taken for years." in page
    assert "<ins>" not in page


async def test_override_without_a_reason_is_refused(clinician, path, stay):
    answer = await decide(clinician, path, stay, "override", reason="  ")

    assert answer.status_code == 422
    assert "An override needs a reason." in answer.text
    assert (await clinician.container.documents.get("sandbox", stay)).decisions == ()


async def test_a_decision_on_no_flag_is_refused(clinician, path, stay):
    form = {"csrf": await clinician.csrf(path), "flag": "another", "action": "accept"}

    answer = await clinician.ask(f"{path}/decisions", method="POST", data=form)

    assert answer.status_code == 422
    assert (await clinician.container.documents.get("sandbox", stay)).decisions == ()


async def test_deciding_anew_replaces_what_was_decided(clinician, path, stay):
    await decide(clinician, path, stay, "accept")
    await decide(clinician, path, stay, "override", reason="On second thoughts.")

    page = (await clinician.ask(path)).text
    assert "On second thoughts." in page
    assert "<ins>" not in page
    assert len((await clinician.container.documents.get("sandbox", stay)).decisions) == 2


async def test_an_undecided_flag_stops_the_signature_and_is_named(clinician, path, stay):
    flag = await flag_of(clinician, stay)

    for answer in (
        await clinician.ask(f"{path}/final"),
        await clinician.ask(f"{path}/signature", method="POST", data={"csrf": await clinician.csrf(path)}),
    ):
        assert answer.status_code == 409
        assert flag.finding in html.unescape(answer.text)
    assert (await clinician.container.documents.get("sandbox", stay)).status is DocumentStatus.PRELIMINARY


async def test_the_signature_makes_the_document_final_in_the_name_of_who_launched(clinician, path, stay, ward):
    await decide(clinician, path, stay, "override", reason="Taken for years.")

    answer = await signature(clinician, path)

    assert (answer.status_code, answer.headers["location"]) == (303, path)
    page = (await clinician.ask(path)).text
    assert re.search("Signed by .*Dr. ", page)
    assert "Taken for years." in page
    written = await ward.written(stay)
    assert [one["status"] for one in written["Composition"]] == ["final"]
    assert [one["docStatus"] for one in written["DocumentReference"]] == ["final"]
    attester = written["Composition"][0]["attester"][0]["party"]["reference"]
    assert attester == (await clinician.container.documents.get("sandbox", stay)).signature.signer
    # Another click changes nothing.
    assert (await signature(clinician, path)).status_code in (303, 403)


async def test_the_text_that_was_typed_is_what_is_signed(clinician, path, stay):
    await decide(clinician, path, stay, "accept")

    await signature(clinician, path, **{"section:medications": f"Take it as before.\r\n{HOSTILE}"})

    stored = await clinician.container.documents.get("sandbox", stay)
    assert stored.status is DocumentStatus.FINAL
    texts = {section.key: section.text for section in stored.signed_sections}
    assert texts["medications"] == f"Take it as before.\n{HOSTILE}"
    page = (await clinician.ask(path)).text
    assert HOSTILE not in page
    assert html.escape(HOSTILE, quote=False).replace("'", "&#39;") in page
    assert "Changed by hand" in page


async def test_a_decision_made_meanwhile_stops_the_signature(clinician, path, stay, new_browser):
    await decide(clinician, path, stay, "accept")
    page = await clinician.ask(f"{path}/final")
    revision = re.search(r'name="revision" value="([^"]+)"', page.text)[1]
    colleague = new_browser()
    await decide(colleague, await colleague.open(stay), stay, "override", reason="No.")

    answer = await signature(clinician, path, revision=revision)

    assert answer.status_code == 409
    assert "The decisions have changed" in answer.text
    assert (await clinician.container.documents.get("sandbox", stay)).status is DocumentStatus.PRELIMINARY


async def test_a_document_changed_in_the_ehr_is_not_signed(clinician, path, stay, ward):
    await decide(clinician, path, stay, "accept")
    stored = await clinician.container.documents.get("sandbox", stay)
    composition = await ward.client.read(stored.written["composition"])
    await ward.client.update({**composition, "title": "Another title"})

    answer = await signature(clinician, path)

    assert answer.status_code == 409
    assert "The document was changed in the EHR" in answer.text
    assert (await ward.client.read(stored.written["composition"]))["status"] == "preliminary"


async def test_a_signed_document_takes_no_more_decisions(clinician, path, stay):
    await decide(clinician, path, stay, "accept")
    token = await clinician.csrf(path)
    await signature(clinician, path)
    form = {"csrf": token, "flag": (await flag_of(clinician, stay)).id, "action": "override", "reason": "late"}

    answer = await clinician.ask(f"{path}/decisions", method="POST", data=form)

    assert answer.status_code == 422
    assert (await clinician.ask(f"{path}/final")).headers["location"] == path


@pytest.mark.parametrize("route", ["/draft", "/decisions", "/signature", "/end"])
@pytest.mark.parametrize(
    "forgery",
    [
        {"data": {}},
        {"data": {"csrf": "guess"}},
        {"headers": {"Origin": "http://evil.example"}},
        {"headers": {"Origin": "null"}},
        {"headers": {"Sec-Fetch-Site": "cross-site"}},
        {"headers": {"Sec-Fetch-Site": "same-site"}},
    ],
    ids=lambda forgery: str(forgery),
)
async def test_a_request_other_sites_cause_changes_nothing(clinician, stay, route, forgery):
    path = await clinician.open(stay)
    good = {"data": {"csrf": await clinician.csrf(path), "flag": "f", "action": "accept"}}

    answer = await clinician.ask(f"{path}{route}", method="POST", **{**good, **forgery})

    assert answer.status_code == 403
    assert "did not come from this page" in answer.text
    assert await clinician.container.documents.get("sandbox", stay) is None
    assert (await clinician.ask(path)).status_code == 200


@pytest.mark.parametrize("route", ["", "/final"])
async def test_without_the_cookie_the_page_says_to_launch_again(clinician, new_browser, path, route):
    answer = await new_browser().ask(f"{path}{route}")

    assert answer.status_code == 401
    assert "Launch Preceptor again" in answer.text
    assert "Simvastatin" not in answer.text


async def test_the_cookie_of_one_window_opens_no_other(clinician, path, ward):
    other = await clinician.open(await ward.admit(()))
    mine, theirs = (f"preceptor-session-{one.rpartition('/')[2]}" for one in (path, other))
    clinician.cookies[theirs] = clinician.cookies[mine]

    assert (await clinician.ask(other)).status_code == 401
    assert (await clinician.ask(path)).status_code == 200


async def test_a_session_that_was_ended_is_over(clinician, path):
    answer = await clinician.ask(f"{path}/end", method="POST", data={"csrf": await clinician.csrf(path)})

    assert answer.status_code == 200
    assert "You have closed this session" in answer.text
    assert not [name for name in clinician.cookies if "session" in name]
    assert (await clinician.ask(path)).status_code == 401


async def test_every_page_keeps_itself_in_the_frame_and_out_of_caches(clinician, path, stay):
    await decide(clinician, path, stay, "accept")
    pages = [await clinician.ask(path), await clinician.ask(f"{path}/final"), await clinician.ask(f"{path}x")]

    for page in pages:
        policy = dict(part.partition(" ")[::2] for part in page.headers["content-security-policy"].split("; "))
        assert policy == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self'",
            "connect-src": "'self'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": clinician.ehr.base_url,
        }
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert "x-frame-options" not in page.headers
        # Nothing inline: the policy would block it.
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", page.text)


async def test_no_address_of_a_page_names_the_patient_or_the_stay(clinician, path, stay):
    page = await clinician.ask(path)
    stored = await clinician.container.documents.get("sandbox", stay)

    for secret in (stay, stay.partition("/")[2], stored.patient.partition("/")[2], stored.id):
        assert secret not in path
        assert not re.search(rf'(?:href|action|src)="[^"]*{re.escape(secret)}', page.text)


async def test_hostile_text_of_the_draft_is_shown_as_text(clinician, path, stay, monkeypatch):
    stored = await clinician.container.documents.get("sandbox", stay)
    document = stored.document
    hostile = document.model_copy(
        update={
            "sections": tuple(
                section.model_copy(update={"title": HOSTILE, "text": f"{HOSTILE}\n{section.text}"})
                for section in document.sections
            ),
            "claims": tuple(
                claim.model_copy(update={"assertion": HOSTILE, "verdict": Verdict.NOT_CHECKED, "span": None})
                for claim in document.claims
            ),
            "flags": tuple(
                flag.model_copy(update={"says": HOSTILE, "finding": HOSTILE, "correction": HOSTILE, "span": None})
                for flag in document.flags
            ),
            "facts": tuple(
                fact.model_copy(
                    update={
                        "statement": HOSTILE,
                        "source": fact.source.model_copy(
                            update={"title": HOSTILE, "publisher": HOSTILE, "identifier": "javascript:alert(1)"}
                        ),
                    }
                )
                for fact in document.facts
            ),
            "missing": (HOSTILE,),
        }
    )
    changed = type(stored)(**{**vars(stored), "document": hostile})

    async def get(*_):
        return changed

    monkeypatch.setattr(clinician.container.documents, "get", get)
    page = (await clinician.ask(path)).text

    assert html.escape(HOSTILE, quote=False).replace("'", "&#39;") in page
    assert HOSTILE not in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert 'href="javascript:' not in page


async def test_two_corrections_of_the_same_words_are_not_both_called_applied(clinician, path, stay, monkeypatch):
    stored = await clinician.container.documents.get("sandbox", stay)
    (flag,) = stored.document.flags
    twin = flag.model_copy(update={"id": "twin"})
    decisions = tuple(
        Decision(one.id, DecisionAction.ACCEPT, "Practitioner/dr-1", stored.created_at) for one in (flag, twin)
    )
    document = stored.document.model_copy(update={"flags": (flag, twin)})
    changed = type(stored)(**{**vars(stored), "document": document, "decisions": decisions})

    async def get(*_):
        return changed

    monkeypatch.setattr(clinician.container.documents, "get", get)
    page = (await clinician.ask(path)).text

    assert page.count("Not in the text: another decision has already replaced these words.") == 1


@pytest.mark.parametrize("name", ["page.css", "page.js", "mark.svg"])
async def test_our_own_files_may_be_kept_because_their_address_changes_with_them(clinician, name):
    answer = await clinician.ask(static_url(name))

    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await clinician.ask(f"/workbench/static/0000000000000000/{name}")).status_code == 404


async def test_a_form_that_is_too_large_is_refused(clinician, path):
    form = {"csrf": await clinician.csrf(path), "action": "accept", "reason": "x" * 300_000}

    answer = await clinician.ask(f"{path}/decisions", method="POST", data=form)

    assert answer.status_code == 413
