"""The verbs, labels and stop words with which instructions about medicines are read."""

import re

from service_contracts.chart import MedicationChange

from reconciliation.grammar import amounts, concentration, masked
from reconciliation.rhythm import durations, frequency

__all__ = ["ADVICE", "CHANGES", "STOP", "STOPPED_AFTER", "TAKE", "names_after_verbs"]

_TAKE_VERBS = (
    r"take|taking|use|using|inhale|inject|injecting|apply|applying|place|give|swallow|chew|dissolve|start|begin"
    r"|continue|resume|restart|keep\s+taking|keep\s+using|breathe\s+in|put\s+on|drink"
)
TAKE = re.compile(rf"\b(?:{_TAKE_VERBS})\b", re.I)
STOP = re.compile(
    r"\b(?:stop(?:ped)?(?:\s+(?:taking|using))?|quit(?:\s+taking)?|discontinued?|hold"
    r"|(?:do\s+not|don't|never|should\s+not|must\s+not|cannot|no\s+longer)\s+(?:take|use|start|restart"
    r"|need(?:\s+to\s+take)?)(?:\s+any)?"
    r"|avoid(?:\s+(?:taking|using))?)\b",
    re.I,
)
# A medicine that is only talked about: nobody is told to take or to stop it.
ADVICE = re.compile(
    r"\b(?:ask|talk\s+(?:to|with)|check\s+with|call|tell|before\s+(?:you\s+)?(?:tak|start|us)\w*|without\s+asking"
    r"|(?:do\s+not|don't|never)\s+(?:stop|skip|miss|run\s+out|crush|break|chew|double|share|change)"
    r"|instead\s+of|allerg\w+\s+to|side\s+effects?\s+of|while\s+(?:you\s+)?(?:are\s+)?(?:tak\w+|us\w+|on)"
    r"|because\s+you\s+(?:are\s+)?tak\w+"
    r"|(?:together\s+)?with\s+(?:your\s+)?$|if\s+you\s+(?:take|miss|forget)|than\s+your?|blood\s+test\w*"
    r"|level\w*\s+of)\b"
    r"|\bwith\s+(?:your\s+)?$",
    re.I,
)
CHANGES: tuple[tuple[re.Pattern[str], MedicationChange], ...] = tuple(
    (re.compile(pattern, re.I), meaning)
    for pattern, meaning in (
        (
            r"(?:^|[(\[\s])new(?:\s+medic\w+)?\s*[:)\]–-]|\bstart(?:\s+taking)?\b|\bbegin\s+taking\b",
            MedicationChange.NEW,
        ),
        (r"(?:^|[(\[\s])changed?(?:\s+(?:dose|medic\w+))?\s*[:)\]–-]", MedicationChange.CHANGED),
        (
            r"(?:^|[(\[\s])(?:continued?|same|no\s+change)\s*[:)\]–-]|\bkeep\s+(?:taking|using)\b|\bcontinue\b",
            MedicationChange.CONTINUED,
        ),
        (
            r"(?:^|[(\[\s])(?:stop(?:ped)?|discontinued?)\s*[:)\]–-]|\bstop(?:\s+(?:taking|using))?\b|\bno\s+longer\b",
            MedicationChange.STOPPED,
        ),
    )
)
STOPPED_AFTER = re.compile(
    r"\s*(?:[:,–-]\s*|\(\s*|\s+(?:has\s+been|was|is|were|are)\s+)(?:stop(?:ped)?|discontinued|do\s+not\s+take)\b", re.I
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEVER_FIRST = _words(
    """
    new change changed continued stopped stopping same medicine medicines note important warning reason purpose
    then total extra half additional another full whole box breathe spray rub dab insert squeeze swish mix
    take taking use using inhale inject injecting apply applying place give swallow chew dissolve start begin
    continue resume restart keep put stop avoid hold drink one two three four five six a an the your this that
    these those it its them they all any each every one some both other another same next with without by to for
    of in on at as if when until while and or but more less than up only also care time turns note notes part off
    away over out back medicine medicines medication medications pill pills drug drugs dose doses tablet tablets
    capsule capsules antibiotic antibiotics painkiller painkillers temperature weight walk walks shower showers
    bath baths nap naps rest breaks break deep slow easy steps action precautions blood pulse heart short small
    ice heat crutches walker cane stairs seat bandage dressing incision wound area stockings machine cpap oxygen
    incentive peak flow meter log diary record soap water fluids fluid food foods meals meal milk juice alcohol
    tobacco smoking cigarettes salt sugar caffeine coffee heavy lifting driving exercise exercises activity
    activities straining strenuous overexertion contact known triggers sexual sex swimming plenty enough normal
    regular balanced healthy low high home not no you he she we i day days daily week night morning evening once
    twice everything anything nothing what which how most their his her my our physical therapy breathing pressure
    sugar-free spacer good care pain over-the-counter herbal supplements supplement vitamins prescription
    prescribed new old inhaler insulin-free directed told needed prompt immediate long sitting standing public
    large
    """
)  # fmt: skip
_NEVER_IN = _words(
    """
    a an the your this that it with without by to for of in on at as if when until while and or but more than up
    only also every each once twice daily tablet tablets capsule capsules pill pills puff puffs inhaler pen
    medicine medicines medication medications dose doses exactly right away now today tomorrow again because after
    before from is was are were has have had will should may can must through into under per ml each at-home
    """
)  # fmt: skip
_WORD = r"[A-Za-z][A-Za-z0-9'-]*(?:/[A-Za-z][A-Za-z0-9'-]*)*"
_AFTER_VERB = re.compile(
    rf"(?:\b(?:{_TAKE_VERBS}|stop|avoid|{_TAKE_VERBS}\s+any)\b|\b(?:new|changed?|continued?|same|stop|stopped)\s*:)"
    rf"(?:[\0\s,:()–-]|\b(?:of|your|the|any|taking|using|a|an|as|or)\b)*(?=(?P<name>{_WORD}(?:\s+{_WORD}){{0,3}}))",
    re.I,
)
_AT_START = re.compile(rf"^\s*(?:[-•*]\s*|\d+\.\s*)?(?P<name>{_WORD}(?:\s+{_WORD}){{0,3}})\s*(?=[\0:(–-]|,\s*\0)", re.I)
_BETWEEN = r"[\0\s()]*(?:by\s+mouth[\0\s]*)?"
_JOINED = re.compile(
    rf"{_BETWEEN}(?:\s*,\s*(?:and\s+|or\s+)?|\s+(?:and|or)\s+)[\0\s]*(?P<name>{_WORD})(?=[\s\0]*(?:,|\.|$|\0|and\b"
    rf"|or\b))",
    re.I,
)


_BEFORE_DOSE = re.compile(
    rf"(?:,|;|\band\b|\bplus\b|\bthen\b)\s*(?:also\s+)?(?P<name>{_WORD}(?:\s+{_WORD}){{0,3}})\s*\0", re.I
)


def names_after_verbs(clause: str, medicines_section: bool) -> list[tuple[int, int, bool]]:
    """Return where words stand that the grammar says are medicines, and whether a dose or a rhythm goes with them."""
    spans = [(amount.start, amount.end) for amount in amounts(clause)]
    spans += [(length.start, length.end) for length in durations(clause)]
    rhythm = frequency(clause)
    dosed = bool(spans) or rhythm is not None
    if rhythm is not None:
        spans.append((rhythm.start, rhythm.end))
    liquid = concentration(clause)
    if liquid:
        spans.append(liquid[:2])
    plain = masked(clause, spans)
    found: list[tuple[int, int, bool]] = []
    patterns = (_AFTER_VERB, *((_AT_START, _BEFORE_DOSE) if medicines_section and dosed else ()))
    doses = {amount.start for amount in amounts(clause) if not amount.is_count}
    for pattern in patterns:
        for match in pattern.finditer(plain):
            span = _name_span(plain, match.start("name"), match.end("name"))
            if span and ADVICE.search(plain, 0, span[0]) and not amounts(clause):
                continue
            if pattern is _BEFORE_DOSE and match.end() - 1 not in doses:
                continue
            if span and not any(span[0] < other[1] and other[0] < span[1] for other in found):
                found.append((*span, bool(amounts(clause))))
                found.extend(_listed(plain, span[1], bool(amounts(clause))))
    if medicines_section or dosed:
        return found
    return [one for one in found if one[2]]


def _listed(plain: str, end: int, dosed: bool) -> list[tuple[int, int, bool]]:
    more = []
    match = _JOINED.match(plain, end)
    while match:
        span = _name_span(plain, match.start("name"), match.end("name"))
        if span is None:
            break
        more.append((*span, dosed))
        match = _JOINED.match(plain, span[1])
    return more


def _name_span(plain: str, start: int, end: int) -> tuple[int, int] | None:
    words = list(re.finditer(_WORD, plain[start:end]))
    if not words or words[0][0].lower() in _NEVER_FIRST or len(words[0][0]) < 3:
        return None
    last = words[0]
    for word in words[1:]:
        if word[0].lower() in _NEVER_IN:
            break
        last = word
    return start + words[0].start(), start + last.end()
