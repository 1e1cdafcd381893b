"""Reads follow-up visits: with whom, and between which earliest and latest time."""

import re

from service_contracts.quantity import Quantity

from reconciliation.grammar import NUMBER, RANGE
from reconciliation.medication_sentences import clauses
from reconciliation.rhythm import TIME_UNIT, time_span
from reconciliation.statements import FollowUpStatement, Place

__all__ = ["follow_up_statements", "visit_kind"]

_VISIT = re.compile(
    r"\bfollow(?:ing)?[\s-]*up\b|\bsee\s+(?:your|the|a|an|dr)\b|\bappointments?\b|\bvisits?\b|\bcheck-?\s?ups?\b"
    r"|\bcome\s+back\b|\b(?:return|go)\s+(?:back\s+)?to\s+(?:the\s+|your\s+)?(?:\w+\s+)?(?:clinic|office)\b"
    r"|\bbe\s+seen\b"
    r"|\bmeet\s+with\b|\b(?:repeat|get|have)\s+(?:your\s+|a\s+)?(?:blood\s+tests?|labs?|x-?ray)\b",
    re.I,
)
_WARNING = re.compile(
    r"\b(?:if|when)\s+(?:you|your|symptoms|the|there|any|pain|fever|it)\b|\bright\s+away\b|\bemergency\b|\b911\b"
    r"|\bER\b|\burgent\b|\bquestions\b",
    re.I,
)
_INTERVAL = re.compile(
    rf"\b(?:in|within|after|by|for)\s+(?:about\s+|the\s+next\s+|approximately\s+|around\s+|no\s+(?:more"
    rf"|later)\s+than\s+|at\s+most\s+)?"
    rf"(?P<n>{NUMBER})(?:{RANGE}(?P<m>{NUMBER}))?[\s-]*(?P<u>{TIME_UNIT})\b(?:\s+(?:after|of|from)\s+(?:you\s+leave"
    rf"|going\s+home|leaving|discharge|now|today)\b)?"
    rf"|(?P<n2>{NUMBER})(?:{RANGE}(?P<m2>{NUMBER}))?[\s-]*(?P<u2>{TIME_UNIT})\b(?=\s+(?:after|from|follow))",
    re.I,
)
_NAMED: tuple[tuple[re.Pattern[str], float], ...] = (
    (re.compile(r"\btomorrow\b", re.I), 1.0),
    (re.compile(r"\bnext\s+week\b", re.I), 7.0),
    (re.compile(r"\bnext\s+month\b", re.I), 30.0),
)
_SINCE = re.compile(r"\b(?:after|since|from)\s+(?:your\s+|the\s+)?(?:surgery|operation|procedure)\b", re.I)
# What visits are called in plain words and in orders, so that a visit can be told from another specialty's.
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.I))
    for kind, pattern in (
        ("cardiology", r"\bcardiolog\w*|\bheart\s+(?:doctor|failure\s+clinic|clinic|specialist|team)|\bcardiac\b"),
        ("orthopedics", r"\borthop\w*|\bbone\s+(?:doctor|specialist)"),
        ("surgery", r"\bsurg\w+"),
        ("obstetrics", r"\bobstetric\w*|\bpostpartum\b|\bob(?:/?gyn)?\b|\bmidwife\b|\bgynecolog\w*"),
        ("pediatrics", r"\bpediatric\w*|\bbaby'?s?\s+doctor|\bchild'?s?\s+doctor"),
        ("nephrology", r"\bnephrolog\w*|\bkidney\s+(?:doctor|specialist|clinic)"),
        ("pulmonology", r"\bpulmon\w*|\blung\s+(?:doctor|specialist|clinic)"),
        ("neurology", r"\bneurolog\w*|\bbrain\s+(?:doctor|specialist)|\bstroke\s+clinic"),
        ("oncology", r"\boncolog\w*|\bcancer\s+(?:doctor|specialist|clinic)"),
        ("endocrinology", r"\bendocrin\w*|\bdiabetes\s+(?:doctor|specialist|clinic)"),
        ("gastroenterology", r"\bgastro\w*"),
        ("psychiatry", r"\bpsychiatr\w*|\bmental\s+health\b"),
        ("laboratory", r"\bblood\s+tests?\b|\blabs?\b|\blaboratory\b"),
        ("primary care", r"\bprimary\b|\bpcp\b|\bfamily\s+doctor|\bregular\s+doctor|\bgeneral\s+practi\w+"),
    )
)  # fmt: skip


def visit_kind(text: str) -> str | None:
    """Return the specialty a visit is with, or None when the words name none."""
    named = _SINCE.sub(" ", text)
    return next((kind for kind, pattern in _KINDS if pattern.search(named)), None)


def follow_up_statements(text: str, *, follow_up_section: bool) -> tuple[FollowUpStatement, ...]:
    """Return the visits in ``text``; "come back if the pain gets worse" is a warning and no visit.

    In the follow-up section an interval alone is enough ("Heart doctor: 2 weeks" needs no verb).
    """
    found = []
    for clause in clauses(text):
        words = clause.of(text)
        named = _VISIT.search(words)
        match = _INTERVAL.search(words)
        if not named and not (follow_up_section and match and visit_kind(words)):
            continue
        if _WARNING.search(words) and not match:
            continue
        interval, earliest, latest = _interval(words, match, clause.start)
        stripped = Place(clause.start, clause.start + len(words.rstrip()))
        found.append(FollowUpStatement(stripped, interval, visit_kind(words) or "", earliest, latest))
    return tuple(found)


def _interval(
    words: str, match: re.Match[str] | None, offset: int
) -> tuple[Place | None, Quantity | None, Quantity | None]:
    if match is not None:
        low, high = match["n"] or match["n2"], match["m"] or match["m2"]
        earliest, latest = time_span(low, high, match["u"] or match["u2"])
        return Place(offset + match.start(), offset + match.end()), earliest, latest
    for pattern, length in _NAMED:
        named = pattern.search(words)
        if named:
            value = Quantity(value=length, unit="d")
            return Place(offset + named.start(), offset + named.end()), value, value
    return None, None, None
