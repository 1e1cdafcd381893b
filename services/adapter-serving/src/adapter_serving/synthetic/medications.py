"""Synthetic medication orders: what a clinician could write, with the sentence that tells it to the patient."""

import random
import re
from dataclasses import dataclass

from service_contracts.chart import ChartMedication, ChartReference, MedicationChange
from service_contracts.quantity import Quantity

from adapter_serving.items import rhythm_words
from adapter_serving.phrasing.conditions import CONDITIONS, plain_condition
from adapter_serving.phrasing.medications import Sig, medication_sentence
from adapter_serving.phrasing.order_text import RHYTHMS
from adapter_serving.synthetic.vocabulary import VOCABULARY

__all__ = ["medication_order"]

_UNITS = {
    "units": "[iU]",
    "mcg": "ug",
    "mEq": "meq",
    "tablet": "{tablet}",
    "tablets": "{tablet}",
    "capsule": "{capsule}",
    "capsules": "{capsule}",
    "puff": "{puff}",
    "puffs": "{puff}",
    "drop": "[drp]",
    "drops": "[drp]",
    "patch": "{patch}",
    "spray": "{spray}",
    "sprays": "{spray}",
    "packet": "{packet}",
}
_CHANGES = (
    (MedicationChange.NEW,) * 4
    + (MedicationChange.CONTINUED,) * 4
    + (MedicationChange.CHANGED,) * 2
    + (MedicationChange.STOPPED,)
)


@dataclass(frozen=True)
class _Written:
    """The order's text (None: none) and which parts of the order it holds."""

    text: str | None
    dose: bool = False
    rhythm: bool = False


def medication_order(rng: random.Random, source: ChartReference, *, held_out: bool) -> tuple[ChartMedication, str]:
    """Return an order and its sentence."""
    route, drug, dose = _drug(rng, held_out)
    rhythm, times, spellings = rng.choice(RHYTHMS)
    change = rng.choice(_CHANGES)
    needed = rng.random() < 0.22
    indication = rng.choice(VOCABULARY.indications) if needed and rng.random() < 0.55 else None
    long = f"{rng.choice((3, 4, 5, 7, 10, 14, 21, 28, 30))} days" if rng.random() < 0.22 else None
    if long is None and rng.random() < 0.06:
        long = f"{rng.choice((2, 3, 4, 6, 8))} weeks"
    manner = rng.choice(VOCABULARY.manners) if route == "oral" and rng.random() < 0.08 else None
    written = _write(rng, route, dose, rng.choice(spellings), needed, indication, long, manner)
    structured_dose = _quantity(dose) if dose and rng.random() < 0.85 else None
    structured_times = times if times is not None and rng.random() < 0.8 else None
    if structured_dose is not None and not written.dose and written.text and rng.random() < 0.4:
        structured_dose = None
    has_long = long is not None and (rng.random() < 0.6 or not written.rhythm)
    reason = rng.choice(rng.choice(CONDITIONS).written) if rng.random() < 0.1 else None
    order = ChartMedication(
        source=source,
        name=drug,
        dose=structured_dose,
        route=route if rng.random() < 0.8 else None,
        times_per_day=structured_times,
        as_needed=needed and (not written.rhythm or rng.random() < 0.8),
        duration=_quantity(long) if has_long and long else None,
        text=written.text,
        reason=reason,
        change=change,
    )
    in_text = written.rhythm
    sig = Sig(
        dose=dose if written.dose or structured_dose is not None else None,
        route=route if order.route or (in_text and _says_route(written.text, route)) else None,
        rhythm=rhythm if in_text else rhythm_words(structured_times) if structured_times is not None else None,
        as_needed=needed and (in_text or order.as_needed),
        indication=indication if in_text else None,
        manner=manner if in_text else None,
        duration=long if in_text or has_long else None,
    )
    return order, medication_sentence(drug, change, sig, plain_condition(reason) if reason else None)


