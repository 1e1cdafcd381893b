"""What a section states, one statement at a time, and for whom: the heading it stands under, and what came before.

The highlights run statements together with no more than a reference between them, and a heading runs on into its first
sentence. Pure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from retrieval.labels.text import LabelText, Sentence, sentence_spans, without_references

__all__ = ["DOSAGE", "MASK", "Statement", "for_some", "for_some_else", "own_name", "statements"]

DOSAGE = "dosage_and_administration"
MASK = "DRUG"
_CONTEXT_CHARS, _GROUP_CHARS = 200, 600
_GROUP = re.compile(r"\badults?\b|pediatric|paediatric|\bchild|infant|neonat|adolescent", re.I)
# Behind a reference that closes a statement of the highlights, before the number of a subsection, and before a heading
# that no full stop parts from what stands before it.
_CUT = re.compile(
    r"(?<=\))\s+(?=[A-Z•●])|\s+(?=\d{1,2}\.\d{1,2}\s+[A-Z])"
    r"|(?<=[a-z)])(?<! in)(?<! for)(?<! with)(?<! of)(?<! to)(?<! and)(?<! or)(?<! the)(?<! by)(?<! on)(?<! a)"
    r"(?<!Stage)(?<!stage)\s+"
    r"(?=(?:Pediatric|Geriatric|Adults?|Children|Elderly|Hepatic|Renal|Maximum|Recommended|Dosage)\b"
    r"|(?:adults and )?children (?:under|\d+)[^.:]{0,40}:)"
)
_HEADING = re.compile(
    r"(?:[A-Z][\w-]*,?\s(?:(?:and|or|of|in|for|with|to|the)\s)*){0,20}[A-Z][\w-]*:?\s"
    r"(?=(?:In|For|Avoid|Do|The|Use|DRUG|As)\b)"
)
_BY_WEIGHT = re.compile(r"(?:/|per )\s*(?:kg|kilogram)(?: (?:of )?body weight)?", re.I)
_REFERENCE = r"\(\s*\d{1,2}(?:\.\d{1,2})?(?:\s*,\s*\d{1,2}(?:\.\d{1,2})?)*\s*\)"
_LEADING = re.compile(rf"\s*(?:{_REFERENCE}\s*)?")
_CLOSING = re.compile(rf"{_REFERENCE}\s*$")
_NUMBERED = re.compile(r"\d{1,2}\.\d{1,2}\s+(?=[A-Z])")
_NUMBER = re.compile(r"^\d{1,2}(?:\.\d{1,2})?\s+(?=[A-Z])")
_TITLE = re.compile(r"(?:(?:[A-Z][\w/,:-]*|[a-z]{1,4}|\([^()]{1,40}\)|[-–]|\d+)\s+){1,14}")
_BY_KIDNEYS = r"impair|renal|kidney|creatinine|\bCL ?cr|CrCl|eGFR|dialysis|Specific Populations"
_BY_ANYTHING_ELSE = (
    r"hepat|liver|cirrho|pediatric|paediatric|child|adolescent|infant|neonat|\bage[ds]?\b|years|elderly|geriatric|older"
    r"|debilitated|kg\b|body weight|weighing|concomit|coadmin|co-admin|taking|receiving|in combination|combined with"
    r"|used with|inhibitor|inducer|metaboli[sz]er|\bpoor\b|prophyla|Drug Interactions|these (?:patients|populations)"
    r"|such patients|hospitali[sz]ed|other (?:patients|drugs)|pregnan|women|males"
)
_FOR_SOME = re.compile(f"{_BY_KIDNEYS}|{_BY_ANYTHING_ELSE}", re.I)
_FOR_SOME_ELSE = re.compile(_BY_ANYTHING_ELSE, re.I)
_IMPAIRED = re.compile(r"(?:renal|kidney|hepatic|liver)(?:ly)?[ -](?:impair|insuffic|disease|dysfunc|fail)", re.I)
# Adults are meant too, or all patients.
_FOR_ADULTS = re.compile(
    r"adults? (?:patients )?(?:and|or) (?:(?:pediatric|older|geriatric|elderly) (?:patients|adults)|adolescents"
    r"|children)"
    r"[^.,;:]{0,40}|adults? (?:1[5-9] years|18 years)[\w ]*|\(?1[0-9] years (?:of age )?(?:and|or) (?:older|over"
    r"|above)\)?"
    r"|(?:patients )?(?:greater than|more than|over|above|>|≥) ?[1-5]\d kg(?: body weight)?"
    r"|(?:children|adolescents|pediatric patients)[\w ,]{0,40} and adults?|regardless of age|for an? 70[- ]?kg \w+"
    r"|taking into account",
    re.I,
)
# What takes nobody out: who else has the same dose, and who is not meant by kidney function.
_NO_OTHERS = re.compile(
    r"not (?:yet )?(?:receiving|on|requiring|undergoing) (?:hemo)?dialysis"
    r"|(?:mild to moderate |moderate |severe )?hepatic impairment(?:\s*\([^()]*\))?,? or\b",
    re.I,
)
_FORMS = (
    r"(?:[ ,]+(?:hydrochloride|hydrobromide|hcl|hbr|sodium|potassium|calcium|maleate|mesylate|tartrate|succinate"
    r"|sulfate"
    r"|phosphate|fumarate|acetate|citrate|bromide|malate|besylate|tablets?|capsules?|extended-release|delayed-release"
    r"|immediate-release|orally disintegrating|oral (?:solution|suspension)|for (?:oral suspension|injection)|injection"
    r"|nasal spray|usp))*"
)


@dataclass(frozen=True)
class Statement:
    """A statement of the section: ``text`` is word for word from ``start`` to ``end`` of it.

    ``plain`` is without references and with this drug's name masked; ``heading`` is the title it stands under, and
    ``before`` what stood before it under the same title.
    """

    text: str
    start: int
    end: int
    plain: str
    heading: str
    before: str
    section: str

    def sentence(self) -> Sentence:
        """Return it as a sentence to quote."""
        return Sentence(self.text, self.section, self.before)

    @property
    def unheaded(self) -> str:
        """The plain text without the heading that it begins with."""
        begins = _HEADING.match(self.plain)
        return self.plain[begins.end() :] if begins else self.plain

    @property
    def restricted(self) -> bool:
        """Whether it speaks of some patients only."""
        return for_some(self.plain)

    @property
    def for_others(self) -> bool:
        """Whether what stands before it speaks of weak kidneys or livers, or last of children."""
        if _IMPAIRED.search(f"{self.heading} {self.before[-_CONTEXT_CHARS:]}"):
            return True
        groups = _GROUP.findall(_FOR_ADULTS.sub(" adults ", f"{self.heading} {self.before[-_GROUP_CHARS:]}"))
        return bool(groups) and not groups[-1].lower().startswith("adult")

    @property
    def under_restriction(self) -> bool:
        """Whether what stands before it speaks of some patients only."""
        return for_some(self.heading) or for_some(self.before[-_CONTEXT_CHARS:])


def for_some(text: str) -> bool:
    """Whether a text speaks of some patients, or of what else they take."""
    return _FOR_SOME.search(_FOR_ADULTS.sub(" ", _BY_WEIGHT.sub(" ", text))) is not None


def for_some_else(text: str) -> bool:
    """Whether a text speaks of some patients by something else than their kidneys."""
    return _FOR_SOME_ELSE.search(_FOR_ADULTS.sub(" ", _NO_OTHERS.sub(" ", _BY_WEIGHT.sub(" ", text)))) is not None


def own_name(label: LabelText) -> re.Pattern[str]:
    """Return what finds this drug's names, with their salts and forms."""
    names = sorted({*label.ingredients, *label.names}, key=len, reverse=True)
    spoken = "|".join(re.escape(name).replace(r"\ ", r"[\s®™-]+") for name in names if len(name) > 2)
    return re.compile(rf"(?<![\w-])(?:{spoken or '(?!)'})(?![\w-])[®™]?{_FORMS}", re.I)


