"""Classes of medicines that labels speak of: their words, and their members with where membership was read."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

__all__ = ["LabelClass", "class_in_words", "label_classes", "labelled_words"]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NAMED_BEFORE = "strong|potent|moderate|weak|mild|known|other|any|certain|powerful|significant"
_ISOENZYME = r"(?:3a4/5|3a4|3a5|3a|2d6|2c8|2c9|2c19|1a2|2b6)"
_SYSTEM = r"(?:(?:hepatic |the )?(?:cytochrome[\s-]*p[\s-]*-?450|cyp[\s-]*450|cyp|p450|cytochrome)\s*(?:\(cyp\)\s*)?)"
_ENZYME = rf"(?:{_SYSTEM}(?:isoenzyme |isozyme |enzyme )?[\s-]*{_ISOENZYME}|p-gp|p-?glycoprotein)"
_ROLE = r"(?:inhibitors?|inducers?|substrates?)"
_GRADE = (
    r"(?:(?:strong|potent|powerful|moderate|weak|mild)(?:(?:,? (?:or|and|to) )(?:strong|potent|moderate|weak))?\s+)?"
)
# How labels name what acts on an enzyme: before or after it, with a grade or none.
_ENZYME_WORDS = (
    rf"{_GRADE}{_ENZYME}\s+(?:enzyme |isoenzyme )?{_ROLE}(?:\s*\((?:strong|moderate)\))?",
    rf"{_GRADE}{_ROLE} of (?:the )?(?:isoenzyme |enzyme )?{_ENZYME}",
    rf"(?:drugs|agents|medications|medicines|compounds|products|substances) (?:that|which|known to) (?:are known to )?"
    rf"(?:be |are )?(?:{_GRADE}(?:inhibit|induce|{_ROLE} of|metabolized by|inhibitors of|inducers of))"
    rf"(?: (?:the )?(?:metabolism by )?){_ENZYME}",
    rf"(?:drugs|agents|medications) (?:primarily |extensively |mainly )?metabolized (?:primarily )?by {_ENZYME}",
)


@dataclass(frozen=True)
class LabelClass:
    """A class; ``source`` says where its members were read, None for those of the table of names."""

    name: str
    said: tuple[str, ...]
    members: tuple[str, ...]
    source: str | None


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
            raw["sources"][row["source"]] if "source" in row else None,
        )
        for name, row in classes.items()
    }  # fmt: skip


def _table(name: str) -> dict[str, Any]:
    text = files("retrieval").joinpath(name).read_text("utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=_LOADER)  # noqa: S506  the loader is a safe one
    return found


@cache
def labelled_words() -> str:
    """Return a regular expression of all words for classes, longest first, without regard to plural and hyphens."""
    said = sorted({words for one in label_classes().values() for words in one.said}, key=len, reverse=True)
    return "|".join((*_ENZYME_WORDS, *(_expression(words) for words in said)))


def class_in_words(found: str) -> str | None:
    """Return the class that ``found``, which ``labelled_words`` matched, speaks of; None where it has no members."""
    by_words = _by_words().get(_key(found))
    if by_words is not None:
        return by_words
    text = found.lower()
    isoenzyme = re.search(_ISOENZYME, text)
    family = "p-gp" if re.search(r"p-?g", text) and not isoenzyme else None
    if isoenzyme is not None:
        family = "cyp3a" if isoenzyme[0].startswith("3a") else f"cyp{isoenzyme[0]}"
    role = "inhibitor" if "inhibit" in text else "inducer" if "induc" in text else "substrate"
    strong, moderate = re.search(r"strong|potent|powerful", text), re.search(r"moderate", text)
    grade = "strong-" if strong and not moderate else "moderate-" if moderate and not strong else ""
    tries = (f"{family}-{grade}{role}", f"{family}-{role}")
    return next((name for name in tries if name in label_classes()), None)


@cache
def _by_words() -> dict[str, str]:
    return {_key(words): one.name for one in label_classes().values() for words in one.said}


def _key(text: str) -> str:
    plain = re.sub(r"\([^)]*\)", " ", text.lower())
    plain = re.sub(r"\b(?:agents?|drugs?|medications?|medicines?|therapy|compounds?)$", "", plain.strip())
    return " ".join(re.sub(r"s$", "", word) for word in re.split(r"[\s-]+", plain) if word)


def _expression(words: str) -> str:
    parts = re.split(r"[\s-]+", words)
    inner = r"(?:\s*\([^)]{2,12}\))?[\s-]+".join(re.escape(re.sub(r"s$", "", part)) + "s?" for part in parts[:-1])
    last = parts[-1]
    end = re.escape(last[:-1]) + "(?:y|ies)" if last.endswith("y") else re.escape(re.sub(r"s$", "", last)) + "s?"
    tail = r"(?:\s*\((?:[A-Za-z-]{2,12})\))?(?:[\s-]+(?:agents?|drugs?|medications?|medicines?|therapy|compounds?))?"
    return (inner + r"(?:\s*\([^)]{2,12}\))?[\s-]+" if inner else "") + end + tail
