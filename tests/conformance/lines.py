"""The lines of the conformance page, from lines.yaml.

A test says with ``@pytest.mark.requirement(line, id, sentence)`` which line it checks and by which sentence of the
standard; the ids are those of HL7's published requirement lists.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml

__all__ = ["Role", "roles"]


@dataclass(frozen=True)
class Role:
    """A role of the facade: its letter, the standard, and what is owed line by line."""

    letter: str
    title: str
    lines: dict[str, str]


def roles() -> tuple[Role, ...]:
    """Return the roles in the order of the page."""
    raw = yaml.safe_load(Path(__file__).with_name("lines.yaml").read_text())
    return tuple(Role(letter, role["title"], role["lines"]) for letter, role in raw.items())
