"""Many notifications a second from one process, and what an interactive route takes meanwhile.

``python tests/support/notification_flood.py PORT SECRET RATE SECONDS CONNECTIONS`` sends the same event again and again
over kept connections, as fast as RATE allows, each with a body of two kilobytes, and prints what was answered.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

__all__ = ["Interactive", "flood", "interactive"]


@dataclass
class Interactive:
    """How long the routes took, in milliseconds, and what they answered."""

    elapsed_ms: dict[str, list[float]] = field(default_factory=dict)
    answers: Counter[int] = field(default_factory=Counter)


async def interactive(
    base_url: str,
    paths: Sequence[str],
    seconds: float,
    rate_per_s: float = 20.0,
    posted: Mapping[str, Callable[[], tuple[dict[str, str], bytes]]] = MappingProxyType({}),
) -> Interactive:
    """Ask each of ``paths`` in turn, ``rate_per_s`` times a second, over connections of their own.

    Those that are ``posted`` get headers and body, made anew for each request.
    """
    found = Interactive({path: [] for path in paths})
    end = time.perf_counter() + seconds
    number = 0
    async with httpx.AsyncClient(base_url=base_url, timeout=30) as http:
        await http.get(paths[0])
        while time.perf_counter() < end:
            path = paths[number % len(paths)]
            number += 1
            headers, body = posted[path]() if path in posted else ({}, None)
            began = time.perf_counter()
            answer = await http.request("GET" if body is None else "POST", path, headers=headers, content=body)
            elapsed_s = time.perf_counter() - began
            found.elapsed_ms[path].append(elapsed_s * 1000)
            found.answers[answer.status_code] += 1
            await asyncio.sleep(max(0.0, 1 / rate_per_s - elapsed_s))
    return found


async def flood(port: int, secret: str, rate_per_s: float, seconds: float, connections: int = 64) -> dict[str, Any]:
    """Run the flood in a process of its own and return what it says."""
    arguments = [str(port), secret, str(rate_per_s), str(seconds), str(connections)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__)), *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    said: dict[str, Any] = json.loads(output)
    return said


def _request(port: int, secret: str) -> bytes:
    focus = {"name": "focus", "valueReference": {"reference": "Encounter/flood"}}
    event = {"name": "notification-event", "part": [{"name": "event-number", "valueString": "1"}, focus]}
    status = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "subscription", "valueReference": {"reference": "Subscription/flood"}},
            {"name": "type", "valueCode": "event-notification"},
            {"name": "events-since-subscription-start", "valueString": "1"},
            {"name": "padding", "valueString": "x" * 1500},
            event,
        ],
    }
    body = json.dumps({"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]}).encode()
    head = (
        f"POST /subscriptions/simulated HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {secret}\r\n"
        f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Sender(asyncio.Protocol):
    """Sends one request, waits for its answer, and asks the pace when it may send the next."""

    def __init__(self, request: bytes, answers: Counter[int], due: Any) -> None:
        self._request = request
        self._answers = answers
        self._due = due
        self._buffer = b""
        self._transport: Any = None
        self.retry_after = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        lowered = head.lower()
        marker = lowered.find(b"content-length: ")
        length = int(lowered[marker + 16 :].partition(b"\r\n")[0]) if marker >= 0 else 0
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        self._answers[int(head[9:12])] += 1
        self.retry_after += b"retry-after: " in lowered
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._answers[0] += 1

    def _next(self) -> None:
        delay = self._due()
        if delay is None:
            self._transport.pause_reading()
        elif delay <= 0:
            self._transport.write(self._request)
        else:
            asyncio.get_running_loop().call_later(delay, self._transport.write, self._request)


async def _flood(port: int, secret: str, rate_per_s: float, seconds: float, connections: int) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    request = _request(port, secret)
    answers: Counter[int] = Counter()
    began = loop.time()
    given = 0

    def due() -> float | None:
        """Give out the moments of sending, one after the other, evenly."""
        nonlocal given
        moment = began + given / rate_per_s
        if moment > began + seconds:
            return None
        given += 1
        return moment - loop.time()

    senders = [
        (await loop.create_connection(lambda: _Sender(request, answers, due), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    while sum(answers.values()) < given and loop.time() < began + seconds + 10:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    elapsed_s = loop.time() - began
    return {
        "sent": sum(answers.values()), "per_s": sum(answers.values()) / elapsed_s, "seconds": elapsed_s,
        "answers": {str(status): count for status, count in answers.items()},
        "retry_after": sum(sender.retry_after for sender in senders),
    }  # fmt: skip


def _main() -> None:
    port, secret, rate_per_s, seconds, connections = sys.argv[1:]
    work = _flood(int(port), secret, float(rate_per_s), float(seconds), int(connections))
    try:
        import uvloop
    except ImportError:
        result = asyncio.run(work)
    else:
        result = uvloop.run(work)
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    _main()
