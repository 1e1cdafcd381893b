"""Short forms and what they stand for: those that texts explain, "bacterial vaginosis (BV)", and common ones. Pure."""

import re
from collections.abc import Iterable

__all__ = ["COMMON", "explained"]

COMMON = {
    "AAA": "abdominal aortic aneurysm",
    "ADHD": "attention-deficit hyperactivity disorder",
    "AF": "atrial fibrillation",
    "AIDS": "acquired immunodeficiency syndrome",
    "BMI": "body mass index",
    "CHD": "coronary heart disease",
    "CKD": "chronic kidney disease",
    "COPD": "chronic obstructive pulmonary disease",
    "CT": "computed tomography",
    "CVD": "cardiovascular disease",
    "DVT": "deep vein thrombosis",
    "ECG": "electrocardiography",
    "GERD": "gastroesophageal reflux disease",
    "HBV": "hepatitis B virus",
    "HCV": "hepatitis C virus",
    "HIV": "human immunodeficiency virus",
    "HPV": "human papillomavirus",
    "IBD": "inflammatory bowel disease",
    "LTBI": "latent tuberculosis infection",
    "MDD": "major depressive disorder",
    "MRI": "magnetic resonance imaging",
    "NSAID": "nonsteroidal anti-inflammatory drug",
    "OSA": "obstructive sleep apnea",
    "OUD": "opioid use disorder",
    "PAD": "peripheral artery disease",
    "PCOS": "polycystic ovary syndrome",
    "PDMP": "prescription drug monitoring program",
    "PSA": "prostate-specific antigen",
    "STI": "sexually transmitted infection",
    "TB": "tuberculosis",
    "TIA": "transient ischemic attack",
    "UTI": "urinary tract infection",
    "VTE": "venous thromboembolism",
}
_FORM = re.compile(r"\(([A-Z]{2,7})s?\)")
_BEFORE = 120


def explained(texts: Iterable[str]) -> dict[str, str]:
    """Return the short forms that texts explain, each with the words before it that begin and hold its letters."""
    found: dict[str, str] = {}
    for text in texts:
        for place in _FORM.finditer(text):
            form = place[1]
            words = re.findall(r"\w+", text[max(0, place.start() - _BEFORE) : place.start()].rpartition(". ")[2])
            for count in range(min(len(form), len(words)), 1, -1):
                spelt = words[-count:]
                if spelt[0][0].upper() == form[0] and _holds(" ".join(spelt).upper(), form):
                    found.setdefault(form, " ".join(spelt))
                    break
    return found


def _holds(text: str, letters: str) -> bool:
    """Whether the letters stand in the text in their order."""
    rest = iter(text)
    return all(letter in rest for letter in letters)
