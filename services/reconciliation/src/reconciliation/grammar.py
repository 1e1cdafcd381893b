"""The typed grammar of numbers, doses and routes in plain-English instructions.

Every table is data: a pattern and what it means. Patterns are matched case-insensitively; a match carries its
place in the text, so that what is said can be shown and replaced.
"""

import re
from dataclasses import dataclass

from service_contracts.quantity import Quantity

from reconciliation.units import unit_of

__all__ = [
    "DOSE_UNIT",
    "NUMBER",
    "RANGE",
    "Amount",
    "amounts",
    "concentration",
    "masked",
    "number_of",
    "route_of",
]

_WORD_NUMBERS: dict[str, float] = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "twelve": 12, "fourteen": 14, "twenty": 20, "thirty": 30, "half": 0.5, "half a": 0.5,
    "one-half": 0.5, "one half": 0.5, "½": 0.5, "¼": 0.25, "1/2": 0.5, "1/4": 0.25, "1½": 1.5, "1 1/2": 1.5,
    "one and a half": 1.5, "once": 1, "twice": 2, "a couple of": 2,
}  # fmt: skip
_DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_WORDS = "|".join(sorted((re.escape(word) for word in _WORD_NUMBERS if word not in {"once", "twice"}), key=len)[::-1])
NUMBER = rf"(?:(?<![\w.])(?:{_WORDS})(?![\w/])|(?<![\w.,])(?:{_DIGITS}))"
_MASS = r"mg/m2|mg/m²|mg/kg|mcg/kg|mgs?|mcg|µg|μg|ug|gm|g|milligrams?|micrograms?|grams?|mmol|m[Ee]q|milliequivalents?"
_OTHER = r"international\s+units?|units?|iu|u|ml|milliliters?|millilitres?|cc"
_FORMS = (
    r"tablets?|tabs?|pills?(?!\s*(?:box|organi[sz]er|bottle))|capsules?|caps?|puffs?|inhalations?|actuations?|drops?|patch(?:es)?|sprays?"
    r"|suppositor(?:y|ies)|lozenges?|applications?|vials?|packets?"
)
DOSE_UNIT = rf"(?:{_MASS}|{_OTHER}|{_FORMS})(?![\w/])"
RANGE = r"\s*(?:-|–|to|or)\s*"


def number_of(text: str) -> float:
    """Read a number written in digits or words; raise ``ValueError`` when it is neither."""
    word = re.sub(r"\s+", " ", text.strip().lower())
    if word in _WORD_NUMBERS:
        return _WORD_NUMBERS[word]
    return float(word.replace(",", ""))


@dataclass(frozen=True)
class Amount:
    """A dose as written. ``parts`` holds one quantity, or one per ingredient of a combination (5/325 mg);
    ``high`` is the upper end of a range, else the same as the first part. ``per_form`` means that the amount
    is in one tablet or puff ("500 mg tablets", "250 mg each"), ``count`` how many of them directly before it."""

    start: int
    end: int
    parts: tuple[Quantity, ...]
    high: Quantity
    per_form: bool = False
    count: float = 1.0

    @property
    def is_count(self) -> bool:
        """Whether this counts tablets, puffs or the like."""
        return self.high.unit.startswith("{")


_COMBINATION = re.compile(
    rf"(?P<a>{_DIGITS})\s*(?P<ua>{_MASS})?\s*(?P<sep>[/-])\s*(?P<b>{_DIGITS})"
    rf"(?:\s*[/-]\s*(?P<c>{_DIGITS}))?\s*-?(?P<u>{_MASS})(?![\w/])",
    re.I,
)
_AMOUNT = re.compile(rf"(?P<a>{NUMBER})(?:{RANGE}(?P<b>{NUMBER}))?[\s-]*(?P<u>{DOSE_UNIT})", re.I)
_PER_FORM = re.compile(
    rf"[\s-]*(?:(?:{_FORMS})(?!\w)|each\b(?!\s+(?:day|morning|night|evening|time|meal))|(?:per|a)\s+(?:{_FORMS}))", re.I
)
_COUNT_BEFORE = re.compile(rf"(?P<n>{NUMBER})\s+(?:of\s+(?:a|an|one)\s+)?$", re.I)
# "changed from 20 mg to 40 mg": what was taken before is not what is to be taken.
_FORMER = re.compile(
    rf"\bfrom\s+(?:{NUMBER})[\s-]*{DOSE_UNIT}(?=[^.;]{{0,40}}?\bto\b)|\b(?:instead\s+of|used\s+to\s+take|was|not)\s+"
    rf"(?:{NUMBER})[\s-]*{DOSE_UNIT}",
    re.I,
)
_CONCENTRATION = re.compile(
    rf"(?P<a>{_DIGITS})\s*(?P<u>{_MASS}|units?)\s*(?:/|per)\s*(?P<b>{_DIGITS})?\s*(?:ml|milliliters?)\b", re.I
)


