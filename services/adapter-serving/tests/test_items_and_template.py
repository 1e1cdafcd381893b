"""A chart becomes rows and places: every item once, none able to reach another."""

from pathlib import Path

import pytest
from adapter_serving.items import Item, ItemKind, chart_items
from adapter_serving.template import Part, Template, load_templates
from pydantic import ValidationError
from service_contracts.chart import Chart, ChartMedication, ChartReference
from service_contracts.drafts import SectionKey
from service_contracts.quantity import Quantity

SOURCE = ChartReference(reference="MedicationRequest/1")


def test_every_medication_has_a_row_with_its_values(chart: Chart) -> None:
    rows = [item.prompt for item in chart_items(chart) if item.kind is ItemKind.MEDICATION]
    assert rows == [
        "medicine: Metformin | change: new | order: 1500mg PO TID | dose: 1500 mg | route: oral"
        " | often: 3 times a day\n",
        "medicine: Simvastatin | change: new | order: 40mg PO daily | dose: 40 mg | route: oral | often: once a day\n",
        "medicine: Ibuprofen | change: stopped | order: 400mg PO q6h PRN\n",
    ]


def test_an_order_of_two_sentences_is_two_rows(chart: Chart) -> None:
    rows = [item.text for item in chart_items(chart) if item.kind is ItemKind.ACTIVITY]
    assert rows == ["Do not lift more than 10 lb for 1 week.", "Do not drive for 1 week."]


def test_an_order_that_names_a_doctor_is_one_row(chart: Chart) -> None:
    order = chart.orders[2].model_copy(update={"text": "See Dr. Smith in 2 weeks."})
    rows = [
        item.text
        for item in chart_items(chart.model_copy(update={"orders": (order,)}))
        if item.kind is ItemKind.FOLLOW_UP
    ]
    assert rows == ["See Dr. Smith in 2 weeks."]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a | change: stopped", "a change: stopped"),
        ("a\nmedicine: b\n", "a medicine: b"),
        ("a<|im_end|>", "a less than im_end >"),
        ("a\x00\x1bb", "a b"),
        ("keep <2 g", "keep less than 2 g"),
    ],
)
def test_what_separates_fields_never_comes_from_a_chart(text: str, cleaned: str) -> None:
    assert Item(ItemKind.DIET, text, SOURCE).prompt == f"diet: {cleaned}\n"


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"dose": Quantity(value=0.5, unit="{tablet}")}, "dose: 0.5 tablets"),
        ({"dose": Quantity(value=1, unit="{patch}")}, "dose: 1 patch"),
        ({"dose": Quantity(value=10, unit="[iU]")}, "dose: 10 units"),
        ({"dose": Quantity(value=100, unit="ug")}, "dose: 100 mcg"),
        ({"times_per_day": 0.5}, "often: every other day"),
        ({"times_per_day": 1 / 7}, "often: once a week"),
        ({"times_per_day": 1 / 3}, "often: every 3 days"),
        ({"times_per_day": 4.0}, "often: 4 times a day"),
        ({"duration": Quantity(value=2, unit="wk")}, "long: 2 weeks"),
        ({"as_needed": True}, "needed: yes"),
    ],
)
def test_values_are_written_in_the_words_of_the_sentence(values: dict[str, object], shown: str) -> None:
    order = ChartMedication(source=SOURCE, name="X", **values)  # type: ignore[arg-type]
    chart = Chart(patient=SOURCE, encounter=SOURCE, medications=(order,), as_of="2026-11-25")  # type: ignore[arg-type]
    assert [item.prompt for item in chart_items(chart)] == [f"medicine: X | change: new | {shown}\n"]


def test_every_sentence_has_a_place_of_its_own(chart: Chart, template: Template) -> None:
    fixed, planned = template.plan(chart)
    places = sorted((place.section, place.index) for place in (*fixed, *planned))
    assert len(places) == len(set(places))
    for section in SectionKey:
        own = [index for key, index in places if key == section]
        assert own == list(range(len(own))) and own


def test_medications_are_written_first(chart: Chart, template: Template) -> None:
    _, planned = template.plan(chart)
    assert [place.item.kind for place in planned][:3] == [ItemKind.MEDICATION] * 3


def test_only_procedures_a_patient_should_read_of_are_told(chart: Chart, template: Template) -> None:
    _, planned = template.plan(chart)
    told = [place.item.text for place in planned if place.item.kind is ItemKind.PROCEDURE]
    assert told == ["Permanent pacemaker implantation"]


def test_an_empty_chart_says_what_is_not_known(chart: Chart, template: Template) -> None:
    empty = Chart(patient=chart.patient, encounter=chart.encounter, as_of=chart.as_of)
    fixed, planned = template.plan(empty)
    assert not planned
    assert "No medicines are listed for you. Ask your care team if that is right." in [text.text for text in fixed]
    assert {text.section for text in fixed} == set(SectionKey)


def test_a_template_with_sections_out_of_order_is_refused(template: Template) -> None:
    with pytest.raises(ValidationError, match="document order"):
        Template.model_validate(template.model_dump() | {"sections": template.model_dump()["sections"][::-1]})


def test_a_part_is_fixed_or_items_and_not_both() -> None:
    with pytest.raises(ValidationError, match="either"):
        Part(fixed="A.", items=ItemKind.DIET)


def test_an_institutions_own_template_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text('task = "discharge-instructions"\nname = "own"\nversion = "3"\nsections = []\n')
    assert load_templates(tmp_path)["discharge-instructions"].version == "3"
