"""From the EHR's list of stays to a signed document with the mouse, and what is shown when something is down."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, FrameLocator, Locator, expect

pytestmark = pytest.mark.timeout(600)
IMAGES = Path(__file__).parents[2] / "docs" / "images"
STAY_WITH_UNCHECKED = "enc-0b923c3ee1b9"
QUIET_STAYS = ("enc-b2f4dd4b286c", "enc-008ce84588ac", "enc-cc756340b096")


def card(frame: FrameLocator, kind: str) -> Locator:
    """The first open flag of a kind."""
    return frame.locator(".card.open").filter(has=frame.locator("h3", has_text=kind)).first


def override(frame: FrameLocator, flag: Locator, reason: str) -> None:
    flag.get_by_role("button", name="Override").click()
    dialog = frame.get_by_role("dialog", name="Override this flag?")
    dialog.get_by_role("textbox").fill(reason)
    dialog.get_by_role("button", name="Override", exact=True).click()


def decided(frame: FrameLocator, count: int) -> None:
    expect(frame.locator(".progress label")).to_have_text(re.compile(rf"^{count} of \d+ flags? decided$"))


def test_a_clinician_reviews_decides_and_signs(desk: Any) -> None:
    desk.page.goto(desk.hospital.ehr_url)
    desk.page.screenshot(path=IMAGES / "ehr-patients.png")

    frame = desk.review()
    dose = card(frame, "Dose")
    expect(dose).to_be_visible()
    desk.page.screenshot(path=IMAGES / "review-in-ehr.png")
    # In place: the words of the draft are marked, and the flag says what they are, what is wrong and who says so.
    expect(frame.locator("mark.mark-high").first).to_have_text(re.compile("metformin 1500 mg"))
    expect(dose).to_contain_text("High")
    expect(dose).to_contain_text("up to a maximum dose of 2550 mg per day, given in divided doses.")
    expect(dose).to_contain_text("openFDA copy of February 2026")
    expect(dose).to_contain_text("Order: Metformin, 1500mg PO TID")
    total = frame.locator(".card").count()

    # Nothing is signed while a flag is open.
    frame.get_by_role("link", name="Review and sign").click()
    expect(frame.get_by_role("alert")).to_contain_text("not decided yet")

    dose.get_by_role("button", name="Accept correction").click()
    decided(frame, 1)
    expect(frame.locator("ins").first).to_have_text(
        "Ask your care team to confirm your dose of metformin before you take it."
    )

    interaction = card(frame, "Interaction")
    interaction.get_by_role("button", name="Override").click()
    dialog = frame.get_by_role("dialog", name="Override this flag?")
    dialog.get_by_role("button", name="Override", exact=True).click()
    expect(dialog).to_be_visible()  # a reason is required
    dialog.get_by_role("button", name="Discussed and monitored").click()
    desk.page.screenshot(path=IMAGES / "override.png")
    dialog.get_by_role("button", name="Override", exact=True).click()
    decided(frame, 2)
    expect(frame.locator(".card.decided", has_text="Interaction")).to_contain_text("Discussed with the patient")

    allergy = card(frame, "Allergy")
    allergy.get_by_role("button", name="Edit").click()
    allergy.get_by_label("New words").fill("Do not take amoxicillin. Your doctor will give you another medicine.")
    allergy.get_by_role("button", name="Save edit").click()
    decided(frame, 3)

    # A decision can be made anew.
    overridden = frame.locator(".card.decided", has_text="Interaction")
    overridden.get_by_role("button", name="Change decision").click()
    overridden.get_by_role("button", name="Accept correction").click()
    expect(frame.locator(".card.decided", has_text="Interaction")).to_contain_text("Correction accepted")
    for number in range(4, total + 1):
        frame.locator(".card.open").first.get_by_role("button", name="Accept correction").click()
        decided(frame, number)
    desk.page.screenshot(path=IMAGES / "review-decided.png")

    frame.get_by_role("link", name="Review and sign").click()
    medicines = frame.get_by_role("textbox", name="Your medicines")
    expect(medicines).to_have_value(re.compile("Your doctor will give you another medicine"))
    frame.get_by_role("textbox", name="Eating and drinking").fill(
        "Eat less than 2 grams of sodium a day.\nDrink 2 liters of water a day."
    )
    expect(frame.locator(".edited:visible")).to_have_text("Changed by you, not checked")
    frame.get_by_role("button", name="Sign…").click()
    sign = frame.get_by_role("dialog", name="Sign these discharge instructions?")
    expect(sign).to_contain_text("You sign as Dr. Monique Marshall")
    desk.page.screenshot(path=IMAGES / "sign.png")
    sign.get_by_role("button", name="Sign", exact=True).click()

    expect(frame.get_by_text("Signed by Dr. Monique Marshall")).to_be_visible()
    expect(frame.get_by_text("Drink 2 liters of water a day.")).to_be_visible()
    desk.page.screenshot(path=IMAGES / "signed.png")

    desk.open_stay()
    expect(desk.page.get_by_text(re.compile("final", re.I)).first).to_be_visible()


def test_a_launch_after_the_signature_shows_the_signed_document(desk: Any) -> None:
    frame = desk.launch()

    expect(frame.get_by_text("Signed by Dr. Monique Marshall")).to_be_visible()
    expect(frame.get_by_role("button", name="Sign")).to_have_count(0)


def test_what_was_not_checked_is_shown_as_not_checked(desk: Any) -> None:
    frame = desk.review(STAY_WITH_UNCHECKED)

    unchecked = frame.locator("details.unchecked li", has_text="Not checked:")
    expect(unchecked.first).to_be_visible()
    expect(frame.locator(".summary")).to_contain_text("not checked")


def test_without_evidence_nothing_is_shown_as_passed(desk: Any) -> None:
    with desk.hospital.down("evidence"):
        frame = desk.review(QUIET_STAYS[0])
        expect(frame.locator(".summary")).to_contain_text("not checked")

    expect(frame.locator(".summary")).not_to_contain_text(re.compile(r"\b[1-9]\d* of \d+ statements agree"))
    expect(frame.locator(".section", has_text="Your medicines")).to_contain_text("the evidence could not be reached")


def test_a_draft_that_fails_says_why_and_can_be_tried_again(desk: Any) -> None:
    with desk.hospital.down("drafting"):
        frame = desk.launch(QUIET_STAYS[1])
        expect(frame.get_by_role("heading", name="The draft could not be written")).to_be_visible()
        expect(frame.get_by_text("The drafting service is not running.")).to_be_visible()

    frame.get_by_role("button", name="Try again").click()

    expect(frame.locator(".section").first).to_be_visible()


def test_two_stays_side_by_side_never_mix(desk: Any, context: BrowserContext, hospital: Any) -> None:
    first = desk.review(STAY_WITH_UNCHECKED)
    expect(first.locator(".section").first).to_be_visible()
    other_tab = type(desk)(context.new_page(), hospital)
    other = other_tab.review(QUIET_STAYS[2])
    expect(other.locator(".section").first).to_be_visible()

    override(first, card(first, "Interaction"), "Both are wanted after this stroke.")

    decided(first, 1)
    expect(first.locator(".section", has_text="Your medicines")).not_to_have_text(
        other.locator(".section", has_text="Your medicines").inner_text()
    )


def test_the_page_works_without_its_script(browser: Any, hospital: Any, desk: Any) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 800})
    plain = type(desk)(context.new_page(), hospital)
    frame = plain.launch("enc-745ac6fa8c1a")
    frame.get_by_role("button", name="Write the draft").click()
    expect(frame.locator(".card.open").first).to_be_visible()
    while frame.locator(".card.open").count():
        flag = frame.locator(".card.open").first
        flag.get_by_label("Reason to override").fill("The specialist has decided this on purpose.")
        before = frame.locator(".card.decided").count()
        flag.get_by_role("button", name="Override", exact=True).click()
        expect(frame.locator(".card.decided")).to_have_count(before + 1)
    frame.get_by_role("link", name="Review and sign").click()
    frame.get_by_role("button", name=re.compile("^Sign as")).click()

    expect(frame.get_by_text("Signed by")).to_be_visible()
    context.close()


@pytest.mark.parametrize("what", ["cookie", "window"])
def test_without_its_cookie_or_window_the_page_says_to_launch_again(
    desk: Any, context: BrowserContext, what: str
) -> None:
    frame = desk.review(STAY_WITH_UNCHECKED)
    expect(frame.locator(".section").first).to_be_visible()
    window = next(one for one in desk.page.frames if "/workbench/" in one.url)
    if what == "cookie":
        context.clear_cookies(name=re.compile("^preceptor-session-"))
        window.goto(window.url)
    else:
        window.goto(f"{window.url}x")

    expect(frame.get_by_role("heading", name="Your session has ended")).to_be_visible()
    expect(frame.get_by_text("Launch Preceptor again")).to_be_visible()
