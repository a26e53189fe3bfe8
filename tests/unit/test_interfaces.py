"""What `ip -j` says becomes networks."""

from typing import Any

from drivers.interfaces import networks_of


def link(name: str, *addresses: str, mtu: int = 1500) -> dict[str, Any]:
    listed = [address.split("/") for address in addresses]
    return {
        "ifname": name,
        "mtu": mtu,
        "addr_info": [{"local": local, "prefixlen": int(length)} for local, length in listed],
    }


def test_networks_gateways_and_what_is_left_out() -> None:
    links = [
        link("lo", "127.0.0.1/8", mtu=65536),
        link("eth1", "10.1.0.5/16", "10.1.0.6/16", "169.254.3.3/16", mtu=9000),
        link("eth0", "192.168.7.2/24", "192.168.9.9/32"),
        link("down"),
    ]
    routes = [
        {"dst": "default", "gateway": "192.168.7.1", "dev": "eth0"},
        {"dst": "10.9.0.0/16", "gateway": "10.1.0.1", "dev": "eth0"},
        {"dst": "10.1.0.0/16", "dev": "eth1"},
    ]
    found = networks_of(links, routes)
    assert [(str(one.network), one.interface, one.gateway, one.mtu) for one in found] == [
        ("10.1.0.0/16", "eth1", "", 9000),
        ("192.168.7.0/24", "eth0", "192.168.7.1", 1500),
    ]