def statements(label: LabelText, section: str = DOSAGE) -> Iterator[Statement]:
    """Yield what a section of a label states."""
    text = label.sections.get(section, "")
    name = own_name(label)
    heading, begins = "", 0
    for start, end in _spans(text):
        said = text[start:end]
        numbered = _NUMBERED.match(said)
        if numbered is not None:
            title = _TITLE.match(text, start + numbered.end())
            heading, begins = (title[0] if title else said[numbered.end() : numbered.end() + 60]), start
        elif not heading and _CLOSING.search(text[max(begins, start - 60) : start]):
            begins = start
        plain = name.sub(MASK, without_references(_NUMBER.sub("", said, count=1)))
        yield Statement(said, start, end, plain, heading, text[begins:start], section)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    for start, end in sentence_spans(text):
        place = start
        for cut in _CUT.finditer(text, start, end):
            if text[cut.start() - 1] != ")" or _CLOSING.search(text[place : cut.start()]):
                yield from _stripped(text, place, cut.start())
                place = cut.end()
        yield from _stripped(text, place, end)


def _stripped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield a span without the spaces around it and without the reference that ends what stood before."""
    leading = _LEADING.match(text, start, end)
    start = leading.end() if leading else start
    while end > start and text[end - 1].isspace():
        end -= 1
    if end > start:
        yield start, end
