"""Sees every connection and every name that is looked up in this process, at the socket itself."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest


@dataclass
class Network:
    """What was connected to and looked up since the test began."""

    connected: list[object] = field(default_factory=list)
    looked_up: list[object] = field(default_factory=list)


_watching: list[Network] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    # The interpreter calls this from inside socket.connect and getaddrinfo, below every library.
    if not _watching:
        return
    if event in ("socket.connect", "socket.sendto"):
        _watching[-1].connected.append(arguments[1])
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        _watching[-1].looked_up.append(arguments[0])


sys.addaudithook(_hook)


@pytest.fixture
def network() -> Iterator[Network]:
    seen = Network()
    _watching.append(seen)
    yield seen
    _watching.remove(seen)
