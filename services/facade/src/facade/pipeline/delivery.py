"""Delivering the outbox: each transaction is sent until the EHR has it, and changes the EHR once."""

import logging
from collections.abc import Mapping
from typing import Any

from fhir_support.client import FhirAnswerInvalid, FhirClientError, FhirServerUnavailable
from fhir_support.references import InvalidReference, resource_key
from service_runtime.log import LogCode, log
from service_runtime.request_id import accept_request_id
from service_runtime.secrets import SecretError
from sqlalchemy.exc import SQLAlchemyError

from facade.ehr.connections import EhrConnections
from facade.ehr.registry import UnknownEhr
from facade.pipeline.keeping import DOCUMENT_EFFECT
from facade.store.documents import Documents
from facade.store.outbox import Outbox
from facade.store.tables import OutboxRow

__all__ = ["Deliverer", "written_resources"]


class Deliverer:
    """Sends one effect after the other. Sent twice, because the process died in between, it creates nothing new."""

    def __init__(self, *, outbox: Outbox, connections: EhrConnections, documents: Documents) -> None:
        self._outbox = outbox
        self._connections = connections
        self._documents = documents

    async def step(self) -> bool:
        """Deliver one effect that is due; return whether there was one."""
        row = await self._outbox.queue.claim()
        if row is None:
            return False
        accept_request_id(row.request_id)
        try:
            await self._deliver(row)
        except (FhirServerUnavailable, SecretError, SQLAlchemyError, OSError) as error:
            await self._put_back(row, error, counts=False)
        except (FhirClientError, UnknownEhr) as error:
            await self._put_back(row, error, counts=True)
        except Exception as error:  # noqa: BLE001  outermost frame: an effect that breaks us must not stop the others
            await self._put_back(row, error, counts=True)
        else:
            # What the EHR holds need not be kept here a second time.
            await self._outbox.queue.finish(row, sealed=b"")
            log(LogCode.EFFECT_WRITTEN, ehr=row.ehr_id, kind=row.kind, attempts=row.attempts)
        return True

    async def _deliver(self, row: OutboxRow) -> None:
        effect = await self._outbox.open(row)
        client = self._connections.client(row.ehr_id)
        answer = await client.transaction(effect.bundle)
        written, versions = written_resources(effect.names, answer, client.base)
        if row.kind == DOCUMENT_EFFECT:
            await self._documents.mark_written(row.ehr_id, effect.encounter, written, versions)

    async def _put_back(self, row: OutboxRow, error: Exception, *, counts: bool) -> None:
        reason = type(error).__name__
        quarantined = await self._outbox.queue.fail(row, counts=counts, reason=reason)
        code = LogCode.EFFECT_QUARANTINED if quarantined else LogCode.EFFECT_RETRIED
        level = logging.ERROR if quarantined else logging.WARNING
        log(code, level=level, ehr=row.ehr_id, kind=row.kind, attempts=row.attempts, reason=reason)


def written_resources(
    names: tuple[str, ...], answer: Mapping[str, Any], base: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Return reference and version by name from a transaction-response, whose entries are in the order sent.

    Raises ``FhirAnswerInvalid`` when an entry does not say where its resource is.
    """
    written: dict[str, str] = {}
    versions: dict[str, str] = {}
    for name, entry in zip(names, answer["entry"], strict=True):
        response, resource = entry.get("response") or {}, entry.get("resource") or {}
        location = response.get("location") or f"{resource.get('resourceType')}/{resource.get('id')}"
        try:
            key = resource_key(str(location), base)
        except InvalidReference:
            raise FhirAnswerInvalid("an entry of the answer does not say where its resource is") from None
        written[name] = key.reference
        version = key.version or (resource.get("meta") or {}).get("versionId")
        if version:
            versions[name] = str(version)
    return written, versions
