"""Which machines Upshot may be sent to by an address that somebody wrote down.

An alert's address is a way for whoever can set it to make this server speak to machines that only it can reach: its
own services, the cloud's metadata. So a name is resolved once, every address that it has must be a public one or be
allowed, and the connection goes to the very address that was looked at: that a name resolves otherwise a moment later
changes nothing.
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from upshot.errors import InputError, UnavailableError

Address = IPv4Address | IPv6Address

_NAT64 = ip_network("64:ff9b::/96")
_COMPATIBLE = ip_network("::/96")


class ForbiddenAddressError(InputError):
    """An address that alerts are not sent to."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Addresses that are not public and may be spoken to all the same.

    Attributes:
        networks: by number. hosts: by name, whatever they resolve to.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    hosts: tuple[str, ...] = ()


def read_allowed(entries: Iterable[str]) -> Allowed:
    """What people write to allow addresses: networks like ``10.0.0.0/8``, addresses, names of hosts.

    >>> read_allowed(["10.0.0.0/8", "hooks.internal"]).hosts
    ('hooks.internal',)
    """
    networks, hosts = [], []
    for entry in entries:
        try:
            networks.append(ip_network(entry, strict=False))
        except ValueError:
            hosts.append(entry.lower())
    return Allowed(tuple(networks), tuple(hosts))


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet; an IPv6 address that carries an IPv4 one is what it carries.

    >>> [is_public(ip_address(text)) for text in ("8.8.8.8", "::ffff:127.0.0.1", "169.254.169.254")]
    [True, False, False]
    """
    return all(one.is_global and not one.is_multicast for one in _meant(address))


def _meant(address: Address) -> list[Address]:
    """The address, or those that it stands for."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address.sixtofour:
        return [address.sixtofour]
    if address.teredo:
        return list(address.teredo)
    if address in _NAT64 or address in _COMPATIBLE:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address]


def resolve(host: str, port: int, allowed: Allowed) -> tuple[Address, ...]:
    """The addresses of a host, all of which may be spoken to.

    Raises:
        ForbiddenAddressError: one of them may not. UnavailableError: the name has none now.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnavailableError(f"the host {host} has no address now ({error})") from None
    addresses = tuple(dict.fromkeys(ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found))
    for address in addresses:
        if not may_reach(host, address, allowed):
            raise ForbiddenAddressError(
                f"the host {host} is {address}, which is not a public address: give another, or allow it in "
                f"UPSHOT_ALERTS_ALLOW, such as {host} or {address}"
            )
    return addresses


def may_reach(host: str, address: Address, allowed: Allowed) -> bool:
    """Whether an address of a host may be spoken to."""
    if is_public(address) or host.lower() in allowed.hosts:
        return True
    return any(one in network for one in (address, *_meant(address)) for network in allowed.networks)
