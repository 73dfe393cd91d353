"""Whose request it is. A proxy's word counts only where the proxy is trusted."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """The address of the caller.

    `peer`: who opened the connection. `forwarded_for`: X-Forwarded-For, read from its end, and only as far as those who
    wrote it are trusted: what stands before the first untrusted address may be anything.
    """
    address = _parsed(peer)
    for written in reversed([part for part in forwarded_for.split(",") if part.strip()]):
        if address is None or not _is_trusted(address, trusted):
            break
        before = _parsed(written)
        if before is None:
            break
        address = before
    return peer if address is None else str(address)


def bucket_of(address: str) -> str:
    """What is counted together: an IPv4 address, or the /64 of an IPv6 address, of which one caller has them all."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return address[:100] if parsed is None else str(parsed)


def _parsed(written: str) -> Address | None:
    try:
        address = ip_address(written.strip().strip("[]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in trusted)
