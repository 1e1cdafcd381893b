"""What a search brings along: resources that the matches point at (``_include``) or that point at them
(``_revinclude``), each held to the scopes like any other."""

from collections.abc import Sequence

from fhir_support.errors import BadRequest

from facade.fhir.access import Access
from facade.fhir.criteria import Criterion
from facade.fhir.search import Search
from facade.fhir.served import SERVED
from facade.fhir.terms import resource_terms
from facade.store.resources import Resources, StoredResource

__all__ = ["included_resources", "require_includes"]

_MAX_INCLUDED = 500


def require_includes(access: Access, search: Search) -> None:
    """Raise ``Forbidden`` unless the caller may have the types that the includes name.

    What is pointed at is read, what points here is searched for.
    """
    for include in search.includes:
        if include.target is not None:
            access.require("r", include.target)
    for include in search.revincludes:
        access.require("s", include.source)


async def included_resources(
    resources: Resources, access: Access, search: Search, matches: Sequence[StoredResource]
) -> tuple[StoredResource, ...]:
    """Return what the includes bring along, each resource once and none that is a match.

    Raises ``BadRequest`` when that is too much for one answer.
    """
    names = {f"{one.resource_type}/{one.id}" for one in matches}
    found: dict[str, StoredResource] = {}
    for kind, identifiers in _pointed_at(access, search, matches).items():
        by_id = Criterion("_id", ids=tuple(sorted(identifiers)))
        found |= await _within(resources, access, "r", kind, by_id)
    for include in search.revincludes if names else ():
        terms = tuple((include.code, "reference", name) for name in sorted(names))
        found |= await _within(resources, access, "s", include.source, Criterion(include.code, terms))
    if len(found) > _MAX_INCLUDED:
        raise BadRequest("The includes are too many; ask for fewer resources with _count.")
    return tuple(one for name, one in found.items() if name not in names and access.sees(one.resource, "rs", one.about))


def _pointed_at(access: Access, search: Search, matches: Sequence[StoredResource]) -> dict[str, set[str]]:
    """Return the ids of our resources that the matches point at, by type."""
    wanted: dict[str, set[str]] = {}
    for include in search.includes:
        for match in matches:
            for term in resource_terms(match.resource, access.home):
                kind, _, identifier = term[-1].partition("/")
                if term[:2] == (include.code, "reference") and include.target in (None, kind) and kind in SERVED:
                    wanted.setdefault(kind, set()).add(identifier)
    return wanted


async def _within(
    resources: Resources, access: Access, letter: str, resource_type: str, criterion: Criterion
) -> dict[str, StoredResource]:
    """Return what meets ``criterion`` within the scopes, by reference."""
    part = await resources.search(
        access.ehr_id,
        resource_type,
        limits=access.limits(letter, resource_type),
        criteria=(criterion,),
        count=_MAX_INCLUDED,
        total=False,
    )
    if part.more:
        raise BadRequest("The includes are too many; ask for fewer resources with _count.")
    return {f"{one.resource_type}/{one.id}": one for one in part.resources}
