"""Names that stand for a drug without being its own: active forms in the body, and names with one letter wrong."""

import re
from collections.abc import Iterable, Iterator
from functools import cache

__all__ = ["NearNames", "active_form_of"]

_MADE_OF = re.compile(
    r"(?:mono|di|bis)?(?:desethyl|desmethyl|demethyl|deacetyl|descarboethoxy|carboxy|hydroxy|dehydro|acetyl|nor)(.{6,})"
)
_SHORTEST = 8
_SAME = 3


def active_form_of(word: str) -> str | None:
    """Return the drug whose active form a word would name: ``desethylamiodarone``, ``ramiprilat``; it may be none."""
    if word.endswith("prilat"):
        return word.removesuffix("at")
    made = _MADE_OF.fullmatch(word)
    return made[1] if made else None


class NearNames:
    """The names of one word that a word can only be meant for: its active form's, or that with one letter wrong.

    A word is taken for a name with another letter, one more or one less only where both are long, begin alike, and no
    other name is as near.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(name for name in names if name.isalpha())
        self._near: dict[str, set[str]] = {}
        for name in self._names:
            if len(name) >= _SHORTEST:
                for form in (name, *_without_one(name)):
                    self._near.setdefault(form, set()).add(name)
        self._known = cache(self._meant)

    def meant(self, word: str) -> str | None:
        """Return the name that a word is meant for, None where it is none or several."""
        return self._known(word) if len(word) >= _SHORTEST else None

    def _meant(self, word: str) -> str | None:
        parent = active_form_of(word)
        if parent is not None and parent in self._names:
            return parent
        if not word.isalpha():
            return None
        forms = (word, *_without_one(word))
        near = {name for form in forms for name in self._near.get(form, ()) if _one_apart(word, name)}
        return next(iter(near)) if len(near) == 1 else None


def _without_one(word: str) -> Iterator[str]:
    """Yield the word without each of its letters but the first, which are alike."""
    for place in range(_SAME, len(word)):
        yield word[:place] + word[place + 1 :]


def _one_apart(a: str, b: str) -> bool:
    """Whether one letter was changed, left out or put in, or two that stand together changed places."""
    shared = next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    if shared < _SAME:
        return False
    rest, other = a[shared:], b[shared:]
    return (
        rest[1:] == other[1:]
        or rest[1:] == other
        or rest == other[1:]
        or rest[:2] + rest[2:] == other[1::-1] + other[2:]
    )
