"""The whole review without a mouse, at the width of a telephone, and by the rules of axe-core."""

import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import FrameLocator, Page, expect

pytestmark = pytest.mark.timeout(600)
IMAGES = Path(__file__).parents[2] / "docs" / "images"


def decided(frame: FrameLocator, count: int) -> None:
    expect(frame.locator(".progress label")).to_have_text(re.compile(rf"^{count} of \d+ flags? decided$"))


def current(frame: FrameLocator, number: int) -> None:
    """The flag the keys act on is this one, and it has the focus."""
    expect(frame.locator(".card.current")).to_have_attribute("data-flag", str(number))
    expect(frame.locator(".card:focus")).to_have_attribute("data-flag", str(number))


def faults(page: Page) -> list[str]:
    """What axe-core has against the page in the frame."""
    results: list[str] = []
    for frame in page.frames:
        if "/workbench/" in frame.url:
            found = Axe().run(frame, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
            assert len(found.response["passes"]) > 10, "axe-core looked at nothing"
            results += [
                f"{one['id']}: {one['help']}: {node['html'][:200]} {node['failureSummary'][:300]}"
                for one in found.response["violations"]
                for node in one["nodes"]
            ]
    return results


def test_a_clinician_reviews_decides_and_signs_by_keyboard_alone(desk: Any) -> None:
    desk.open_stay()
    launch = desk.page.get_by_role("button", name="Launch Preceptor")
    launch.focus()
    launch.press("Enter")
    frame = desk.frame
    expect(frame.locator(".card").first).to_be_visible()
    total = frame.locator(".card").count()
    key = desk.page.keyboard.press

    # From the EHR's page Tab leads into the frame, and there first to the way past the bar.
    skip = frame.get_by_role("link", name="Skip to the document")
    for _ in range(20):
        if skip.evaluate("element => element === document.activeElement"):
            break
        key("Tab")
    expect(skip).to_be_focused()
    key("Enter")
    expect(frame.locator("main")).to_be_focused()

    key("?")
    expect(frame.get_by_role("dialog", name="Keys")).to_be_visible()
    key("Escape")
    expect(frame.get_by_role("dialog", name="Keys")).to_be_hidden()

    # s does not sign while flags are open; it leads to the first of them.
    key("s")
    expect(frame.get_by_role("alert")).to_contain_text("not decided yet")
    current(frame, 1)
    key("j")
    current(frame, 2)
    key("k")
    current(frame, 1)
    key("a")
    decided(frame, 1)
    current(frame, 2)  # on to the next open flag

    key("o")
    dialog = frame.get_by_role("dialog", name="Override this flag?")
    expect(dialog.get_by_role("textbox")).to_be_focused()
    desk.page.keyboard.type("a reason that holds the keys j, k, a, o and s")
    key("Tab")  # the first common reason
    for _ in range(4):
        key("Tab")
    key("Enter")
    decided(frame, 2)
    expect(frame.locator("#flag-2")).to_contain_text("a reason that holds the keys j, k, a, o and s")

    current(frame, 3)
    key("e")
    words = frame.locator("#edit-3-words")
    expect(words).to_be_focused()
    key("Escape")
    expect(words).to_be_hidden()
    key("e")
    key("ControlOrMeta+a")
    desk.page.keyboard.type("Do not take amoxicillin.")
    key("Tab")
    key("Enter")
    decided(frame, 3)
    for number in range(4, total + 1):
        current(frame, number)
        key("a")
        decided(frame, number)

    expect(frame.get_by_role("link", name="Review and sign")).to_be_focused()
    key("s")
    expect(frame.get_by_role("textbox", name="Your medicines")).to_have_value(re.compile("Do not take amoxicillin"))
    key("s")
    sign = frame.get_by_role("dialog", name="Sign these discharge instructions?")
    expect(sign).to_be_visible()
    expect(sign.get_by_role("button", name="Sign", exact=True)).to_be_focused()
    key("Enter")

    expect(frame.get_by_text("Signed by Dr. Monique Marshall")).to_be_visible()


def test_every_page_passes_axe_in_light_and_dark(desk: Any) -> None:
    found = []
    for scheme in ("light", "dark"):
        desk.page.emulate_media(color_scheme=scheme)
        signed = desk.launch()
        expect(signed.get_by_text("Signed by")).to_be_visible()
        found += faults(desk.page)
        review = desk.review("enc-ec997eba53d6")
        expect(review.locator(".card").first).to_be_visible()
        if scheme == "dark":
            desk.page.screenshot(path=IMAGES / "review-dark.png")
        found += faults(desk.page)
        review.get_by_role("button", name="Override").first.click()
        expect(review.get_by_role("dialog", name="Override this flag?")).to_be_visible()
        found += faults(desk.page)
    assert not found, "\n".join(found)


def test_the_final_text_passes_axe(desk: Any) -> None:
    frame = desk.review("enc-081ca84e8e7c")
    expect(frame.locator(".card").first).to_be_visible()
    while frame.locator(".card.open").count():
        before = frame.locator(".card.decided").count()
        frame.locator(".card.open").first.get_by_role("button", name="Edit").click()
        frame.locator(".card.open").first.get_by_role("button", name="Save edit").click()
        expect(frame.locator(".card.decided")).to_have_count(before + 1)
    frame.get_by_role("link", name="Review and sign").click()
    expect(frame.get_by_role("textbox", name="Your medicines")).to_be_visible()

    assert not faults(desk.page)


def test_a_standalone_launch_on_a_telephone_shows_everything_in_its_width(desk: Any, hospital: Any) -> None:
    desk.page.set_viewport_size({"width": 390, "height": 844})
    desk.page.goto(f"{hospital.facade_url}/smart/launch?iss={hospital.ehr_url}/fhir")
    stays = desk.page.get_by_label("stay", exact=False)
    wanted = stays.locator("option[value$='/enc-ec997eba53d6']").get_attribute("value")
    stays.select_option(wanted)
    desk.page.get_by_role("button", name="Allow").click()
    expect(desk.page.locator(".card").first).to_be_visible()
    # Nobody else shows the patient here, so the page does.
    expect(desk.page.locator(".patient")).to_contain_text("Florence Larson")

    assert desk.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    desk.page.screenshot(path=IMAGES / "review-narrow.png")