def _drug(rng: random.Random, held_out: bool) -> tuple[str, str, str | None]:
    if rng.random() < 0.22:
        route = rng.choice(tuple(VOCABULARY.route_drugs))
        drugs, doses = VOCABULARY.route_drugs[route]
        return route, rng.choice(drugs), rng.choice(doses) if doses and rng.random() < 0.95 else None
    name = rng.choice(VOCABULARY.held_out_drugs if held_out else VOCABULARY.drugs)
    if rng.random() < (0.1 if held_out else 0.22):
        name = "".join(rng.sample(VOCABULARY.syllables, rng.choice((1, 2)))).capitalize() + rng.choice(
            VOCABULARY.endings
        )
    dose = (
        rng.choice(VOCABULARY.doses)
        if rng.random() < 0.7
        else f"{rng.choice((1, 1, 10, 100)) * rng.randint(1, 40) * rng.choice((0.5, 1, 2.5, 5)):.10g} mg"
    )
    style = rng.random()
    if style < 0.05 and name in VOCABULARY.brands:
        return "oral", f"{name} ({VOCABULARY.brands[name]})", dose
    if style < 0.09 and "/" not in name:
        strength, form = rng.choice(("25", "500", "10", "40")), rng.choice(("Oral Tablet", "Oral Capsule", "tablet"))
        return "oral", f"{name.lower()} {strength} MG {form}", dose
    return "oral", name.lower() if style > 0.9 else name, dose


def _write(
    rng: random.Random,
    route: str,
    dose: str | None,
    rhythm: str,
    needed: bool,
    indication: str | None,
    long: str | None,
    manner: str | None,
) -> _Written:
    kind = rng.random()
    if kind < 0.06:
        return _Written(None)
    if kind < 0.13:
        return _Written(rng.choice(VOCABULARY.unclear_orders))
    if kind < 0.30 and dose:
        return _Written(_compact(rng, dose), dose=True)
    prn = ""
    if needed:
        prn = rng.choice(("PRN", "prn", "as needed", "PRN")) + (
            f" {rng.choice(('', 'for '))}{indication}" if indication else ""
        )
    length = ""
    if long:
        number, unit = long.split()
        short = {"days": ("days", "d", "days"), "weeks": ("weeks", "wks", "weeks")}[unit]
        length = rng.choice((f"x {number} {rng.choice(short)}", f"for {number} {unit}", f"x{number} {unit}"))
    way = rng.choice(VOCABULARY.route_words[route]) if rng.random() < 0.9 else ""
    if rng.random() < 0.12:
        way = rng.choice(VOCABULARY.route_words[route])
        parts = ["Take" if route == "oral" else "Use", dose or "", way, rhythm, manner or "", prn, length]
    else:
        parts = [_compact(rng, dose) if dose else "", way, rhythm, manner or "", prn, length]
    return _Written(" ".join(part for part in parts if part), dose=dose is not None, rhythm=True)


def _compact(rng: random.Random, dose: str) -> str:
    written = dose.replace(" to ", rng.choice(("-", "-", " to ")))
    if rng.random() < 0.3:
        written = (
            written.replace("tablet", "tab").replace("capsule", "cap").replace("units", rng.choice(("IU", "units")))
        )
    if re.search(r"\d (?:mg|mcg|g|mL|mEq|IU)", written) and rng.random() < 0.7:
        written = re.sub(r"(?<=\d) (?=[a-zA-Z])", "", written, count=1) if " to " not in written else written
    return written


def _quantity(text: str) -> Quantity | None:
    match = re.fullmatch(r"([\d.]+) (\S+)", text)
    if match is None:
        return None
    unit = {"days": "d", "weeks": "wk"}.get(match[2], _UNITS.get(match[2], match[2]))
    return Quantity(value=float(match[1]), unit=unit)


def _says_route(text: str | None, route: str) -> bool:
    return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text or "") for word in VOCABULARY.route_words[route])
