"""The clause of a sentence that a name stands in, and whether it denies an interaction."""

import re

__all__ = ["denied"]

_NEGATED = re.compile(
    r"\bno (?:\w+[ -]){0,4}(?:interactions?|effects?|changes?|differences?|evidence|influence|alterations?|impact)\b"
    r"|\b(?:did|does|do) not (?:\w+ ){0,2}(?:affect|alter|change|influence|increase|decrease|interact|potentiate|modify"
    r"|prolong|produce|appear|seem|impact|have|inhibit|induce|result)"
    r"|\bnone of (?:\w+ ){1,4}(?:affect|alter|change|influenc|had|ha[sd]|interact|modif)"
    r"|\b(?:has|have|had|with|without|there (?:is|was|were)) no (?:\w+ ){0,3}(?:effect|interaction|influence|change)"
    r"|\bnot (?:\w+ )?(?:affected|altered|changed|influenced|modified|observed|seen|contraindicated|inhibited)\b"
    r"|\bunaffected\b|\bunchanged\b|no dos(?:e|age) adjust|without (?:any )?(?:evidence|apparent|adverse|clinically)"
    r"|have been used (?:safely|concomitantly without)|\bno\b[^.;]{0,60}\bwere (?:found|observed|seen)"
    r"|safely (?:co-?)?(?:administered|given|used)|without (?:observed|any|apparent) "
    r"|same intravenous line|(?<!not )\bcompatib"
    r"|hypersensitiv|allerg(?:y|ic) to",
    re.I,
)
_CLAUSE = re.compile(
    r";\s|\.\s+(?=[a-z]{3})|,? (?:but|however|whereas|while|although)\b,? |, with the exception of ", re.I
)
# "Although A did not alter B, A with B increases ...": what is granted ends at the comma.
_GRANTED = re.compile(r"\W*(?:<\w+>\s*)?(?:although|though|while|whereas|even though)\b[^,;]*,", re.I)


def denied(text: str, start: int, end: int) -> bool:
    """Whether the clause of ``text`` around a name says that nothing comes of it."""
    first, last = 0, len(text)
    granted = _GRANTED.match(text)
    if granted is not None and granted.end() <= start:
        first = granted.end()
    for match in _CLAUSE.finditer(text):
        if match.end() <= start:
            first = max(first, match.end())
        elif match.start() >= end:
            last = min(last, match.start())
    return bool(_NEGATED.search(text[first:last]))
