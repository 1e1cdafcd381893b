"""POST /subscriptions/{ehr_id}: where EHRs send notifications; classic R4 rest-hooks may PUT below it."""

from typing import Any

from fhir_support.errors import BadRequest, PayloadTooLarge
from litestar import MediaType, Request, Response, post, put
from litestar.params import FromPath

from facade.container import Container, ContainerOf, RequestId

__all__ = ["route_handlers"]


@post("/subscriptions/{ehr_id:str}", status_code=200, name="subscription-notification")
async def notify(
    request: Request[Any, Any, Any],
    ehr_id: FromPath[str],
    container: ContainerOf,
    request_id: RequestId,
) -> Response[bytes]:
    """Store the notification and answer 200; see ``SubscriptionReceiver`` for everything else."""
    return await _receive(request, ehr_id, container, request_id)


@put("/subscriptions/{ehr_id:str}/{resource_type:str}/{resource_id:str}", status_code=200, name="classic-notification")
async def notify_classic(
    request: Request[Any, Any, Any],
    ehr_id: FromPath[str],
    resource_type: FromPath[str],
    resource_id: FromPath[str],
    container: ContainerOf,
    request_id: RequestId,
) -> Response[bytes]:
    """Take what a classic rest-hook puts: the resource that the address names is read again, its body is not used."""
    return await _receive(request, ehr_id, container, request_id, f"{resource_type}/{resource_id}")


async def _receive(
    request: Request[Any, Any, Any],
    ehr_id: str,
    container: Container,
    request_id: str,
    unverified_focus: str | None = None,
) -> Response[bytes]:
    ehr = await container.receiver.authenticate(ehr_id, request.headers.get("authorization"))
    body = await _limited_body(request, container.settings.notification_max_bytes)
    if await container.receiver.receive(ehr, body, request_id, unverified_focus):
        container.wake.set()
    return Response(content=b"", status_code=200, media_type=MediaType.TEXT)


async def _limited_body(request: Request[Any, Any, Any], limit: int) -> bytes:
    """Read at most ``limit`` bytes; raise ``PayloadTooLarge`` as soon as there are more."""
    announced = request.headers.get("content-length") or "0"
    if not (announced.isascii() and announced.isdecimal()):
        raise BadRequest
    if int(announced) > limit:
        raise PayloadTooLarge
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise PayloadTooLarge
    return bytes(body)


route_handlers = [notify, notify_classic]
