"""Dose and kidney limits that a label states in a sentence that stands alone; others are passed over."""

import re

from service_contracts.evidence import DoseLimit, RenalLimit
from service_contracts.quantity import Quantity

from retrieval.labels.text import LabelText, Sentence, sentences, without_references

__all__ = ["dose_limit", "renal_limits"]

_AMOUNT = r"(?P<value>\d[\d,]*(?:\.\d+)?)\s*(?P<unit>mg|g|grams|mcg|units)\b"
_TIMES = r"(?P<times>once|one time|twice|two times|three times|four times)\s+(?:a|per|each)?\s*(?:daily|day)"
_A_DAY = r"(?:per day|a day|/\s*day|daily|once per day|each day|in (?:a |any )?24[- ]hours?(?: period)?|per 24 hours)"
_MAXIMUM = r"(?:the )?(?:(?:recommended )?maximum|maximal|maximum recommended)(?: recommended)?(?: total)?"
_NAMED = r"(?: (?:of|for) (?P<named>[a-z][a-z ,-]{2,60}?))?"
_EXTRA = r"(?:\s*\((?P<extra>[^()]{0,60})\))?"
_DAILY_DOSE = (
    # Maximum (recommended) daily dose is 40 mg
    rf"{_MAXIMUM} daily (?:oral )?(?:dose|dosage){_NAMED}\s*(?:is|:|should not exceed|is not to exceed)\s*{_AMOUNT}"
    rf"(?:\s*{_A_DAY})?",
    # Maximum (recommended) dose is 8 mg once daily; 40 mg/day
    rf"{_MAXIMUM} (?:dose|dosage){_NAMED}\s*(?:is|:|should not exceed|is not to exceed)\s*{_AMOUNT}(?: orally)?"
    rf"\s*(?:{_TIMES}|{_A_DAY})",
    # The total daily dose should not exceed 12 grams
    rf"(?:the )?(?:total )?daily (?:dose|dosage){_NAMED} (?:should|must) not exceed\s*{_AMOUNT}(?:\s*{_A_DAY})?",
    # The dose should not exceed 100 mg/day
    rf"(?:the )?(?:total )?(?:dose|doses|dosage|dosages){_NAMED} (?:should|must) not exceed\s*{_AMOUNT}\s*{_A_DAY}",
    rf"(?:do not exceed|no more than) (?:a total daily dose of )?{_AMOUNT}\s*{_A_DAY}",
)
_DOSE = tuple(re.compile(rf"{pattern}{_EXTRA}(?: in adults)?\.?", re.I) for pattern in _DAILY_DOSE)
_TIMES_A_DAY = {"once": 1, "one time": 1, "twice": 2, "two times": 2, "three times": 3, "four times": 4}
_UNITS = {"mg": "mg", "g": "g", "grams": "g", "mcg": "ug", "units": "[iU]"}

_ANY_AMOUNT = re.compile(r"(\d[\d,]*(?:\.\d+)?)\s*(mg|g|grams|mcg)\b(?!\s*/\s*(?:kg|m))", re.I)

# What makes a limit one for some patients only, in the sentence or shortly before it.
_SPECIAL = re.compile(
    r"impair|renal|kidney|hepat|liver|creatinine|CrCl|eGFR|dialysis|pediatric|paediatric|child|adolescent|infant|neonat"
    r"|\bage[ds]?\b|years|elderly|geriatric|older|kg\b|body weight|weighing|concomit|coadmin|co-admin|taking|receiving"
    r"|in combination|combined with|inhibitor|inducer|metaboli[sz]er|poor|initial|starting|loading|first day|titrat"
    r"|discontinu|tolerat|Specific Populations|Drug Interactions|indication|prophyla|these|such|other",
    re.I,
)
_LONG_ACTING = re.compile(r"(?:extended|sustained|controlled|modified|delayed)[- ]release|\b(?:ER|XR|SR|XL|CR)\b")
_DOSAGE = "dosage_and_administration"


def dose_limit(label: LabelText) -> tuple[DoseLimit, Sentence] | None:
    """Return the largest general daily maximum that the label of one oral ingredient states, with its sentence.

    Where a label states several, the largest is above no reading of it. Long-acting forms have limits of their own
    that say nothing of the plain form, and are passed over.
    """
    text = label.sections.get(_DOSAGE, "")
    if len(label.ingredients) != 1 or label.routes != ("oral",) or _LONG_ACTING.search(" ".join((label.title, text))):
        return None
    found: list[tuple[float, Quantity, Sentence]] = []
    for sentence in sentences(_DOSAGE, text):
        amount = _daily_maximum(sentence, label)
        if amount is not None:
            found.append((_in_mg(amount), amount, sentence))
    if not found:
        return None
    most, amount, sentence = max(found, key=lambda one: one[0])
    if any(
        _in_mg(Quantity(value=_number(value), unit=_UNITS[unit.lower()])) > most
        for value, unit in _ANY_AMOUNT.findall(text)
    ):
        # Something larger is spoken of: another indication, patient or form may have another limit.
        return None
    return DoseLimit(ingredient=label.ingredients[0], route="oral", max_daily=amount), sentence


def _daily_maximum(sentence: Sentence, label: LabelText) -> Quantity | None:
    plain = re.sub(r"^(?:\d+(?:\.\d+)?\s+)?", "", without_references(sentence.text))
    match = next((match for pattern in _DOSE if (match := pattern.fullmatch(plain))), None)
    if match is None or _SPECIAL.search(sentence.text) or _SPECIAL.search(sentence.before[-200:]):
        return None
    groups = match.groupdict()
    if groups.get("named") and not _is_drug(str(groups["named"]), label):
        return None
    value = _number(str(groups["value"])) * _TIMES_A_DAY.get(str(groups.get("times")).lower(), 1)
    return Quantity(value=value, unit=_UNITS[str(groups["unit"]).lower()])


def _is_drug(words: str, label: LabelText) -> bool:
    lower = words.lower()
    return any(lower.startswith(name.lower()) for name in (*label.ingredients, *label.names))


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def _in_mg(amount: Quantity) -> float:
    return amount.value * {"g": 1000.0, "ug": 0.001}.get(amount.unit, 1.0)


_FUNCTION = (
    r"\(?\s*(?:defined as )?(?:an? )?(?P<measure>(?:estimated )?(?:creatinine clearances?|glomerular filtration rate)"
    r"(?:\s*[\[(](?:CrCl|eGFR)[\])])?|CrCl|eGFR)\s*(?:of )?(?:is )?(?:below|less than|under|<)\s*(?P<below>\d{1,2})\s*"
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


def renal_limits(label: LabelText) -> list[tuple[RenalLimit, Sentence]]:
    """Return below what kidney function the label of one ingredient says not to use it, with the sentences."""
    if len(label.ingredients) != 1:
        return []
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
            measure = "egfr" if re.search(r"egfr|glomerular", match["measure"], re.I) else "crcl"
            below = float(match["below"])
            limit = RenalLimit.model_validate(
                {
                    "ingredient": label.ingredients[0],
                    "measure": measure,
                    "below": {"value": below, "unit": "mL/min/{1.73_m2}" if measure == "egfr" else "mL/min"},
                    "action": "avoid",
                }
            )
            found.setdefault((measure, below), (limit, sentence))
    return list(found.values())
