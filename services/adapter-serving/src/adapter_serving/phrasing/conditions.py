"""Plain words for reasons of a stay and procedures, with the warning signs that go with each."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from adapter_serving.phrasing.names import sentence_case

__all__ = [
    "CONDITIONS",
    "GENERAL_WARNING",
    "PROCEDURES",
    "Condition",
    "Procedure",
    "condition_of",
    "plain_condition",
    "procedure_sentence",
    "reason_sentence",
    "warning_sentence",
]


@dataclass(frozen=True)
class Procedure:
    """How a procedure is called in charts and to a patient; see the header of ``conditions.toml``."""

    plain: str
    pattern: re.Pattern[str]
    written: tuple[str, ...]


@dataclass(frozen=True)
class Condition(Procedure):
    """The same for a condition; ``signs`` follows "Call your doctor if"."""

    signs: str


_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
GENERAL_WARNING: str = _DATA["general_warning"]
CONDITIONS: tuple[Condition, ...] = tuple(
    Condition(one["plain"], re.compile(one["pattern"], re.I), tuple(one["written"]), one["signs"])
    for one in _DATA["conditions"]
)
PROCEDURES: tuple[Procedure, ...] = tuple(
    Procedure(one["plain"], re.compile(one["pattern"], re.I), tuple(one["written"])) for one in _DATA["procedures"]
)
_TAIL = re.compile(
    r",?\s*(?:unspecified|initial encounter|subsequent encounter|without complications?|not elsewhere classified"
    r"|site not specified|uncomplicated|\(disorder\)|\(finding\)|\(procedure\))(?=[,;]|\s|$)",
    re.I,
)


def condition_of(name: str) -> Condition | None:
    """Return the known condition that a chart's name means, the most specific listed first."""
    return next((condition for condition in CONDITIONS if condition.pattern.search(name)), None)


def plain_condition(name: str) -> str:
    """Return plain words for a chart's name of a condition; an unknown name stays, without its coding tail."""
    known = condition_of(name)
    return known.plain if known else sentence_case(_TAIL.sub("", name).strip(" ,;")) or name


def reason_sentence(name: str) -> str:
    """Write why the patient was in the hospital."""
    return f"You were in the hospital for {plain_condition(name)}."


def procedure_sentence(name: str) -> str:
    """Write what was done."""
    known = next((one.plain for one in PROCEDURES if one.pattern.search(name)), None)
    return f"You had {known or sentence_case(_TAIL.sub('', name).strip(' ,;'))}."


def warning_sentence(name: str) -> str:
    """Write when to call, for a condition."""
    known = condition_of(name)
    return f"Call your doctor if {known.signs}." if known else GENERAL_WARNING
