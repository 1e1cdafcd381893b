"""Reading the input of an operation by its OperationDefinition: names, types and cardinality; and writing the output.

Every fault is reported, each with the FHIRPath of its element; no value is repeated.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from fhir_support.r4 import ResourceInvalid, check, validated

from facade.operations.errors import InvalidParameters, Issue

__all__ = ["Given", "Inputs", "out", "parameters", "read_parameters"]

_ROOT = "Parameters"
_SAFE_STEP = re.compile(r"[a-z][A-Za-z]{0,40}")
_MOST_PARAMETERS = 50
_DEEPEST = 60
_OWN_KEYS = frozenset({"name", "resource", "part", "id", "extension"})


@dataclass(frozen=True)
class Given:
    """One parameter that was given: its value (of a type, a resource, or its parts) and where it stands."""

    value: Any
    expression: str

    def fault(self, text: str, code: str = "value") -> InvalidParameters:
        """Return the error that this parameter is wrong."""
        return InvalidParameters([Issue(code, text, self.expression)])


class Inputs(Mapping[str, Sequence[Given]]):
    """The parameters that were given, by name, in their order."""

    def __init__(self, given: Mapping[str, Sequence[Given]]) -> None:
        self._given = given

    def __getitem__(self, name: str) -> Sequence[Given]:
        return self._given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def first(self, name: str) -> Given | None:
        """Return a parameter that may be given once, or None."""
        return next(iter(self._given.get(name, ())), None)

    def required(self, name: str) -> Given:
        """Return a parameter that the definition requires."""
        return self._given[name][0]

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter of a primitive type."""
        given = self.first(name)
        return default if given is None else str(given.value)

    def day(self, name: str, default: date) -> date:
        """Return a whole day; raise ``InvalidParameters`` for a month, a year or no date."""
        given = self.first(name)
        if given is None:
            return default
        try:
            return date.fromisoformat(str(given.value))
        except ValueError:
            raise given.fault("A whole day is needed, as YYYY-MM-DD.") from None

    def exactly_one(self, *names: str) -> None:
        """Raise ``InvalidParameters`` unless exactly one of ``names`` was given."""
        given = [name for name in names if self._given.get(name)]
        if len(given) != 1:
            code, text = ("required", "One of these is needed") if not given else ("invariant", "Only one of these")
            raise InvalidParameters([Issue(code, f"{text}: {', '.join(names)}.", f"{_ROOT}.parameter")])


def read_parameters(definition: Mapping[str, Any], body: bytes) -> Inputs:
    """Return the input in ``body``; raise ``InvalidParameters`` with every fault that was found."""
    try:
        raw = json.loads(body)
        json.dumps(raw, ensure_ascii=False, allow_nan=False).encode()  # half a surrogate pair is no text, NaN no number
    except (ValueError, RecursionError):
        raise InvalidParameters([Issue("invalid", "The body is not JSON.", _ROOT)]) from None
    if _deeper_than(raw, _DEEPEST):
        raise InvalidParameters([Issue("too-costly", "The body is nested too deep.", _ROOT)])
    if not isinstance(raw, dict) or raw.get("resourceType") != "Parameters":
        raise InvalidParameters([Issue("structure", "The body is not a Parameters resource.", _ROOT)])
    listed = raw.get("parameter", [])
    if not isinstance(listed, list) or len(listed) > _MOST_PARAMETERS:
        text = f"A list of at most {_MOST_PARAMETERS} parameters is needed."
        raise InvalidParameters([Issue("structure", text, f"{_ROOT}.parameter")])
    wanted = [one for one in definition["parameter"] if one["use"] == "in"]
    issues: list[Issue] = []
    given = _read(listed, wanted, f"{_ROOT}.parameter", issues)
    if not issues:
        issues += _structure(raw)
    if issues:
        raise InvalidParameters(issues)
    return Inputs(given)


def _deeper_than(value: Any, levels: int) -> bool:
    level = [value]
    for _ in range(levels):
        level = [
            child
            for one in level
            for child in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
        ]
        if not level:
            return False
    return True


