"""Questions to an authorization server, whose answers are small JSON objects.

AskFailed
├── ServerSilent    no answer, 429 or 5xx: try again later
└── ServerRefused   another status, or an answer that is none

Neither repeats what the server said.
"""

from typing import Any

import httpx

from facade.ehr.outbound import SMALL_ANSWER, AnswerRefused, OriginNotRegistered

__all__ = ["AskFailed", "ServerRefused", "ServerSilent", "ask"]

# RFC 6749, 5.2, RFC 6750, 3.1 and RFC 7009, 2.2.1: the only words of an answer that a log may repeat.
_ERRORS = frozenset(
    {
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
        "unsupported_token_type",
    }
)


class AskFailed(Exception):
    """Base; ``reason`` is a code for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ServerSilent(AskFailed):
    """The server gave no answer, or one that says to try again later."""


class ServerRefused(AskFailed):
    """The server refused, or answered with something that is not what was asked for."""

    def __init__(self, reason: str, status: int = 200) -> None:
        super().__init__(reason)
        self.status = status


async def ask(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    form: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Return the JSON object that answers; raise ``AskFailed``. Redirects are not followed."""
    try:
        response = await http.request(
            method,
            url,
            data=form,
            headers={"Accept": "application/json", **(headers or {})},
            follow_redirects=False,
            extensions=SMALL_ANSWER,
        )
    except (OriginNotRegistered, AnswerRefused, httpx.InvalidURL, UnicodeError) as error:
        raise ServerRefused(type(error).__name__) from None
    except httpx.TransportError as error:
        raise ServerSilent(type(error).__name__) from None
    if response.status_code >= 500 or response.status_code == 429:
        raise ServerSilent(f"http-{response.status_code}")
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        answer = None
    if response.status_code != 200:
        said = answer.get("error") if isinstance(answer, dict) else None
        known = f"-{said}" if isinstance(said, str) and said in _ERRORS else ""
        raise ServerRefused(f"http-{response.status_code}{known}", response.status_code)
    if not isinstance(answer, dict):
        raise ServerRefused("answer-is-not-json")
    return answer
