"""order-sign from the prefetch: each check in a card, and an empty answer only when everything was checked."""


async def test_an_order_over_its_limit_gets_a_card_with_its_source_and_a_dose_within(cds, ehr):
    (card,) = await cds.cards("order-sign", ehr.request("order-sign", ehr.draft("Simvastatin", 80, 1)))
    print(card)
    assert card["indicator"] == "critical"


async def test_nothing_found(cds, ehr):
    assert await cds.cards("order-sign", ehr.request("order-sign", ehr.draft("Simvastatin", 20, 1))) == []
