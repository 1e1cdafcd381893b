"""Which network addresses an EHR may be at.

A hospital's EHR is often at a private address, so private addresses are not refused. Refused is what no EHR can be
at: this machine itself (unless the registered host is this machine by its very name), the link-local addresses and
the others where clouds hand out credentials, and everything that is no single host.
"""

import ipaddress

from facade.ehr.origins import is_loopback

__all__ = ["may_connect"]

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Metadata services outside the link-local range: AWS over IPv6, Alibaba, Azure's wire server, Oracle.
_METADATA = frozenset(
    ipaddress.ip_address(one) for one in ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def may_connect(host: str, address: str) -> bool:
    """Whether a connection to the registered ``host`` may go to ``address``, which a resolver says it has."""
    try:
        found = _inner(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if is_loopback(host):
        return found.is_loopback
    return not (
        found.is_loopback
        or found.is_link_local
        or found.is_multicast
        or found.is_unspecified
        or found.is_reserved
        or found in _METADATA
    )


def _inner(address: _Address) -> _Address:
    """Return the IPv4 address that an IPv6 address stands for, where it stands for one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address.teredo is not None:
            return address.teredo[1]
        if address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1):
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