def concentration(text: str) -> tuple[int, int, Quantity] | None:
    """Return the span and the mass per millilitre of a liquid's strength (250 mg/5 mL), or None."""
    match = _CONCENTRATION.search(text)
    if match is None:
        return None
    per_ml = number_of(match["a"]) / (number_of(match["b"]) if match["b"] else 1.0)
    return match.start(), match.end(), Quantity(value=per_ml, unit=unit_of(match["u"]) or match["u"])


def amounts(text: str) -> list[Amount]:
    """Return the doses in ``text`` in reading order; liquids' strengths and daily frequencies are not doses."""
    found: list[Amount] = []
    plain = masked(text, [m.span() for one in (_CONCENTRATION, _FORMER) for m in one.finditer(text)])
    taken: list[tuple[int, int]] = []
    for match in _COMBINATION.finditer(plain):
        values = [number_of(match[name]) for name in ("a", "b", "c") if match[name]]
        unit = unit_of(match["u"]) or match["u"]
        first = unit_of(match["ua"]) or unit if match["ua"] else unit
        if match["sep"] == "-" and not _is_ratio(values):
            continue
        parts = tuple(Quantity(value=v, unit=first if i == 0 else unit) for i, v in enumerate(values))
        taken.append(match.span())
        found.append(_amount(plain, match.start(), match.end(), parts, parts[-1]))
    plain = masked(plain, taken)
    for match in _AMOUNT.finditer(plain):
        unit = unit_of(match["u"].replace("\n", " ")) or match["u"]
        low = number_of(match["a"])
        high = number_of(match["b"]) if match["b"] else low
        part = Quantity(value=low, unit=unit)
        found.append(_amount(plain, match.start(), match.end(), (part,), Quantity(value=max(low, high), unit=unit)))
    return sorted(found, key=lambda amount: amount.start)


def _amount(text: str, start: int, end: int, parts: tuple[Quantity, ...], high: Quantity) -> Amount:
    per_form = not high.unit.startswith("{") and _PER_FORM.match(text, end) is not None
    counted = _COUNT_BEFORE.search(text, max(0, start - 20), start) if per_form else None
    return Amount(start, end, parts, high, per_form, number_of(counted["n"]) if counted else 1.0)


def _is_ratio(values: list[float]) -> bool:
    # "5-325 mg" is a combination, "40-50 mg" a range: a range rises, and never twenty-fold.
    return len(values) > 2 or values[1] < values[0] or values[1] >= 20 * values[0]


def masked(text: str, spans: list[tuple[int, int]]) -> str:
    """Return ``text`` with the characters of ``spans`` blotted out, so that places stay what they were."""
    for start, end in spans:
        text = text[:start] + "\0" * (end - start) + text[end:]
    return text


# What a way of giving is called, in orders (codes and abbreviations) and in plain words, most specific first.
_ROUTES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.I), route)
    for pattern, route in (
        (r"\bunder (?:the|your) tongue\b|\bsublingual(?:ly)?\b|^sl$", "sublingual"),
        (
            r"\bunder (?:the|your) skin\b|\bsubcutaneous(?:ly)?\b|\bsubcut\b|^s\.?[cq]\.?$|\bSC\b|\bsubq\b",
            "subcutaneous",
        ),
        (r"\binto (?:a|the|your) muscle\b|\bintramuscular(?:ly)?\b|^im$", "intramuscular"),
        (r"\binto (?:a|the|your) vein\b|\bintravenous(?:ly)?\b|^iv$|\bIV\b", "intravenous"),
        (
            r"\b(?:in|into) (?:the|your|each|both|affected|one)[\w\s]{0,14}eyes?\b|\bophthalmic\b|\beye drops?\b",
            "ophthalmic",
        ),
        (r"\b(?:in|into) (?:the|your|each|both)[\w\s]{0,14}ears?\b|\botic\b|\bear drops?\b", "otic"),
        (
            r"\b(?:in|into) (?:the|your|each|both)[\w\s]{0,8}(?:nose|nostrils?)\b|\bnasal(?:ly)?\b|\beach nostril\b",
            "nasal",
        ),
        (r"\brectal(?:ly)?\b|\b(?:in|into) (?:the|your) (?:rectum|bottom)\b|^pr$", "rectal"),
        (r"\bvaginal(?:ly)?\b|\b(?:in|into) (?:the|your) vagina\b", "vaginal"),
        (r"\btransdermal(?:ly)?\b|\bpatch(?:es)?\b", "transdermal"),
        (r"\binhal\w*|\bbreathe? in\b|\bpuffs?\b|\bnebuliz\w*|\brespiratory\b|^inh$|\bINH\b", "inhaled"),
        (r"\btopical(?:ly)?\b|\b(?:on|to) (?:the|your)[\w\s]{0,20}skin\b|\bapply\b", "topical"),
        (r"\bby mouth\b|\boral(?:ly)?\b|^p\.?o\.?$|\bPO\b|\bswallow\b|\bchew\b|\bdrink\b|\borodispersible\b", "oral"),
        (r"\binject\w*\b|\bparenteral\b", "injection"),
    )
)


def route_of(text: str | None) -> str | None:
    """Return the way of giving that an order or a sentence names, in one vocabulary, or None."""
    for pattern, route in _ROUTES:
        if text and pattern.search(text.strip()):
            return route
    return None
