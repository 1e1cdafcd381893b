"""A running suite that knows the benchmark as a client, and requests that come at their times."""

import asyncio
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import httpx
from joserfc.jwk import ECKey
from preceptor.suite.background import background_suite, settings_on_free_ports
from preceptor.suite.settings import SuiteSettings

__all__ = ["ISSUER", "WARM_UP_S", "at_a_rate", "key_set", "loaded_suite"]

ISSUER = "https://benchmark.example.org"
WARM_UP_S = 5
_Answer = TypeVar("_Answer")


@contextmanager
def loaded_suite(key: ECKey, client: Callable[[str], dict[str, Any]]) -> Iterator[str]:
    """Run the suite in a folder of its own; give the facade's address.

    ``client`` returns, for the address of the benchmark's key set, the fields of the sandbox EHR's registration by
    which the benchmark may call.
    """
    with tempfile.TemporaryDirectory(prefix="preceptor-bench-") as folder, key_set(key) as jwks_uri:
        settings = settings_on_free_ports(Path(folder) / "suite")
        registry = Path(folder) / "ehrs.json"
        registry.write_text(json.dumps([{**_shipped(settings), **client(jwks_uri)}]))
        os.environ["PRECEPTOR_FACADE_EHRS_FILE"] = str(registry)
        with background_suite(settings, Path(folder) / "output.txt") as suite:
            print(f"  the suite started in {suite.started_in_s:.0f} s", flush=True)
            yield settings.facade_url


async def at_a_rate(
    ask: Callable[[httpx.AsyncClient], Coroutine[Any, Any, _Answer]], *, rate: int, seconds: int, connections: int
) -> list[_Answer]:
    """Return what was answered after ``WARM_UP_S``; an answer that is late makes the next requests no later."""
    tasks: list[asyncio.Task[_Answer]] = []
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx.AsyncClient(timeout=10, limits=limits, trust_env=False) as http, asyncio.TaskGroup() as group:
        began = time.perf_counter()
        for number in range(rate * (WARM_UP_S + seconds)):
            wait_s = began + number / rate - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            tasks.append(group.create_task(ask(http)))
    return [task.result() for task in tasks[rate * WARM_UP_S :]]


def _shipped(settings: SuiteSettings) -> dict[str, Any]:
    """The shipped registration of the sandbox EHR, at this suite's addresses."""
    text = (Path(__file__).parents[1] / "docker" / "ehrs.json").read_text()
    entry: dict[str, Any]
    (entry,) = json.loads(text.replace("http://localhost:8100", settings.ehr_url))
    return entry


@contextmanager
def key_set(key: ECKey) -> Iterator[str]:
    """Serve the benchmark's public key; give the address."""
    body = json.dumps({"keys": [key.as_dict(private=False)]}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/jwks.json"
    finally:
        server.shutdown()
        server.server_close()
