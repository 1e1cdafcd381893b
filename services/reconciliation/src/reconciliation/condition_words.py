"""Plain words for common reasons of a stay, so that "heart attack" is found in "acute myocardial infarction"."""

import re

__all__ = ["CONCEPTS", "concepts", "content_words"]

# concept as a reader knows it: pattern over chart terms and plain words. Only conditions whose names cannot be
# mistaken for a symptom of another are listed; a concept that the draft names and the chart lacks is flagged.
CONCEPTS: dict[str, re.Pattern[str]] = {
    concept: re.compile(pattern, re.I)
    for concept, pattern in {
        "heart attack": r"\bheart attack\b|\bmyocardial infarct\w*|\b(?:n?stemi)\b|\bacute mi\b|\bacute coronary\b",
        "heart failure": r"\bheart failure\b|\bchf\b|\bcongestive\b|\bcardiomyopath\w*|\bhfref\b|\bhfpef\b"
                         r"|\bweak heart\b",
        "stroke": r"\bstroke\b|\bcerebral infarct\w*|\bcva\b|\bcerebrovascular accident\b",
        "pneumonia": r"\bpneumonia\b|\blung infection\b",
        "COPD": r"\bcopd\b|\bchronic obstructive\b|\bemphysema\b",
        "asthma": r"\basthma\w*",
        "diabetes": r"\bdiabet\w*|\bketoacidosis\b|\bdka\b|\bblood sugar\b|\bhyperglyc\w*|\bhypoglyc\w*",
        "kidney injury": r"\bkidney (?:injury|failure|disease|problem)\w*|\brenal\b|\baki\b|\bckd\b|\bnephr\w*",
        "blood clot in the lung": r"\bpulmonary embol\w*|\bclots? in (?:the |your )?lungs?\b",
        "blood clot in a vein": r"\bdeep vein\b|\bdvt\b|\bdeep venous\b|\bclots? in (?:the |your )?legs?\b",
        "broken hip": r"\bhip fracture\b|\bbroken hip\b|\bbroke (?:a|the|your) hip\b"
                      r"|\bneck of (?:the )?(?:right |left )?femur\b|\bfemoral (?:neck|fracture)\b"
                      r"|\b(?:inter|per|sub)trochanteric\b|\bfractured? (?:of )?(?:the )?(?:right |left )?hip\b",
        "gallbladder": r"\bgallbladder\b|\bcholecyst\w*|\bgallstones?\b|\bcholelith\w*|\bbiliary\b",
        "appendicitis": r"\bappendic\w*|\bappend?ectomy\b",
        "sepsis": r"\bsepsis\b|\bseptic\b|\bblood infection\b",
        "atrial fibrillation": r"\batrial fib\w*|\bafib\b|\ba-fib\b|\birregular heart\w*",
        "urinary infection": r"\burinary (?:tract|infection)\b|\buti\b|\burine infection\b|\bpyeloneph\w*"
                             r"|\bbladder infection\b|(?<!interstitial )\bcystitis\b",
        "childbirth": r"\bdelivery\b|\bdelivered (?:a|your|vaginally)\b"
        r"|\bbirth\b|\bbaby\b|\bcesarean\b|\bc-section\b|\bliveborn\b|\bpregnan\w*"
                      r"|\bnewborn\b|\bpostpartum\b|\bborn\b",
        "cancer": r"\bcancer\b|\bmalignan\w*|\bcarcinoma\b|\btumou?r\b|\blymphoma\b|\bleukemia\b",
        "pancreatitis": r"\bpancreatit\w*",
        "skin infection": r"\bcellulitis\b|\bskin infection\b",
        "seizure": r"\bseizures?\b|\bepilep\w*",
    }.items()
}  # fmt: skip


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SMALL = _words(
    """
    with without unspecified other acute chronic mild moderate severe disease disorder type stage initial
    encounter uncomplicated complicated your you were was the and for from that this because hospital stay came
    come treated treat care been have has had into after before about who why there their them they also doctor
    doctors team problem problems condition single episode routine due not part site body primary principal
    """
)


def concepts(text: str) -> set[str]:
    """Return the well-known conditions that ``text`` names, in chart terms or plain words."""
    return {concept for concept, pattern in CONCEPTS.items() if pattern.search(text)}


def content_words(text: str) -> set[str]:
    """Return the words of ``text`` that carry its meaning, lower case, plurals undone."""
    words = re.findall(r"[a-z]{4,}", text.lower())
    return {word.removesuffix("s") if not word.endswith("ss") else word for word in words if word not in _SMALL}