def _read(
    listed: Sequence[Any], wanted: Sequence[Mapping[str, Any]], place: str, issues: list[Issue]
) -> dict[str, list[Given]]:
    by_name = {one["name"]: one for one in wanted}
    found: dict[str, list[Given]] = {}
    for number, one in enumerate(listed):
        expression = f"{place}[{number}]"
        spec = by_name.get(one.get("name")) if isinstance(one, dict) and isinstance(one.get("name"), str) else None
        if spec is None:
            known = ", ".join(by_name)
            issues.append(Issue("not-supported", f"No parameter of that name; there are: {known}.", expression))
            continue
        given = _parts(one, spec, expression, issues) if "part" in spec else _value(one, spec, expression, issues)
        if given is not None:
            found.setdefault(spec["name"], []).append(given)
        else:
            found.setdefault(spec["name"], [])
    for name, spec in by_name.items():
        count = sum(isinstance(one, dict) and one.get("name") == name for one in listed)
        if count < spec["min"]:
            issues.append(Issue("required", f"The parameter {name} is missing.", f"{place}.where(name='{name}')"))
        elif spec["max"] != "*" and count > int(spec["max"]):
            text = f"The parameter {name} is given more than {spec['max']} times."
            issues.append(Issue("structure", text, f"{place}.where(name='{name}')"))
    return found


def _parts(one: dict[str, Any], spec: Mapping[str, Any], expression: str, issues: list[Issue]) -> Given | None:
    parts = one.get("part")
    if not isinstance(parts, list) or _content(one) != ["part"]:
        issues.append(Issue("structure", f"The parameter {spec['name']} has parts, and nothing else.", expression))
        return None
    return Given(Inputs(_read(parts, spec["part"], f"{expression}.part", issues)), expression)


def _value(one: dict[str, Any], spec: Mapping[str, Any], expression: str, issues: list[Issue]) -> Given | None:
    kind = str(spec["type"])
    key = "resource" if _is_resource(kind) else f"value{kind[0].upper()}{kind[1:]}"
    if _content(one) != [key]:
        issues.append(Issue("structure", f"The parameter {spec['name']} needs {key}, and nothing else.", expression))
        return None
    value = one[key]
    if key == "resource" and (not isinstance(value, dict) or value.get("resourceType") != kind):
        issues.append(Issue("structure", f"A resource of type {kind} is needed.", f"{expression}.resource"))
        return None
    if kind in ("string", "code") and not (isinstance(value, str) and value.strip()):
        issues.append(Issue("value", "Words are needed.", f"{expression}.{key}"))
        return None
    return Given(value, f"{expression}.{'resource' if key == 'resource' else 'value'}")


def _content(one: Mapping[str, Any]) -> list[str]:
    """The keys that carry something: a value, a resource or parts."""
    return [key for key in one if key in ("resource", "part") or (key not in _OWN_KEYS and not key.startswith("_"))]


def _is_resource(kind: str) -> bool:
    return kind in ("Composition", "Bundle", "Resource")


def _structure(raw: dict[str, Any]) -> list[Issue]:
    """What the types themselves ask for."""
    try:
        check(raw)
    except ResourceInvalid as invalid:
        places = dict.fromkeys(_expression(path) for path in invalid.paths)
        return [Issue("structure", "Not valid R4.", place) for place in places]
    return []


def _expression(path: str) -> str:
    """A path of the validator as FHIRPath; a name that could be anything but an element's is left out."""
    steps = [_ROOT]
    for step in path.split("."):
        if step.isdecimal():
            steps[-1] += f"[{step}]"
        elif _SAFE_STEP.fullmatch(step):
            steps.append(step)
        else:
            break
    return ".".join(steps)


def out(name: str, kind: str, value: Any) -> dict[str, Any]:
    """Return an output parameter: of a type (``string``), a ``resource`` or with ``part``."""
    if kind in ("resource", "part"):
        return {"name": name, kind: value}
    return {"name": name, f"value{kind[0].upper()}{kind[1:]}": value}


def parameters(listed: Sequence[dict[str, Any]], *, meta: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the Parameters resource; raise ``ResourceInvalid`` when that is not valid R4."""
    return validated({"resourceType": "Parameters", **({"meta": dict(meta)} if meta else {}), "parameter": [*listed]})
