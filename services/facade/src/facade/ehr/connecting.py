"""Opens the connections of one origin: the name is resolved once, and what was checked is what is connected to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import httpcore

from facade.ehr.addresses import may_connect

__all__ = ["CheckedAddresses", "Resolver", "resolve"]

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of ``host`` in the order of the system's preference; raise ``OSError``."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class CheckedAddresses(httpcore.AsyncNetworkBackend):
    """Connects to one host and port. Every address of the name must be one that an EHR can be at.

    The connection goes to the address that was checked, not to the name again: a resolver that changes its answer
    between two questions is asked only one.
    """

    def __init__(self, host: str, port: int, *, resolver: Resolver = resolve) -> None:
        self._place = (host, port)
        self._resolve = resolver
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the signature of the base class
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that accepts; raise ``httpcore.ConnectError`` or ``ConnectTimeout``."""
        if (host, port) != self._place:
            raise httpcore.ConnectError("another host than the one of this origin")
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
                if not addresses or not all(may_connect(host, one) for one in addresses):
                    raise httpcore.ConnectError("the name leads to an address that no EHR can be at")
                return await self._first(addresses, port, local_address, socket_options)
        except TimeoutError:
            raise httpcore.ConnectTimeout("no connection in time") from None
        except OSError as error:
            raise httpcore.ConnectError(type(error).__name__) from None

    async def _first(
        self, addresses: Sequence[str], port: int, local_address: str | None, socket_options: Iterable[Any] | None
    ) -> httpcore.AsyncNetworkStream:
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(
                    address, port, local_address=local_address, socket_options=socket_options
                )
            except httpcore.ConnectError:
                continue
        return await self._network.connect_tcp(
            addresses[-1], port, local_address=local_address, socket_options=socket_options
        )

    async def sleep(self, seconds: float) -> None:
        """Wait between two attempts."""
        await asyncio.sleep(seconds)
