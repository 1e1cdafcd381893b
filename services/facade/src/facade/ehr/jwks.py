"""GET /.well-known/jwks.json: the public keys by which EHRs know our assertions."""

from typing import Any

from fhir_support.errors import ServiceUnavailable
from litestar import Response, get
from service_runtime.secrets import SecretError

from facade.container import ContainerOf

__all__ = ["route_handlers"]

_KEEP_S = 300


@get("/.well-known/jwks.json", name="jwks")
async def jwks(container: ContainerOf) -> Response[dict[str, Any]]:
    """Answer the JWK Set; SMART 2.2 wants Cache-Control, so that a new key is noticed and not asked for each time."""
    try:
        keys = await container.assertions.key_set()
    except SecretError:
        raise ServiceUnavailable from None
    return Response(keys, headers={"Cache-Control": f"public, max-age={_KEEP_S}"})


route_handlers = [jwks]
