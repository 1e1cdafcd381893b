"""The keys of others: found by kid, read again for a new one, and never taken from a set that is not right."""

from typing import Any

import httpx
import pytest
from facade.jwt_keys import KeySetUnavailable, RemoteKeySets, UnknownKey, verification_keys
from joserfc.jwk import ECKey, OctKey, RSAKey

URL = "https://ehr.example.org/jwks.json"
EC = ECKey.generate_key("P-384", {"kid": "ec"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
SHORT_MODULUS = "s" * 171  # 1,024 bits


def public(key: Any, **more: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), **more}


class Publisher:
    """Publishes ``keys`` and counts how often it is asked."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys: Any = list(keys)
        self.asked = 0
        self.answer: httpx.Response | None = None
        self.now = 0.0
        self.sets = RemoteKeySets(
            httpx.AsyncClient(transport=httpx.MockTransport(self._answer)), clock=lambda: self.now
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        return self.answer or httpx.Response(200, json={"keys": self.keys})

    async def known(self, kid: str | None) -> bool:
        try:
            await self.sets.key(URL, kid)
        except (UnknownKey, KeySetUnavailable):
            return False
        return True


async def test_a_key_is_found_by_its_id_and_asked_for_once() -> None:
    publisher = Publisher(public(EC), public(RSA))
    assert (await publisher.sets.key(URL, "ec")).kid == "ec"
    assert isinstance(await publisher.sets.key(URL, "rsa"), RSAKey)
    assert publisher.asked == 1


async def test_without_an_id_only_the_only_key_is_taken() -> None:
    assert await Publisher(public(EC)).known(None)
    assert not await Publisher(public(EC), public(RSA)).known(None)


async def test_a_new_key_is_found_without_waiting_but_unknown_ids_ask_once_a_minute() -> None:
    publisher = Publisher(public(EC))
    assert await publisher.known("ec")
    publisher.keys.append(public(RSA))
    publisher.now = 61
    assert await publisher.known("rsa")
    for number in range(50):
        assert not await publisher.known(f"made-up-{number}")
    assert publisher.asked == 2


async def test_a_withdrawn_key_is_gone_after_ten_minutes() -> None:
    publisher = Publisher(public(EC), public(RSA))
    assert await publisher.known("rsa")
    publisher.keys.pop()
    publisher.now = 601
    assert not await publisher.known("rsa")


async def test_a_server_that_fails_keeps_its_known_keys_for_an_hour_and_is_not_hammered() -> None:
    publisher = Publisher(public(EC))
    assert await publisher.known("ec")
    publisher.answer = httpx.Response(503)
    publisher.now = 700
    assert await publisher.known("ec")
    assert await publisher.known("ec")
    assert publisher.asked == 2
    publisher.now = 3_700
    assert not await publisher.known("ec")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404),
        httpx.Response(302, headers={"Location": "https://elsewhere.example.org/jwks.json"}),
        httpx.Response(200, content=b"no json"),
        httpx.Response(200, content=b"[" * 100_000),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"keys": "none"}),
        httpx.Response(200, json={"keys": [{"kid": "k"}] * 101}),
        httpx.Response(200, content=b" " * 200_000),
    ],
    ids=["missing", "redirect", "text", "deep", "list", "keys are text", "too many", "too large"],
)
async def test_what_is_no_key_set_is_not_available(answer: httpx.Response) -> None:
    publisher = Publisher()
    publisher.answer = answer
    with pytest.raises(KeySetUnavailable):
        await publisher.sets.key(URL, "ec")


@pytest.mark.parametrize(
    "key",
    [
        OctKey.generate_key(256, {"kid": "k"}).as_dict(),
        public(EC, kid="k", use="enc"),
        public(EC, kid="k", key_ops=["sign"]),
        public(EC, kid="k", crv="P-999"),
        public(EC, kid=""),
        public(EC, kid=7),
        public(RSA, kid="k", n=SHORT_MODULUS),
        {**EC.as_dict(private=True), "kid": "k"},
        {"kty": "EC", "kid": "k"},
        "a text",
    ],
    ids=["shared secret", "for encryption", "for signing", "no curve", "no id", "id is a number", "short", "private",
         "incomplete", "text"],
)  # fmt: skip
def test_a_key_that_is_not_for_verifying_is_left_out(key: Any) -> None:
    assert verification_keys({"keys": [key]}) == {}


@pytest.mark.requirement(
    "e4",
    "cds-hooks_2.0@183",
    "[When sending a JWT header,] the kid field MUST be unique within the CDS Client's JWK Set.",
)
def test_a_set_in_which_two_keys_share_an_id_is_refused() -> None:
    with pytest.raises(KeySetUnavailable):
        verification_keys({"keys": [public(EC, kid="same"), public(RSA, kid="same")]})
