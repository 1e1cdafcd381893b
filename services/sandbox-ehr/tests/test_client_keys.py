"""Keys that a client publishes: fetched, kept for a while, and fetched again for a new kid."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey, RSAKey
from sandbox_ehr.auth.client_keys import ClientKeys
from sandbox_ehr.auth.clients import Client
from sandbox_ehr.auth.errors import OAuthError


class Publisher:
    """A client's JWKS address: it answers ``status`` and ``body``, and counts."""

    def __init__(self) -> None:
        self.status, self.body, self.asked = 200, b"", 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        headers = [(b"content-type", b"application/json"), (b"location", b"/elsewhere")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})

    def publish(self, *keys: RSAKey | ECKey) -> None:
        self.body = json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


@pytest.fixture
def published(serve: Any) -> Iterator[tuple[Client, Publisher]]:
    publisher = Publisher()
    with serve(publisher) as address:
        client = Client(
            client_id="c",
            client_name="c",
            token_endpoint_auth_method="private_key_jwt",
            grant_types=("client_credentials",),
            scope="system/Patient.r",
            jwks_uri=f"{address}/jwks",
        )
        yield client, publisher


async def test_keys_are_kept_until_a_new_kid_is_used(published: Any, keys: Any) -> None:
    client, publisher = published
    now = [0.0]
    async with httpx.AsyncClient() as http:
        known = ClientKeys(http, clock=lambda: now[0])
        publisher.publish(keys["rsa"])
        await known.find(client, "rsa-1", "RS384")
        await known.find(client, "rsa-1", "RS384")
        assert publisher.asked == 1
        publisher.publish(keys["ec"])
        now[0] = 2
        assert isinstance(await known.find(client, "ec-1", "ES384"), ECKey)
        assert publisher.asked == 2
        with pytest.raises(OAuthError):
            await known.find(client, "rsa-1", "RS384")


async def test_unknown_kids_do_not_make_us_ask_without_end(published: Any, keys: Any) -> None:
    client, publisher = published
    publisher.publish(keys["rsa"])
    async with httpx.AsyncClient() as http:
        known = ClientKeys(http, clock=lambda: 0.0)
        for number in range(20):
            with pytest.raises(OAuthError):
                await known.find(client, f"kid-{number}", "RS384")
    assert publisher.asked == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (302, b"{}"),
        (200, b"not json"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"keys":1}'),
        (200, b'{"keys":[1]}'),
    ],
)
async def test_what_is_no_key_set_is_refused(published: Any, status: int, body: bytes) -> None:
    client, publisher = published
    publisher.status, publisher.body = status, body
    async with httpx.AsyncClient() as http:
        with pytest.raises(OAuthError) as refused:
            await ClientKeys(http).find(client, "rsa-1", "RS384")
    assert (refused.value.error, refused.value.status) == ("invalid_client", 401)


async def test_two_keys_of_one_kid_are_no_key(published: Any, keys: Any) -> None:
    client, publisher = published
    publisher.publish(keys["rsa"], keys["stranger"])
    async with httpx.AsyncClient() as http:
        with pytest.raises(OAuthError):
            await ClientKeys(http).find(client, "rsa-1", "RS384")
