"""A chief complaint as the phrases that the encoder reads: parted, written out, and none where there is no language."""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from importlib.resources import files

__all__ = ["MOST_PHRASES", "Complaints"]

MOST_PHRASES = 5
"""As many reasons as the survey keeps of a visit."""

_PARTS = re.compile(r"[;,+&\n]| and | with (?=\S+ \S+$)")
_SPACES = re.compile(r"\s+")
_FULL_STOPS = re.compile(r"(?<=\b[a-z])\.(?=[a-z]?\b|\s|$)")
# What is in another script is not understood, and kept so that the answer says so.
_LETTERS = re.compile(r"[a-z]{2,}|[^\W\d_a-z]")


class Complaints:
    """Reads complaints with the shipped list of abbreviations."""

    def __init__(self, words: Mapping[str, str] | None = None) -> None:
        if words is None:
            text = files("triage").joinpath("data", "abbreviations.toml").read_text("utf-8")
            words = tomllib.loads(text)["words"]
        self._words: dict[str, str] = dict(words)

    def read(self, given: Iterable[str]) -> tuple[str, ...]:
        """Return at most ``MOST_PHRASES`` phrases in lower case, the first complaint first."""
        phrases: list[str] = []
        for text in given:
            folded = unicodedata.normalize("NFKC", text).casefold()
            printable = "".join(char if char.isprintable() or char == "\n" else " " for char in folded)
            for part in _PARTS.split(printable):
                # Written out, a part can be several: "n/v" is nausea and vomiting.
                phrases += [self._written_out(one) for one in _PARTS.split(self._written_out(part))]
        kept = dict.fromkeys(phrase for phrase in phrases if _LETTERS.search(phrase))
        return tuple(kept)[:MOST_PHRASES]

    def _written_out(self, text: str) -> str:
        without_stops = _FULL_STOPS.sub("", text)
        words = [self._word(word) for word in _SPACES.split(without_stops.strip(" .:-"))]
        return " ".join(word for word in words if word)

    def _word(self, word: str) -> str:
        """Return what ``word`` is read as; short forms joined by a slash ("cp/sob") are as many complaints."""
        bare = word.rstrip(".:?!")
        if bare in self._words:
            return self._words[bare]
        parts = bare.split("/")
        return ", ".join(self._words[part] for part in parts) if all(part in self._words for part in parts) else word
