"""Medicine names as a patient reads them: without form words, lower case unless they are abbreviations."""

import re
from typing import NamedTuple

__all__ = ["PlainName", "plain_name", "sentence_case"]

_STRENGTH = re.compile(
    r"\s*\b(\d[\d,.]*)\s*(mg|mcg|ug|g|ml|iu|units?|unt|meq|%)(?:\s*/\s*(?:ml|actuat|hr))?(?!\w)", re.I
)
_FORM = re.compile(
    r"\b(?:oral|tablets?|tabs?|capsules?|caps?|extended|delayed|immediate|release|chewable|solution|suspension|syrup"
    r"|injectable|prefilled|syringe|metered|powder|topical|transdermal|system|pack|product|disintegrating|film|coated"
    r"|enteric|pen)\b",
    re.I,
)
_TITLE = re.compile(r"\b[A-Z][a-z]{2,}\b")


class PlainName(NamedTuple):
    """The name, and the strength of one piece where the chart's name holds exactly one."""

    name: str
    strength: str | None


def plain_name(name: str) -> PlainName:
    """Read a chart name such as "metformin hydrochloride 500 MG Oral Tablet"."""
    strengths = _STRENGTH.findall(name)
    bare = _FORM.sub(" ", _STRENGTH.sub(" ", name)) if strengths else name
    bare = re.sub(r"\s*/\s*", "/", re.sub(r"\s+", " ", bare)).strip(" ,;:-/") or name
    strength = f"{strengths[0][0]} {strengths[0][1].lower()}" if len(strengths) == 1 else None
    return PlainName(sentence_case(bare), strength)


def sentence_case(text: str) -> str:
    """Lower the words written with one capital; abbreviations (IV, ICS/LABA, vitamin D) stay."""
    return _TITLE.sub(lambda match: match[0].lower(), text)
