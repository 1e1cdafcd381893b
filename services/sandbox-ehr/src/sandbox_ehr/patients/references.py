"""Walks the references of FHIR resources and drops those that lead nowhere."""

from collections.abc import Collection, Iterator
from typing import Any

__all__ = ["prune_references", "references"]


def references(node: Any) -> Iterator[str]:
    """Yield every literal reference inside ``node``."""
    if isinstance(node, dict):
        value = node.get("reference")
        if isinstance(value, str):
            yield value
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def prune_references(node: Any, known: Collection[str]) -> Any:
    """Return a copy of ``node`` without references outside of ``known``, and without what that empties."""
    if isinstance(node, dict):
        pruned = {name: prune_references(child, known) for name, child in node.items()}
        return {name: child for name, child in pruned.items() if not _gone(node[name], child, known)}
    if isinstance(node, list):
        children = [(child, prune_references(child, known)) for child in node]
        return [pruned for child, pruned in children if not _gone(child, pruned, known)]
    return node


def _gone(before: Any, after: Any, known: Collection[str]) -> bool:
    if isinstance(before, dict) and isinstance(before.get("reference"), str):
        return before["reference"] not in known
    return after in ({}, [])
