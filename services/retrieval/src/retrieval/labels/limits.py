"""Dose and kidney limits that a label states: the highest daily maximum of its products, and what kidneys change.

A label speaks of its own products. What it calls the maximum is that of their strengths and form, and another product
of the same ingredient may have another; so each limit names the products it was stated for.
"""

import re

from service_contracts.evidence import DoseLimit, RenalLimit
from service_contracts.quantity import Coding, Quantity

from retrieval.labels.maxima import FOR_SOME, amounts, in_mg, maxima
from retrieval.labels.text import LabelText, Sentence, sentences, without_references

__all__ = ["UNII", "dose_limit", "renal_limits"]

UNII = "http://fdasis.nlm.nih.gov"
_DOSAGE = "dosage_and_administration"
_CONTEXT_CHARS = 200
_ROUTES = {"respiratory (inhalation)": "inhaled"}


def dose_limit(label: LabelText) -> tuple[DoseLimit, Sentence] | None:
    """Return the highest daily maximum that the label of one ingredient and route states, with its sentence.

    Where a label states several, the highest is above no reading of it. None where a larger amount is spoken of:
    another indication, patient or form may have another limit.
    """
    text = label.sections.get(_DOSAGE, "")
    if len(label.ingredients) != 1 or len(label.routes) != 1:
        return None
    found: list[tuple[float, Quantity, Sentence]] = []
    for sentence in sentences(_DOSAGE, text):
        if FOR_SOME.search(sentence.text) or FOR_SOME.search(sentence.before[-_CONTEXT_CHARS:]):
            continue
        for one in maxima(_plain(sentence)):
            if one.named is None or _is_drug(one.named, label):
                found.append((_size(one.amount), one.amount, sentence))
    if not found:
        return None
    most, amount, sentence = max(found, key=lambda one: (one[0], -len(one[2].text)))
    if any(_size(other) > most * 1.0001 for other in amounts(text)):
        return None
    route = label.routes[0]
    limit = DoseLimit(
        ingredient=label.ingredients[0], code=_code(label), products=_products(label),
        route=_ROUTES.get(route, route), max_daily=amount,
    )  # fmt: skip
    return limit, sentence


def _plain(sentence: Sentence) -> str:
    return re.sub(r"^(?:\d+(?:\.\d+)?\s+)?", "", without_references(sentence.text))


def _size(amount: Quantity) -> float:
    mg = in_mg(amount)
    return amount.value if mg is None else mg


def _is_drug(words: str, label: LabelText) -> bool:
    lower = words.lower()
    return any(lower.startswith(name.lower()) for name in (*label.ingredients, *label.names))


def _code(label: LabelText) -> Coding | None:
    """Return the substance as the label names it, with its salt."""
    return Coding(system=UNII, code=label.uniis[0]) if len(label.uniis) == 1 else None


def _products(label: LabelText) -> tuple[str, ...]:
    """Return what the products of the label are known by; a label without codes and brands is known by its set id."""
    brands = tuple(name for name in label.names if name not in label.ingredients)
    return (*label.rxcuis, *brands) or (label.set_id,)


_FUNCTION = (
    r"\(?\s*(?:defined as )?(?:an? )?(?P<measure>(?:estimated )?(?:creatinine clearances?|glomerular filtration rate)"
    r"(?:\s*[\[(](?:CrCl|CL ?cr|eGFR)[\])])?|CrCl|CL ?cr|eGFR)\s*(?:of )?(?:is )?(?:below|less than|under|<)\s*"
    r"(?P<below>\d{1,2})\s*"
    r"(?P<unit>mL\s*/\s*min(?:ute)?(?:\s*(?:/|per)\s*1\.73\s*m\s*(?:2|²|\^2))?|mL per minute(?: per 1\.73 m ?2)?)\s*\)?"
    # What is added by "or" widens the statement and leaves this part of it as it is.
    r"(?:,? (?:or|and in|or in) (?:patients )?(?:with )?(?:end[- ]stage (?:renal|kidney) disease|ESRD)"
    r"(?: \(ESRD\))?(?: (?:requiring|on|undergoing) (?:hemo)?dialysis)?)?"
)
_IMPAIRED = (
    r"(?:moderate to severe|severe) (?:renal|kidney) (?:impairment|dysfunction|disease|insufficiency|failure)\s*"
)
_STATE = rf"(?:{_IMPAIRED},?\s*)?"
_DRUG = r"(?P<named>[a-z][\w ,/-]{2,80}?)"
_RENAL = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        # X is contraindicated in patients with (severe renal impairment) (eGFR below 30 mL/min/1.73 m2).
        rf"(?:\d+ CONTRAINDICATIONS )?{_DRUG} (?:is|are) contraindicated in patients with (?:an )?"
        rf"{_STATE}{_FUNCTION}\.?",
        # Avoid use of X in patients with eGFR less than 15 mL/min/1.73 m2.
        rf"avoid (?:the )?use (?:of {_DRUG} )?in patients with (?:an )?{_STATE}{_FUNCTION}\.?",
        rf"(?:use of )?{_DRUG} is not recommended in patients with (?:an )?{_STATE}{_FUNCTION}\.?",
    )
)
# A line of the list of contraindications: "Severe renal impairment (eGFR below 30 mL/min/1.73 m2)".
_LISTED = re.compile(
    r"(?:[\w ]*contraindicated in (?:patients with|the following conditions|the following patients)?:? )?(?P<named>)"
    rf"{_IMPAIRED}{_FUNCTION}\.?",
    re.I,
)


