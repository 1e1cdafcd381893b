"""How labels describe classes by what their members do: the words, each with the part it plays in a description."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from retrieval.drug_classes import label_classes
from retrieval.labels.words import Phrases, keys_of

__all__ = ["Act", "Part", "Target", "parts_of_descriptions"]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INSTEAD = {
    "block": ("lower",), "stimulate": ("raise", "cause"), "cause": ("raise",), "alter": ("raise", "lower", "block"),
    "lower": ("block",), "raise": ("cause",),
}  # fmt: skip
_TURNED = {"lower": "raise", "raise": "lower", "block": "raise", "stimulate": "lower", "cause": "lower"}
_SYSTEMS = ("", "cyp", "cyp450", "cyp 450", "p450", "p 450", "cytochrome p450", "cytochrome p 450", "cytochrome")
_ENZYME_ROLES = {"block": "inhibitor", "raise": "inducer", "by": "substrate"}


@dataclass(frozen=True)
class Act:
    """A way of acting: ``noun`` names what acts so, ``held`` what it has, ``going`` is a form in -ing."""

    way: str
    noun: bool = False
    held: bool = False
    going: bool = False


@dataclass(frozen=True)
class Target:
    """What is acted on, and the classes of what does so by each way. ``enzyme`` is the family of one."""

    classes: tuple[tuple[str, tuple[str, ...]], ...]
    enzyme: str | None = None

    def of(self, way: str, turned: bool) -> tuple[str, ...]:
        """Return the classes of what acts on it in a way; ``turned`` is the way turned over."""
        known = dict(self.classes)
        way = _TURNED.get(way, way) if turned else way
        if way in known:
            return known[way]
        found = (one for other in _INSTEAD.get(way, ()) for one in known.get(other, ()))
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Part:
    """The parts that a phrase can play."""

    thing: bool = False
    kind: bool = False
    act: Act | None = None
    turn: str | None = None
    target: Target | None = None


@cache
def parts_of_descriptions() -> Phrases[Part]:
    """Return every phrase of the table with the parts it can play."""
    raw = yaml.load(files("retrieval").joinpath("class_descriptions.yaml").read_text("utf-8"), Loader=_LOADER)  # noqa: S506  the loader is a safe one
    fields: dict[tuple[str, ...], dict[str, Any]] = {}
    for words, field, value in _rows(raw):
        fields.setdefault(keys_of(words), {}).setdefault(field, value)
    found: Phrases[Part] = Phrases()
    for keys, row in fields.items():
        found.enter(keys, Part(**row))
    return found


def _rows(raw: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for thing in raw["things"]:
        yield thing, "thing", True
    for kind in raw["kinds"]:
        yield kind, "kind", True
    for way, row in raw["acts"].items():
        for noun in row["nouns"]:
            yield noun, "act", Act(way, noun=True)
        for held in row.get("held", ()):
            yield held, "act", Act(way, held=True)
        for verb in row["verbs"]:
            for form, going in _forms(verb):
                yield form, "act", Act(way, going=going)
    for turn, nouns in raw["turns"].items():
        for noun in nouns:
            yield noun, "turn", turn
    for row in raw["targets"]:
        classes = {
            way: (named,) if isinstance(named, str) else tuple(named) for way, named in row.items() if way != "said"
        }
        for said in row["said"]:
            yield said, "target", Target(tuple(classes.items()))
    yield from _enzymes(raw["enzymes"])


def _enzymes(families: dict[str, list[str]]) -> Iterator[tuple[str, str, Target]]:
    for family, members in families.items():
        roles = {way: f"{family}-{role}" for way, role in _ENZYME_ROLES.items()}
        known = tuple((way, (name,)) for way, name in roles.items() if name in label_classes())
        for member in members:
            for system in _SYSTEMS if family.startswith("cyp") else ("",):
                yield f"{system} {member}", "target", Target(known, family)
                if system == "cyp":
                    yield f"cyp{member}", "target", Target(known, family)


def _forms(verb: str) -> Iterable[tuple[str, bool]]:
    """Yield the forms of a verb, and whether it is that in -ing; an -s is told by the singular."""
    first, _, rest = verb.partition(" ")
    tail = f" {rest}" if rest else ""
    stem = first.removesuffix("e")
    yield verb, first.endswith("ing")
    if first.endswith(("ed", "ing", "ent")):
        return
    for ending, going in (("ed", False), ("ing", True)):
        yield f"{stem}{ending}{tail}", going
