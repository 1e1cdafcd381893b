"""The sandbox EHR as CDS client: an order is signed in its page, checked here, and what was chosen comes back."""

import asyncio
import re

import httpx
import pytest

DEMONSTRATION = "enc-ac4dcc33953d"


@pytest.fixture
def registered(sandbox):
    """The EHR is the one that runs, registered as it is shipped."""
    return sandbox.entry


@pytest.fixture
async def facade(facade_with, sandbox, serving):
    """A facade on the socket at which the EHR expects it."""
    async with (
        facade_with(public_base_url=sandbox.facade_url, port=sandbox.facade_port) as cds,
        serving(cds.container),
    ):
        yield cds.container


class Browser:
    """A prescriber's browser at the page of a stay; it must not block the event loop that serves the facade."""

    def __init__(self, base_url):
        self.http = httpx.AsyncClient(base_url=base_url, follow_redirects=True, timeout=30)

    async def order(self, drug, dose, times):
        page = (await self.http.get(f"/stays/{DEMONSTRATION}")).text
        assert "Order a medication" in page
        csrf = re.search(r'name="csrf" value="([^"]+)"', page)[1]
        form = {"csrf": csrf, "drug": drug, "dose": dose, "times": times}
        answer = await self.http.post(f"/stays/{DEMONSTRATION}/orders", data=form)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def choose(self, page, choice, **fields):
        csrf, name = (re.search(rf'name="{one}" value="([^"]+)"', page)[1] for one in ("csrf", "order"))
        form = {"csrf": csrf, "order": name, "choice": choice, **fields}
        answer = await self.http.post(f"/stays/{DEMONSTRATION}/orders/decision", data=form)
        assert answer.status_code == 200, answer.text
        return answer.text


@pytest.fixture
async def browser(facade, sandbox):
    one = Browser(sandbox.base_url)
    yield one
    await one.http.aclose()


async def outcomes(facade):
    from facade.store.cds_cards import CdsFeedbackRow
    from sqlalchemy import select

    async with facade.database.reading() as session:
        return [row.outcome for row in (await session.scalars(select(CdsFeedbackRow))).all()]


async def test_an_order_with_findings_shows_its_cards_and_takes_a_suggestion(browser, facade, ward):
    page = await browser.order("Simvastatin", "80", "1")
    assert "80 mg of simvastatin in a day is more than the limit of 40 mg a day." in page
    chosen = re.search(r'value="(suggestion:[^"]+)">Change to simvastatin 40 mg once a day', page)[1]
    page = await browser.choose(page, chosen)
    assert "The order was signed." in page
    assert "40 mg once a day" in page
    assert await outcomes(facade) == ["accepted"]


async def test_an_order_may_be_signed_all_the_same_with_a_reason(browser, facade):
    page = await browser.order("Acetaminophen", "1000", "6")
    card = re.search(r'name="reason-([^"]+)"', page)[1]
    page = await browser.choose(page, "sign", **{f"reason-{card}": "2"})
    assert "The order was signed." in page
    assert "overridden" in await outcomes(facade)


async def test_an_order_whose_check_does_not_answer_says_so(browser, facade, checking):
    checking.stop()
    try:
        page = await browser.order("Docusate", "100", "2")
        assert "These orders were not checked" in page
        assert "Nothing was ordered." in await browser.choose(page, "cancel")
    finally:
        await asyncio.to_thread(checking.start)
