"""What a clinician did with a card, as the EHR reports it: read, matched with the card that was shown, and kept."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fhir_support.errors import BadRequest, NotFound
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from service_runtime.log import LogCode, log

from facade.cds_hooks.client_jwt import Caller
from facade.cds_hooks.request import read_object
from facade.store.cds_cards import CardFeedback, CdsCards, ShownCard

__all__ = ["Feedback"]

_MAX_ITEMS = 100
_YEARS = (2000, 2200)


class _Lenient(BaseModel):
    """Fields of later versions and extensions may be there; those that we know must be right."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Coding(_Lenient):
    code: Annotated[str, Field(min_length=1, max_length=256)]
    system: Annotated[str, Field(max_length=1024)] | None = None
    display: Annotated[str, Field(max_length=1024)] | None = None


class _OverrideReason(_Lenient):
    reason: _Coding | None = None
    userComment: Annotated[str, Field(max_length=8192)] | None = None


class _AcceptedSuggestion(_Lenient):
    id: Annotated[str, Field(min_length=1, max_length=128)]


class _Item(_Lenient):
    card: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
    outcome: Literal["accepted", "overridden"]
    acceptedSuggestions: tuple[_AcceptedSuggestion, ...] = ()
    overrideReason: _OverrideReason | None = None
    outcomeTimestamp: datetime


class _Body(_Lenient):
    feedback: Annotated[tuple[_Item, ...], Field(max_length=_MAX_ITEMS)]


class Feedback:
    """Keeps feedback as labelled outcomes."""

    def __init__(self, cards: CdsCards) -> None:
        self._cards = cards

    async def take(self, caller: Caller, service: str, body: bytes) -> int:
        """Keep what ``body`` says, all of it or none; return how much of it was new. A repetition changes nothing.

        Raises ``BadRequest``, and ``NotFound`` when a card is not one that this service has shown to this EHR.
        """
        items = _read(body)
        shown = await self._cards.shown(caller.ehr.id, service, [item.card for item in items])
        for item in items:
            _check(item, shown)
        new = await self._cards.add_feedback([_outcome(item) for item in items])
        log(LogCode.CDS_FEEDBACK, ehr=caller.ehr.id, kind=service, count=new)
        return new


def _read(body: bytes) -> Sequence[_Item]:
    try:
        return _Body.model_validate(read_object(body)).feedback
    except ValidationError as error:
        places = sorted({".".join(map(str, one["loc"])) for one in error.errors(include_input=False)})
        raise BadRequest(f"Not valid feedback: {', '.join(places[:5])}.") from None


def _check(item: _Item, shown: Mapping[str, ShownCard]) -> None:
    card = shown.get(item.card)
    if card is None:
        raise NotFound("No such card.")
    if item.outcome == "overridden":
        return
    offered = {one["uuid"] for one in card.content["card"].get("suggestions", [])}
    if not item.acceptedSuggestions:
        raise BadRequest("acceptedSuggestions is needed when a card was accepted.")
    if not {one.id for one in item.acceptedSuggestions} <= offered:
        raise BadRequest("A suggestion is not one of the card.")


def _outcome(item: _Item) -> CardFeedback:
    content: dict[str, Any] = item.model_dump(mode="json", exclude_none=True)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    at = item.outcomeTimestamp
    if not _YEARS[0] <= at.year <= _YEARS[1]:
        raise BadRequest("outcomeTimestamp is of another age.")
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return CardFeedback(digest, item.card, item.outcome, content, at)
