"""Real daemons of a service node, each made what the tables say: on, unchanged, changed, off, and refused."""

from collections.abc import Iterator

import pytest
from services_rig import Sn, in_own_network, service_node, wire

from core.netdoc import NetDoc, NetworksDoc


@pytest.fixture
def sn(sqlite_url: str) -> Iterator[Sn]:
    with service_node(sqlite_url) as node:
        yield node


@pytest.mark.parametrize(
    ("service", "daemon", "change"),
    [
        ("ntpserver", "chronyd", {"ntpservers": "10.9.9.9"}),
        ("ftpserver", "vsftpd", {"installdir": "/data"}),
        ("nfsserver", "nginx", {"httpport": "8080"}),
        ("nfsserver", "ganesha", {"installdir": "/data"}),
    ],
)
@in_own_network
def test_on_unchanged_changed_and_off(sn: Sn, service: str, daemon: str, change: dict[str, str]) -> None:
    sn.tables({}, **{service: "1"})
    state, said = sn.told()[service]
    assert (state, f"{daemon} started" in said) == ("ok", True), said
    first = sn.pid(daemon)

    state, said = sn.told()[service]
    assert (state, f"{daemon} unchanged" in said, sn.pid(daemon)) == ("ok", True, first), said

    sn.tables(change, **{service: "1"})
    state, said = sn.told()[service]
    assert state == "ok", said
    told = daemon == "nginx"
    assert (f"{daemon} told" if told else f"{daemon} restarted") in said
    assert (sn.pid(daemon) == first) == told

    sn.tables(change, **{service: "0"})
    state, said = sn.told()[service]
    assert (state, f"{daemon} stopped" in said, sn.pid(daemon)) == ("off", True, 0)
    assert sn.told() == {}


NETWORKS = NetworksDoc(
    networks=(NetDoc("boot", "10.7.0.0/24"),), domain="cluster.net", master=("10.7.0.250",), lease_s=600
)


@in_own_network
def test_dhcp_tftp_and_dns_are_one_daemon(sn: Sn) -> None:
    wire("eth1", "10.7.0.1/24")
    sn.tables({}, dhcpserver="1", tftpserver="1", nameserver="2")
    told = sn.told()
    assert told["tftpserver"] == told["nameserver"] == ("ok", "dnsmasq started")
    assert told["dhcpserver"][0] == "failed"
    assert "makedhcp -n" in told["dhcpserver"][1]

    sn.networks(NETWORKS)
    told = sn.told()
    assert told == dict.fromkeys(("dhcpserver", "tftpserver", "nameserver"), ("ok", "dnsmasq restarted"))
    first = sn.pid("dnsmasq")
    told = sn.told()
    assert told == dict.fromkeys(told, ("ok", "dnsmasq unchanged"))
    assert sn.pid("dnsmasq") == first

    sn.tables({}, tftpserver="1")
    assert sn.told() == {"tftpserver": ("ok", "dnsmasq restarted")}
    sn.tables({}, tftpserver="0")
    assert {state for state, _ in sn.told().values()} == {"off"}
    assert sn.pid("dnsmasq") == 0
