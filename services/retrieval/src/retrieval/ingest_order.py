"""The order of inputs that replace each other: what was read is never undone by reading an earlier one after it."""

from collections.abc import Sequence
from pathlib import Path

from retrieval.importers.records import Importer, Ordered
from retrieval.index import Checkpoint, Index
from retrieval.ingest import Refusal, input_id

__all__ = ["in_order", "read_up_to"]


async def in_order(
    index: Index, importer: Importer, inputs: Sequence[Path], *, again: bool = False
) -> tuple[list[Path], list[Refusal]]:
    """Return the inputs to read, in their publisher's order, and those that come too late.

    Of several files, all that were read after one have to be read ``again`` with it.
    """
    if not isinstance(importer, Ordered):
        return list(inputs), []
    places = {path: importer.place(path) for path in inputs}
    ordered = sorted(inputs, key=lambda path: (places[path] or 0, path.name))
    reached = await _reached(index, importer)
    if again and max((place or 0 for place in places.values()), default=0) >= reached:
        return ordered, []
    taken, late = [], []
    for path in ordered:
        place = places[path]
        if place is not None and place < reached and (again or not await _finished(index, importer, path)):
            reason = "a later file was read before: this one would bring back what that one replaced or deleted"
            late.append(Refusal(path.name, reason))
        else:
            taken.append(path)
    return taken, late


async def read_up_to(index: Index, importer: Importer, path: Path) -> None:
    """Note that an input has been read to its end."""
    place = importer.place(path) if isinstance(importer, Ordered) else None
    if place is not None:
        await index.write((), Checkpoint(_order_id(importer), max(place, await _reached(index, importer))))


async def _reached(index: Index, importer: Importer) -> int:
    known = await index.checkpoint(_order_id(importer))
    return 0 if known is None else known.position


async def _finished(index: Index, importer: Importer, path: Path) -> bool:
    done = await index.checkpoint(input_id(importer, path))
    return done is not None and done.finished


def _order_id(importer: Importer) -> str:
    return f"{importer.name}/{importer.edition}/order"
