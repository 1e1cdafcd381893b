"""Classes that are described: "drugs that inhibit CYP2C19", "calcium-blocking agents", "substrates of P-gp"."""

import re
from dataclasses import dataclass, field
from functools import cache

from retrieval.class_descriptions import Act, Part, Target, parts_of_descriptions
from retrieval.drug_classes import label_classes
from retrieval.labels.words import Token, tokens_of

__all__ = ["described", "enzymes_before", "first_words"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What opens a clause about the medicine named before it; without it a verb after "drugs" is that of the sentence.
_RELATIVE = _words("that which who known shown capable potential likely having")
_HAS = _words("with having possess exhibit have")
_AUXILIARY = _words(
    "may can could might will would also are is be been being have ha has had do does known shown reported expected"
    " thought believed suspected likely to themselve capable potential having exhibit possess show"
)
_JOINS = _words("and or nor both either")
_GRADES = _words("strong potent powerful moderate weak mild specific dual combined selective sensitive")
_GRADE_JOINS = _words("and or to")
_STRONG = _words("strong potent powerful")
_FILLER = _GRADES | _words(
    "the a an of in to on by with for it its their these this any some other such certain various several same human"
    " hepatic serum plasma blood known direct indirect via through enzyme isoenzyme isozyme isoform pathway transporter"
    " transport receptor significant marked systemic additive normal adequate into from effect property activity"
    " function system primary"
)
_BETWEEN = _GRADES | _words("enzyme isoenzyme isozyme pathway transporter receptor channel system the and or mediated")
_ENDS = _words(
    "should must shall when if while because since during after before unless include including than but however"
    " whereas not no although until without patient"
)
_POINTING = _words("this these the")
_POINTED = _words("enzyme isoenzyme isozyme isoform system pathway transporter")
_BACK = re.compile(
    r"\b(?:this|these|the)\s+(?:\w+\s+){0,2}(?:(?:iso)?(?:en)?zyme|isoform|system|pathway|transporter)", re.I
)
_STOPS = frozenset(".;:•()[]")
_MOST_UNKNOWN = 1
_LONGEST = 32
Described = tuple[list[str], int]
"""The classes that a description names, and its last word."""


@cache
def first_words() -> frozenset[str]:
    """Return the words that a description may begin with."""
    return parts_of_descriptions().first_words() | _GRADES


def described(tokens: list[Token], place: int, text: str, back: tuple[Target, ...] = ()) -> Described | None:
    """Return what a description beginning at a word names. ``back`` are the enzymes that "this enzyme" points to."""
    at = _after_grades(tokens, place)
    opening = parts_of_descriptions().at(tokens, at) if at < len(tokens) else None
    if opening is None:
        return None
    part, last = opening
    if part.target is not None:
        return _compound(tokens, (at, last), text, part.target)
    if part.thing or (part.act is not None and part.act.noun):
        return _Clause(tokens, text, back, grade=_grade(tokens, at)).read(part, last)
    return None


def _after_grades(tokens: list[Token], place: int) -> int:
    """Return the first word after "strong", "moderate or strong" and the like."""
    at = place
    while at < len(tokens) and (tokens[at].key in _GRADES or (at > place and tokens[at].key in _GRADE_JOINS)):
        at += 1
    return at


def _grade(tokens: list[Token], at: int) -> str:
    """Return the one grade that stands before a word, as names of classes write it."""
    words = set()
    while at > 0 and tokens[at - 1].key in _GRADES | _GRADE_JOINS:
        at -= 1
        words.add(tokens[at].key)
    strong, moderate = words & _STRONG, "moderate" in words
    return "strong-" if strong and not moderate else "moderate-" if moderate and not strong else ""


def _named(target: Target, act: Act, turned: bool, grade: str) -> list[str]:
    """Return the classes of what acts on a target, those of the grade where there are such."""
    names = target.of(act.way, turned)
    if target.enzyme is None or not grade:
        return list(names)
    graded = (name.replace(f"{target.enzyme}-", f"{target.enzyme}-{grade}", 1) for name in names)
    return [one if one in label_classes() else name for one, name in zip(graded, names, strict=True)]


def enzymes_before(text: str, before: str) -> tuple[Target, ...]:
    """Return the enzymes that "this enzyme" in ``text`` points back to: those named last before it, in one sentence."""
    pointing = _BACK.search(text) if any(word in text for word in _POINTED) else None
    if pointing is None:
        return ()
    for sentence in (text[: pointing.start()], *reversed(re.split(r"(?<=[.!?])\s", before))):
        found = _enzymes_in(sentence)
        if found:
            return found
    return ()


def _enzymes_in(text: str) -> tuple[Target, ...]:
    tokens = tokens_of(text)
    hits = (parts_of_descriptions().at(tokens, place) for place in range(len(tokens)))
    targets = (hit[0].target for hit in hits if hit is not None)
    return tuple(dict.fromkeys(target for target in targets if target is not None and target.enzyme))


def _stopped(tokens: list[Token], at: int, text: str) -> bool:
    """Whether a clause ends before a word."""
    return bool(_STOPS & set(text[tokens[at - 1].end : tokens[at].start])) and tokens[at].key[0] != "("


def _joined(tokens: list[Token], at: int, text: str) -> bool:
    """Whether a word is listed with the one before it."""
    before = at - 1
    while before > 0 and tokens[before].key in _GRADES:
        before -= 1
    gap = text[tokens[before].end : tokens[at].start]
    return tokens[before].key in _JOINS or "," in gap or "/" in gap


def _compound(tokens: list[Token], opening: tuple[int, int], text: str, target: Target) -> Described | None:
    """Read what is acted on before what acts: "CYP3A4 and P-gp inhibitors", "calcium-blocking drugs"."""
    parts = parts_of_descriptions()
    targets, acts, at, end = [(target, _grade(tokens, opening[0]))], list[Act](), opening[1] + 1, -1
    while at < len(tokens) and not _stopped(tokens, at, text):
        hit = parts.at(tokens, at)
        if hit is None or (hit[0].target is None and hit[0].act is None):
            if tokens[at].key not in _BETWEEN and tokens[at].key[0] != "(":
                break
            at += 1
            continue
        part, until = hit
        if part.act is not None and (part.act.noun or part.act.going):
            after = parts.at(tokens, until + 1) if until + 1 < len(tokens) else None
            thing = after if after is not None and (after[0].thing or after[0].kind) else None
            if part.act.going and thing is None:
                break
            acts.append(part.act)
            end = at = thing[1] if thing is not None else until
        elif part.target is not None and not acts and _joined(tokens, at, text):
            targets.append((part.target, _grade(tokens, at)))
            at = until
        else:
            break
        at += 1
    named = [name for one, grade in targets for act in acts for name in _named(one, act, turned=False, grade=grade)]
    return (list(dict.fromkeys(named)), end) if named else None


@dataclass
class _Clause:
    """What follows a word for a medicine: "drugs that reduce the heart rate or prolong the QT interval"."""

    tokens: list[Token]
    text: str
    back: tuple[Target, ...]
    grade: str = ""
    relative: bool = False
    has: bool = False
    acts: list[Act] = field(default_factory=list)
    turned: bool = False
    waiting: list[Target] = field(default_factory=list)
    """Targets that stand before what acts on them: "agents with beta-blocking properties"."""
    found: list[str] = field(default_factory=list)
    last: int = -1
    joined: bool = False
    unknown: int = 0
    fresh: bool = True
    """Whether nothing is acted on by the last verbs yet: another verb joins them."""

    def read(self, opening: Part, last: int) -> Described | None:
        """Read on from what the clause opens with."""
        if opening.act is not None and not opening.thing:
            self.acts.append(opening.act)
        at: int | None = last + 1
        while at is not None and at < len(self.tokens) and at - last < _LONGEST:
            if _stopped(self.tokens, at, self.text):
                break
            gap = self.text[self.tokens[at - 1].end : self.tokens[at].start]
            self.joined = self.joined or "," in gap or "/" in gap
            at = self._step(at)
        return (list(dict.fromkeys(self.found)), self.last) if self.found else None

    def _step(self, at: int) -> int | None:
        """Read one phrase; return where the next begins, None where the description ends."""
        key = self.tokens[at].key
        if key in _JOINS:
            self.joined = True
            return at + 1
        if key in _ENDS:
            return None
        hit = parts_of_descriptions().at(self.tokens, at)
        if hit is not None:
            part, last = hit
            if self._plays(part, at, last):
                self.joined = False
                return last + 1
            if part.act is not None and not self.relative and not self.acts:
                # The verb of the sentence itself: "these drugs increase".
                return None
        pointed = self._pointed(at) if self.back and self.acts else None
        if pointed is not None:
            self._act_on(self.back, pointed)
            return pointed + 1
        return self._passed(key, at)

    def _plays(self, part: Part, at: int, last: int) -> bool:
        """Take a phrase for the first part that it can play here; return whether there is one."""
        if part.act is not None and self.joined and self._act(part.act, at, last):
            return True
        if part.target is not None and (self.acts or self.has):
            if self.acts and self._acts_itself(last):
                return False
            if self.acts:
                self._act_on((part.target,), last)
            else:
                self.waiting.append(part.target)
            return True
        if part.turn is not None and self.acts:
            self.turned ^= part.turn == "opposite"
            return True
        if part.act is not None and self._act(part.act, at, last):
            return True
        return part.thing and not self.acts and not self.unknown

    def _acts_itself(self, last: int) -> bool:
        """Whether what is acted on is itself a medicine: "inhibitors of beta-receptor agonists"."""
        after = parts_of_descriptions().at(self.tokens, last + 1) if last + 1 < len(self.tokens) else None
        return after is not None and after[0].act is not None and after[0].act.noun

    def _act(self, act: Act, at: int, place: int) -> bool:
        """Take a verb or a noun of acting; return whether it can stand here."""
        if self.acts and not self.joined:
            return False
        alone = act.going or act.noun or act.held or act.way == "by"
        if not (self.relative or self.acts or self.waiting) and (self.unknown or not alone):
            return False
        if not self.fresh:
            self.acts, self.turned, self.fresh = [], False, True
        self.acts.append(act)
        self.grade = _grade(self.tokens, at) or self.grade
        if self.waiting:
            self._act_on(self.waiting, place)
        return True

    def _act_on(self, targets: tuple[Target, ...] | list[Target], place: int) -> None:
        named = [
            name for target in targets for act in self.acts for name in _named(target, act, self.turned, self.grade)
        ]
        if named:
            self.found += named
            self.last, self.fresh, self.unknown = place, False, 0

    def _pointed(self, at: int) -> int | None:
        """Return the last word of "these two isoenzymes" where it begins at a word."""
        if self.tokens[at].key not in _POINTING:
            return None
        ahead = range(at + 1, min(at + 4, len(self.tokens)))
        return next((place for place in ahead if self.tokens[place].key in _POINTED), None)

    def _passed(self, key: str, at: int) -> int | None:
        """Pass over a word that tells nothing; return where the next begins, None where the description ends."""
        if not self.acts:
            self.has = self.has or key in _HAS
            if key in _RELATIVE:
                self.relative = self.has = True
                return at + 1
        if key in _FILLER or key.endswith("ly") or key[0] == "(":
            return at + 1
        if key in _AUXILIARY:
            return at + 1 if (self.joined if self.acts else self.relative) else None
        self.unknown += 1
        return None if self.unknown > _MOST_UNKNOWN or (self.joined and self.found) else at + 1
