"""Ordering a medicine: what a form must say, and that an EHR without CDS services says so instead of signing."""

import re
from typing import Any

import httpx
import pytest
from sandbox_ehr.cds_hooks.orders import InvalidOrder, PendingOrder, PendingOrders, draft_order, signed

STAY = "enc-ac4dcc33953d"
FORM = {"drug": "Simvastatin", "dose": "80", "times": "1"}


def order(**changes: str) -> dict[str, Any]:
    return draft_order(FORM | changes, patient="p", encounter="e", user="dr")


def test_a_draft_says_what_the_form_says() -> None:
    draft = order(times="2")
    dosage = draft["dosageInstruction"][0]
    assert (draft["status"], draft["medicationCodeableConcept"]) == ("draft", {"text": "Simvastatin"})
    assert (dosage["text"], dosage["timing"]["repeat"]["frequency"]) == ("80 mg, 2 times a day", 2)
    assert signed(draft)["status"] == "active"


@pytest.mark.parametrize(
    "change",
    [
        {"drug": " "},
        {"drug": "x" * 201},
        {"dose": "0"},
        {"dose": "nan"},
        {"dose": "much"},
        {"times": "0"},
        {"times": "25"},
    ],
)
def test_a_form_that_says_too_little_is_no_order(change: dict[str, str]) -> None:
    with pytest.raises(InvalidOrder):
        order(**change)


def test_a_pending_order_is_taken_once_and_the_oldest_are_forgotten() -> None:
    pending = PendingOrders()
    names = [pending.keep(PendingOrder("e", order(), ())) for _ in range(201)]
    assert pending.take(names[0]) is None
    assert pending.take(names[-1]) is not None
    assert pending.take(names[-1]) is None


def test_without_cds_services_no_order_can_be_made_and_forged_forms_are_refused(ehr: Any) -> None:
    with httpx.Client(base_url=ehr.base_url) as browser:
        page = browser.get(f"/stays/{STAY}").text
        assert "Order a medication" not in page
        assert browser.post(f"/stays/{STAY}/orders", data=FORM).status_code == 403
        found = re.search(r'name="csrf" value="([^"]+)"', page)
        assert found is not None
        answer = browser.post(f"/stays/{STAY}/orders", data=FORM | {"csrf": found[1]})
        assert "the order was not checked" in answer.text
        assert browser.get("/cds/jwks").json()["keys"][0]["kty"] == "EC"
        assert "d" not in browser.get("/cds/jwks").json()["keys"][0]
