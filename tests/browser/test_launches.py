"""Launches that only a browser can show to work: a form instead of an address, and a card's link in the EHR's frame."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from facade.resources.ids import document_id
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(600)
DEMONSTRATION = "enc-ac4dcc33953d"


def test_a_launch_too_long_for_an_address_goes_to_the_ehr_and_comes_back(desk: Any) -> None:
    query = urlencode({"iss": f"{desk.hospital.ehr_url}/fhir", "launch": "x" * 1900})

    desk.page.goto(f"{desk.hospital.facade_url}/smart/launch?{query}")

    # The EHR did not begin this launch. That it says so at our redirect address shows that the form reached it.
    expect(desk.page.get_by_role("heading", name="The EHR refused the launch")).to_be_visible()
    assert "/smart/callback" in desk.page.url


def test_a_link_of_a_card_scrolls_to_its_finding_in_the_frame(desk: Any) -> None:
    frame = desk.review()
    last = frame.locator(".card.open").last
    flag = last.locator("input[name=flag]").input_value()
    number = last.get_attribute("data-flag")
    named = json.dumps({"document": document_id("sandbox", f"Encounter/{DEMONSTRATION}"), "flag": flag})
    desk.open_stay()
    # What an EHR does with a link of type smart: the launch of the button, with the card's appContext.
    desk.page.locator("form[action$='/launch']").first.evaluate(
        """(form, value) => {
            const field = document.createElement("input");
            Object.assign(field, { type: "hidden", name: "app_context", value });
            form.append(field);
        }""",
        named,
    )
    desk.page.get_by_role("button", name="Launch Preceptor").click()

    opened = desk.frame.locator("[data-opened]")
    expect(opened).to_have_count(1)
    expect(opened).to_have_attribute("data-flag", str(number))
    expect(opened).to_be_in_viewport()
