"""SMART scopes for resources (SMART App Launch 2.2, "Scopes for requesting FHIR Resources"), both syntaxes.

v1 is read by its meaning in v2: ``.read`` is ``.rs``, ``.write`` is ``.cud``, ``.*`` is ``.cruds``. What is not a
scope for resources, or has its letters out of order, gives nothing.
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

__all__ = ["LETTERS", "Context", "Letter", "Scope", "parse_scope", "parse_scopes"]

Context = Literal["patient", "user", "system"]
Letter = Literal["c", "r", "u", "d", "s"]
"""c create; r read, vread and the history of one instance; u update and patch; d delete; s search and the history of
a type."""
LETTERS = "cruds"

_V1 = {"read": "rs", "write": "cud", "*": "cruds"}
_SYNTAX = re.compile(
    r"(?P<context>patient|user|system)/(?P<type>\*|[A-Z][A-Za-z]{1,63})"
    r"\.(?P<letters>read|write|\*|(?=[cruds])c?r?u?d?s?)(?:\?(?P<query>[^\s?]+))?",
    re.ASCII,
)
_MAX_SCOPES = 200


@dataclass(frozen=True)
class Scope:
    """One scope; ``parameters`` narrow it to the resources that match these search parameters."""

    context: Context
    resource_type: str
    letters: str
    parameters: tuple[tuple[str, str], ...] = ()

    def covers(self, letter: str, resource_type: str) -> bool:
        """Whether it speaks of this interaction on this type."""
        return self.resource_type in ("*", resource_type) and len(letter) == 1 and letter in self.letters


def parse_scope(text: str) -> Scope | None:
    """Return the scope for resources that ``text`` is, or None."""
    match = _SYNTAX.fullmatch(text)
    if match is None:
        return None
    query = match["query"]
    if query is not None and match["letters"] in _V1:
        return None  # v1 had no search parameters
    try:
        parameters = tuple(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else ()
    except ValueError:
        return None
    context: Context = match["context"]  # type: ignore[assignment]  # the expression allows these three
    return Scope(context, match["type"], _V1.get(match["letters"], match["letters"]), parameters)


def parse_scopes(text: str) -> tuple[Scope, ...]:
    """Return the scopes for resources of a space-separated list; together they allow what any of them does."""
    found: dict[Scope, None] = {}
    for one in text.split(" ")[:_MAX_SCOPES]:
        scope = parse_scope(one)
        if scope is not None:
            found[scope] = None
    return tuple(found)
