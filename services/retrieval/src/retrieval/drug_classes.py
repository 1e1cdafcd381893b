"""Classes of medicines that labels speak of: their words, and their members with where membership was read."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

__all__ = ["LabelClass", "classes_in_words", "enzyme_words", "label_classes", "singular", "words_of_classes"]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ISOENZYME = r"(?:3a4/5|3a5/7|3a4|3a5|3a|2d6|2c8|2c9|2c19|1a2|2b6)"
_SYSTEM = r"(?:(?:hepatic |the )?(?:cytochrome[\s-]*p[\s-]*-?450|cyp[\s-]*450|cyp|p450|cytochrome)\s*(?:\(cyp\)\s*)?)"
_ENZYME = (
    rf"(?:{_SYSTEM}(?:isoenzymes? |isozymes? |isoforms? |enzymes? |pathway )?[\s-]*\(?{_ISOENZYME}\)?|{_ISOENZYME}"
    rf"|p-gp|p-?glycoprotein(?:\s*\(p-gp\))?)"
)
_ROLE = r"(?:inhibitors?|inducers?|substrates?)"
_GRADE = (
    r"(?:(?:strong|potent|powerful|moderate|weak|mild)(?:(?:,? (?:or|and|to) |/)(?:strong|potent|moderate|weak))?\s+)?"
)
_AND = r"(?:\s*(?:,\s*(?:and |or |and/or )?|/|\s+and/or\s+|\s+and\s+|\s+or\s+)\s*)"
_ENZYMES = rf"{_ENZYME}(?:{_AND}(?:the )?{_ENZYME})*"
_ROLES = rf"{_ROLE}(?:{_AND}{_GRADE}{_ROLE})*"
_MOSTLY = r"(?:primarily |mainly |predominantly |extensively )?"
_THINGS = r"(?:drugs|agents|medications|medicines|compounds|products|substances)"
# How labels name what acts on enzymes, or is acted on: before or after them, several at once, with a grade or none.
_ENZYME_WORDS = (
    rf"{_GRADE}(?:dual |combined )?{_ENZYMES}\s+(?:enzymes? |isoenzymes? |isozymes? |pathway )?{_ROLES}"
    rf"(?:\s*\((?:strong|moderate)\))?",
    rf"{_GRADE}{_ROLES} of (?:both |either )?(?:the )?(?:isoenzymes? |enzymes? )?{_ENZYMES}",
    rf"{_THINGS} (?:that|which|known to) (?:are known to |are )?(?:be )?(?:also )?"
    rf"(?:{_GRADE}(?:inhibit|induce)(?:s|ing)?|{_GRADE}{_ROLES} of|{_MOSTLY}metaboli[sz]ed (?:primarily )?(?:by|via))"
    rf"(?: (?:the )?(?:metabolism by )?(?:enzymes? )?){_ENZYMES}",
    rf"{_THINGS} {_MOSTLY}metaboli[sz]ed (?:primarily )?(?:by|via) {_ENZYMES}",
)


@dataclass(frozen=True)
class LabelClass:
    """A class; ``source`` says where its members were read, None for those of the table of names."""

    name: str
    said: tuple[str, ...]
    members: tuple[str, ...]
    source: str | None
    by_effect: bool = False
    """Whether the words say what the members do, rather than what they are."""


@cache
def label_classes() -> dict[str, LabelClass]:
    """Return every class by name, the members of those it includes among its own."""
    raw = _table("drug_classes.yaml")
    names, classes = _table("drug_names.yaml")["classes"], raw["classes"]

    def members(name: str) -> set[str]:
        row = classes.get(name, {})
        own = {*names.get(name, ()), *row.get("members", ())}
        return own.union(*(members(one) for one in row.get("includes", ())))

    return {
        name: LabelClass(
            name, tuple(row.get("said", ())), tuple(sorted(members(name))),
            raw["sources"][row["source"]] if "source" in row else None, row.get("source") == "labels",
        )
        for name, row in classes.items()
    }  # fmt: skip


def _table(name: str) -> dict[str, Any]:
    text = files("retrieval").joinpath(name).read_text("utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=_LOADER)  # noqa: S506  the loader is a safe one
    return found


@cache
def enzyme_words() -> re.Pattern[str]:
    """Return how labels name what acts on an enzyme or is acted on by it."""
    return re.compile(rf"(?<![\w-])(?:{'|'.join(_ENZYME_WORDS)})(?![\w-])", re.I)


@cache
def words_of_classes() -> dict[tuple[str, ...], str]:
    """Return the words of each name of a class, in the singular, and the class."""
    return {
        tuple(singular(word) for word in re.split(r"[^a-z0-9]+", said.lower()) if word): one.name
        for one in label_classes().values()
        if one.members
        for said in one.said
    }


def classes_in_words(found: str) -> tuple[str, ...]:
    """Return the classes that words for enzymes speak of, those whose members are known."""
    text = found.lower()
    families = [f"cyp{'3a' if one.startswith('3a') else one}" for one in re.findall(_ISOENZYME, text)]
    families += ["p-gp"] if re.search(r"p-?g(?:p|lyco)", text) else []
    strong, moderate = re.search(r"strong|potent|powerful", text), re.search(r"moderate", text)
    grade = "strong-" if strong and not moderate else "moderate-" if moderate and not strong else ""
    roles = [role for role, said in _ROLES_BY_WORD if said in text]
    tries = ((f"{family}-{grade}{role}", f"{family}-{role}") for family in families for role in roles)
    known = (next((name for name in names if name in label_classes()), None) for names in tries)
    return tuple(dict.fromkeys(name for name in known if name is not None))


_ROLES_BY_WORD = (
    ("inhibitor", "inhibit"), ("inducer", "induc"), ("substrate", "substrate"), ("substrate", "metaboli"),
)  # fmt: skip


def singular(word: str) -> str:
    """Return a word without the ending of its plural."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
