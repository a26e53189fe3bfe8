"""This host's networks, from `ip -j` of iproute2: addresses, masks, gateways, MTUs."""

import json
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from core.errors import UnavailableError

TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class HostNetwork:
    """A network that an interface of this host is on; `gateway` is empty without a route through it."""

    network: IPv4Network
    interface: str
    gateway: str
    mtu: int
    #: This host's own address on it.
    address: IPv4Address


def read_networks() -> list[HostNetwork]:
    """The IPv4 networks of this host, without loopback, link-local and single addresses, each once, sorted.

    Raises UnavailableError when iproute2 is missing or does not answer.
    """
    return networks_of(_ask("-4", "address", "show"), _ask("-4", "route", "show"))


def networks_of(links: list[dict[str, Any]], routes: list[dict[str, Any]]) -> list[HostNetwork]:
    """The same from the answers of `ip -j address` and `ip -j route`."""
    gateways = {route["gateway"]: route.get("dev", "") for route in routes if "gateway" in route}
    found: dict[IPv4Network, HostNetwork] = {}
    for link in links:
        for address in link.get("addr_info", ()):
            own = IPv4Interface(f"{address['local']}/{address['prefixlen']}")
            if own.is_loopback or own.is_link_local or own.network.prefixlen == 32:
                continue
            through = [
                gateway
                for gateway, device in gateways.items()
                if device == link["ifname"] and IPv4Interface(gateway).ip in own.network
            ]
            found.setdefault(
                own.network,
                HostNetwork(
                    own.network, link["ifname"], (through or [""])[0], int(link.get("mtu", 0)), own.ip
                ),
            )
    return [found[network] for network in sorted(found)]


def _ask(*words: str) -> list[dict[str, Any]]:
    try:
        done = subprocess.run(
            ["ip", "-j", *words], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
        answer: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    except FileNotFoundError as error:
        raise UnavailableError("The program 'ip' is missing: install iproute2.") from error
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise UnavailableError(f"'ip {' '.join(words)}' did not answer: {error}") from error
    return answer
