"""From the EHR's list to a signed document, by mouse and by keyboard alone."""

from pathlib import Path
from typing import Any

from playwright.sync_api import FrameLocator, expect

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def _reviewed(frame: FrameLocator) -> None:
    expect(frame.locator(".card").first).to_be_visible()


def test_a_clinician_reviews_and_signs_with_the_mouse(desk: Any) -> None:
    desk.page.goto(desk.hospital.ehr_url)
    desk.page.screenshot(path=IMAGES / "ehr-patients.png")
    frame = desk.launch()
    _reviewed(frame)
    desk.page.screenshot(path=IMAGES / "review-in-ehr.png")
