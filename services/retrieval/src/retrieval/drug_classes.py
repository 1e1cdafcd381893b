"""Classes of medicines that labels speak of: their words, and their members with where membership was read."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from retrieval.drug_names import CLASS_PREFIX
from retrieval.labels.words import keys_of

__all__ = ["LabelClass", "is_broad", "label_classes", "other_names", "words_of_classes"]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOUNS = ("drug", "agent", "medication", "medicine", "product", "compound", "substance")
# Sources of classes that are told by what their members do.
_BY_EFFECT = frozenset({"labels", "fda-cyp"})


@dataclass(frozen=True)
class LabelClass:
    """A class; ``source`` says where its members were read, None for those of the table of names."""

    name: str
    said: tuple[str, ...]
    members: tuple[str, ...]
    source: str | None
    by_effect: bool = False
    """Whether the words say what the members do, rather than what they are."""
    broad: bool = False
    """Whether its members are many and often taken together on purpose."""


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
            name, _said(row), tuple(sorted(members(name))),
            raw["sources"][row["source"]] if "source" in row else None, row.get("source") in _BY_EFFECT,
            row.get("broad", False),
        )
        for name, row in classes.items()
    }  # fmt: skip


def is_broad(side: str) -> bool:
    """Whether a side of a fact is a class whose members are often taken together on purpose."""
    group = label_classes().get(side.removeprefix(CLASS_PREFIX)) if side.startswith(CLASS_PREFIX) else None
    return group is not None and group.broad


@cache
def other_names() -> tuple[str, ...]:
    """Return the names of substances of no class that labels speak of."""
    return tuple(_table("drug_classes.yaml")["names"])


def _said(row: dict[str, Any]) -> tuple[str, ...]:
    with_noun = (f"{adjective} {noun}" for adjective in row.get("adjectives", ()) for noun in _NOUNS)
    return (*row.get("said", ()), *with_noun)


def _table(name: str) -> dict[str, Any]:
    text = files("retrieval").joinpath(name).read_text("utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=_LOADER)  # noqa: S506  the loader is a safe one
    return found


@cache
def words_of_classes() -> dict[tuple[str, ...], str]:
    """Return the words of each name of a class, as words are compared, and the class."""
    return {keys_of(said): one.name for one in label_classes().values() if one.members for said in one.said}