# CrCl below 30 mL/min; creatinine clearance 10 mL/min to < 50 mL/min; eGFR 15 to 29 mL/min/1.73 m2
_BELOW = re.compile(
    r"(?P<measure>creatinine clearances?|glomerular filtration rate|CrCl|CL ?cr|e?GFR)(?:\s*[\[(]\w+[\])])?"
    r"[\s(=:,]*(?:of |is |between |from )*"
    r"(?:(?P<least>\d{1,3})(?:\s*mL\s*/\s*min\w*)?\s*(?:to|-|–|and)\s*)?"
    r"(?P<less><|less than|below|under)?\s*(?P<below>\d{1,3})\s*mL\s*(?:/|per)\s*min",
    re.I,
)
_MENTIONED = re.compile(r"creatinine clearance|glomerular filtration|(?<![\[(])CrCl|CL ?cr|e?GFR(?!\])", re.I)
# What else than the kidneys makes a limit one for some.
_ELSE = re.compile(
    FOR_SOME.pattern.replace("impair|renal|kidney|", "").replace(r"|creatinine|\bCL ?cr|CrCl|eGFR|dialysis", ""), re.I
)


def renal_limits(label: LabelText) -> list[tuple[RenalLimit, Sentence]]:
    """Return below what kidney function a label of one ingredient says not to use it or how much, with sentences."""
    if len(label.ingredients) != 1:
        return []
    found = _avoided(label)
    for sentence in sentences(_DOSAGE, label.sections.get(_DOSAGE, "")):
        plain = _plain(sentence)
        stated, below = list(maxima(plain)), list(_BELOW.finditer(plain))
        if len(stated) != 1 or len(below) != 1 or len(_MENTIONED.findall(plain)) != 1:
            continue
        if _ELSE.search(plain) or _ELSE.search(sentence.before[-_CONTEXT_CHARS:]):
            continue
        if stated[0].named is not None and not _is_drug(stated[0].named, label):
            continue
        if any(_size(other) > _size(stated[0].amount) for other in amounts(plain)):
            continue
        if not (below[0]["less"] or below[0]["least"]):
            continue
        measure, value = _measured(below[0])
        if not below[0]["less"] and value % 10 == 9:
            value += 1
        limit = _renal(label, measure, value, "limit", stated[0].amount)
        found.setdefault((measure, value), (limit, sentence))
    return list(found.values())


def _measured(match: re.Match[str]) -> tuple[str, float]:
    return "egfr" if re.search(r"gfr|glomerular", match["measure"], re.I) else "crcl", float(match["below"])


def _renal(label: LabelText, measure: str, below: float, action: str, most: Quantity | None) -> RenalLimit:
    return RenalLimit.model_validate(
        {
            "ingredient": label.ingredients[0],
            "code": _code(label),
            "products": _products(label) if most else (),
            "measure": measure,
            "below": {"value": below, "unit": "mL/min/{1.73_m2}" if measure == "egfr" else "mL/min"},
            "action": action,
            "max_daily": most,
        }
    )


def _avoided(label: LabelText) -> dict[tuple[str, float], tuple[RenalLimit, Sentence]]:
    found: dict[tuple[str, float], tuple[RenalLimit, Sentence]] = {}
    for section in ("contraindications", "warnings_and_cautions", _DOSAGE):
        for sentence in sentences(section, label.sections.get(section, "")):
            plain = without_references(sentence.text)
            match = next((match for pattern in _RENAL if (match := pattern.fullmatch(plain))), None)
            if match is not None and match["named"] and not _is_drug(match["named"], label):
                match = None
            if match is None and section == "contraindications":
                match = _LISTED.fullmatch(plain)
            if match is None:
                continue
            measure, below = _measured(match)
            found.setdefault((measure, below), (_renal(label, measure, below, "avoid", None), sentence))
    return found
