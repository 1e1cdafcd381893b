"""What a test holds of servers by others: a token source for the open one, and the OAuth server that runs."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from .hospital import READER_SECRET

__all__ = ["NoToken", "OAuthServer"]


class NoToken:
    """The ``TokenSource`` of an open server."""

    async def token(self) -> None:
        """There is none."""

    async def renew(self, refused: str) -> None:
        """There is still none."""


@dataclass(frozen=True)
class OAuthServer:
    """A running oidc-provider with a FHIR server behind it."""

    issuer: str
    log: Path

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return what it did, in order."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == kind]

    async def token(self, client_id: str, resource: str, scope: str) -> str:
        """Return an access token for ``resource``, as the client gets it that reads our results."""
        async with httpx.AsyncClient() as http:
            answer = await http.post(
                f"{self.issuer}/token",
                auth=(client_id, READER_SECRET.replace(" ", "%20")),
                data={"grant_type": "client_credentials", "resource": resource, "scope": scope},
            )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])
