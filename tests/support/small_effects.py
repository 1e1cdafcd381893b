"""A drafting whose document is one Task: everything between the notification and the EHR is real, only it is small.

What a whole document costs is another figure. ``install`` puts it in the place of the real one, in a process that is
about to start the facade.
"""

from datetime import UTC, datetime
from typing import Any

from facade.resources.ids import document_id, effect_id, resource_id
from facade.store.outbox import Effect, Outbox
from fhir_support.identifiers import effect_tag, tag_query

__all__ = ["SmallEffects", "install"]


class SmallEffects:
    """What the facade uses of ``Drafting``."""

    def __init__(self, *, outbox: Outbox, written_back: Any, **_: Any) -> None:
        self._outbox = outbox
        self._written_back = written_back

    async def draft_for_event(self, ehr_id: str, encounter: str, request_id: str, **_: Any) -> str:
        """Keep one effect for the encounter, once."""
        own_id = document_id(ehr_id, encounter)
        task_id = resource_id(own_id, "task")
        task = {
            "resourceType": "Task", "meta": {"tag": [effect_tag(task_id)]}, "status": "completed", "intent": "order",
            "focus": {"reference": encounter}, "authoredOn": datetime.now(UTC).isoformat(),
        }  # fmt: skip
        request = {"method": "POST", "url": "Task", "ifNoneExist": tag_query(task_id)}
        entry = {"fullUrl": f"urn:uuid:{task_id}", "resource": task, "request": request}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        effect = Effect(
            effect_id(own_id, "small"), ehr_id, own_id, ehr_id, "small", encounter, bundle, ("task",), request_id
        )
        if not await self._outbox.add(effect):
            return "unchanged"
        self._written_back.set()
        return "drafted"

    async def close(self, limit_s: float) -> None:
        """Nothing runs beside the calls."""


def install() -> None:
    """Let the facade of this process make small effects."""
    import facade.container

    facade.container.Drafting = SmallEffects  # type: ignore[assignment, misc]
