"""A search as it was asked for, read completely or refused (R4, "Search"). Pure.

Chaining and ``_has`` are refused: they ask about resources that the caller may not be allowed to see.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fhir_support.errors import BadRequest, NotSupported

from facade.fhir.criteria import Criterion, criterion
from facade.fhir.home import Home
from facade.fhir.served import SERVED
from facade.store.resources import Order

__all__ = ["MAX_COUNT", "Include", "Search", "Summary", "parse_search"]

MAX_COUNT = 100
_DEFAULT_COUNT = 20
_MAX_PARAMETERS = 50
_SUMMARIES = frozenset({"true", "text", "data", "count", "false"})
_ORDERS: dict[str, Order] = {"_lastUpdated": "oldest", "-_lastUpdated": "newest"}
_RESULT = frozenset({"_count", "_sort", "_include", "_revinclude", "_summary", "_elements", "_total"})
_CHAIN = re.compile(r"[^:]*:?[A-Za-z]*\.")


@dataclass(frozen=True)
class Include:
    """``source:code[:target]`` of ``_include`` or ``_revinclude``."""

    source: str
    code: str
    target: str | None

    @property
    def text(self) -> str:
        """As it is written in a request."""
        return ":".join(part for part in (self.source, self.code, self.target) if part)


@dataclass(frozen=True)
class Summary:
    """Which part of each resource is wanted: ``kind`` of ``_summary``, or named ``elements``."""

    kind: str = "false"
    elements: tuple[str, ...] = ()


@dataclass(frozen=True)
class Search:
    """``pairs`` are the parameters that were understood, in the order they came: the self link repeats them."""

    resource_type: str
    criteria: tuple[Criterion, ...]
    pairs: tuple[tuple[str, str], ...]
    count: int = _DEFAULT_COUNT
    order: Order = "kept"
    includes: tuple[Include, ...] = ()
    revincludes: tuple[Include, ...] = ()
    summary: Summary = Summary()
    total: bool = True


def parse_search(resource_type: str, pairs: Sequence[tuple[str, str]], home: Home, *, strict: bool) -> Search:
    """Return the search; raise ``BadRequest`` or ``NotSupported``.

    Where handling is lenient, parameters that are not supported are left out, and missing from ``pairs``.
    """
    if len(pairs) > _MAX_PARAMETERS:
        raise BadRequest("There are too many search parameters.")
    understood: list[tuple[str, str]] = []
    asked: list[Criterion] = []
    for name, value in pairs:
        if not value and name not in _RESULT:
            continue  # R4, 3.1.1.4: a parameter without a value counts as absent
        try:
            if name.partition(":")[0] in _RESULT:
                _require_result_parameter(resource_type, name, value)
            elif _CHAIN.match(name) or name.startswith("_has"):
                raise NotSupported("Chained parameters and _has are not supported here.")
            else:
                asked.append(criterion(resource_type, name, value, home))
        except NotSupported:
            if strict:
                raise
            continue
        understood.append((name, value))
    last = dict(understood)
    return Search(
        resource_type=resource_type,
        criteria=tuple(asked),
        pairs=tuple(understood),
        count=_count(last.get("_count")),
        order=_ORDERS.get(last.get("_sort", ""), "kept"),
        includes=tuple(_include(value) for name, value in understood if name == "_include"),
        revincludes=tuple(_include(value) for name, value in understood if name == "_revinclude"),
        summary=_summary(last),
        total=last.get("_total") != "none",
    )


def _require_result_parameter(resource_type: str, name: str, value: str) -> None:
    """Raise ``NotSupported`` or ``BadRequest`` unless a parameter about the result can be done."""
    if ":" in name:
        raise NotSupported(f"Modifiers of {name.partition(':')[0]} are not supported here.")
    if name == "_count":
        _count(value)
    elif name == "_sort" and value not in _ORDERS:
        raise NotSupported("Results are sorted by _lastUpdated or -_lastUpdated only.")
    elif name == "_summary" and value not in _SUMMARIES:
        raise BadRequest("_summary is true, text, data, count or false.")
    elif name == "_total" and value not in ("none", "estimate", "accurate"):
        raise BadRequest("_total is none, estimate or accurate.")
    elif name == "_elements" and not re.fullmatch(r"[A-Za-z]+(,[A-Za-z]+)*", value, re.ASCII):
        raise BadRequest("_elements is a list of element names.")
    elif name in ("_include", "_revinclude"):
        include = _include(value)
        source, target = SERVED.get(include.source), include.target
        known = source is not None and include.code in source.includes and (target is None or target in SERVED)
        if name == "_include":
            known = known and include.source == resource_type
        else:
            known = known and target in (None, resource_type)
        if not known:
            raise NotSupported(f"That {name} is not supported here.")


def _include(value: str) -> Include:
    match = re.fullmatch(r"([A-Z][A-Za-z]*):([a-z-]+)(?::([A-Z][A-Za-z]*))?", value, re.ASCII)
    if match is None:
        raise NotSupported("An include names a type and one of its parameters here.")
    return Include(match[1], match[2], match[3])


def _count(value: str | None) -> int:
    if value is None:
        return _DEFAULT_COUNT
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        raise BadRequest("_count is not a number.")
    return min(int(value), MAX_COUNT)


def _summary(last: dict[str, str]) -> Summary:
    elements = tuple(last["_elements"].split(",")) if "_elements" in last else ()
    return Summary(last.get("_summary", "false"), elements)
