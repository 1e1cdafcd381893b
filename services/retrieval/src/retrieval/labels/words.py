"""The words of a sentence as they are compared: lower case, singular, American spelling, Greek letters written out."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

__all__ = ["Phrases", "Token", "keys_of", "tokens_of", "word_key"]

_T = TypeVar("_T")
# A word; or an abbreviation in brackets inside a name, "angiotensin converting enzyme (ACE) inhibitors".
_TOKEN = re.compile(r"\(\s*[A-Za-z][\w-]{1,11}\s*\)|[A-Za-z0-9α-ω][A-Za-z0-9'α-ω]*")
_GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta"}
_BRITISH = (
    (re.compile("sulph"), "sulf"),
    (re.compile("haem"), "hem"),
    (re.compile("aemi"), "emi"),
    (re.compile("anaesth"), "anesth"),
    (re.compile("oestr"), "estr"),
    (re.compile("oedem"), "edem"),
    (re.compile("rrhoea"), "rrhea"),
    (re.compile("leuco(?=cyt|pen)"), "leuko"),
    (re.compile("paenia"), "penia"),
    (re.compile(r"(?:(?<=metabol)|(?<=antagon)|(?<=alkalin)|(?<=minim))is(?=e|ing|ation)"), "iz"),
    (re.compile("ciclosporin|cyclosporin$"), "cyclosporin"),
)
# Old text lost the Greek letter of "-blocking agents": nearly always that of beta.
_LOST = frozenset({"blocker", "blocking", "blockade", "adrenergic", "adrenoceptor", "receptor", "agonist"})


class Token(NamedTuple):
    """A word, where it stands, and by what it is compared."""

    start: int
    end: int
    key: str


def tokens_of(text: str) -> list[Token]:
    """Return the words of ``text`` in order."""
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        token = Token(start, end, word_key(match[0]))
        if start and text[start - 1] in "-–" and (start == 1 or text[start - 2].isspace()) and token.key in _LOST:
            found.append(Token(start - 1, start, "beta"))
        found.append(token)
    return found


def keys_of(text: str) -> tuple[str, ...]:
    """Return by what the words of ``text`` are compared."""
    return tuple(token.key for token in tokens_of(text))


@lru_cache(maxsize=65536)
def word_key(word: str) -> str:
    """Return by what a word is compared; one in brackets keeps its bracket."""
    text = word.lower()
    for letter, name in _GREEK.items():
        text = text.replace(letter, name)
    for pattern, american in _BRITISH:
        text = pattern.sub(american, text)
    return _singular(text)


def _singular(word: str) -> str:
    if word == "this":
        return word
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


class Phrases(Generic[_T]):
    """What phrases stand for, found by their longest at a place."""

    def __init__(self) -> None:
        self._root: dict[str, dict] = {}  # type: ignore[type-arg]

    def enter(self, words: Iterable[str], meaning: _T) -> None:
        """Enter a phrase; the first to claim it keeps it."""
        node = self._root
        for word in words:
            node = node.setdefault(word, {})
        node.setdefault("", meaning)  # type: ignore[arg-type]

    def first_words(self) -> frozenset[str]:
        """Return the words that phrases begin with."""
        return frozenset(self._root)

    def meanings(self) -> Iterator[_T]:
        """Yield what each phrase stands for."""
        nodes = [self._root]
        while nodes:
            for word, node in nodes.pop().items():
                if word:
                    nodes.append(node)
                else:
                    yield node  # type: ignore[misc]

    def at(self, tokens: list[Token], place: int) -> tuple[_T, int] | None:
        """Return the longest phrase that begins at a token, and the number of its last token."""
        node = self._root.get(tokens[place].key.strip("() "))
        best = None
        last = place
        while node is not None:
            if "" in node:
                best = node[""], last
            last += 1
            while last < len(tokens) and tokens[last].key[0] == "(":
                last += 1
            node = node.get(tokens[last].key) if last < len(tokens) else None
        return best
