"""Which MAC address of a node gets which address, and what is wrong with it."""

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bootdoc import Loader
from core.dhcpdoc import DhcpHost
from core.dhcphosts import Binding, bindings, hosts, loader, shared
from core.errors import DefinitionError
from core.ipv4 import nets
from core.macs import Mac, parse_macs

A, B, C = "aa:00:00:00:00:01", "aa:00:00:00:00:02", "aa:00:00:00:00:03"
WITHIN = nets([IPv4Network("10.0.0.0/16"), IPv4Network("192.168.7.0/24")])


def records(
    node: str, values: dict[str, str], resolved: dict[str, str] | None = None
) -> list[tuple[str, ...]]:
    """What one node's values come to."""
    found = hosts(node, bindings(node, values), resolved or {}, WITHIN)
    return [(one.mac, one.ip, one.name) for one in found]


def test_a_mac_is_written_in_several_ways() -> None:
    for text in ("AA:00:00:00:00:01", "aa-00-00-00-00-01", "aa00.0000.0001", "AA0000000001"):
        assert parse_macs(text, "n1") == [Mac(A, "n1")]


@given(st.text(max_size=40))
def test_what_is_no_mac_is_refused_by_node(text: str) -> None:
    try:
        found = parse_macs(text, "n7")
    except DefinitionError as error:
        assert "n7" in error.message
        assert "\n" not in error.message
    else:
        assert all(len(mac.address) == 17 for mac in found)


def test_the_node_itself_comes_first_and_what_gets_no_lease_last() -> None:
    values = {
        "mac.mac": f"{B}!n1-ib0|{C}!*NOIP*|{A}",
        "hosts.ip": "10.0.0.1",
        "nics.nicips": "ib0!192.168.7.1",
    }
    assert records("n1", values) == [(A, "10.0.0.1", "n1"), (B, "192.168.7.1", "n1-ib0"), (C, "", "")]


def test_names_come_from_hosts_too() -> None:
    values = {
        "mac.mac": f"{A}|{B}!alias|{C}!n1-ext",
        "hosts.ip": "10.0.0.1",
        "hosts.hostnames": "alias",
        "hosts.otherinterfaces": "-ext:10.0.9.1",
    }
    assert [one[1] for one in records("n1", values)] == ["10.0.0.1", "10.0.0.1", "10.0.9.1"]


def test_without_an_address_in_hosts_the_installnic_counts() -> None:
    values = {"mac.mac": A, "nics.nicips": "eth0!10.0.0.8,eth1!10.0.0.9|10.0.0.10"}
    assert records("n1", values | {"noderes.installnic": "eth1"}) == [(A, "10.0.0.9", "n1")]
    assert records("n1", values | {"noderes.installnic": "mac", "noderes.primarynic": "eth0"}) == [
        (A, "10.0.0.8", "n1")
    ]


def test_else_what_the_name_resolves_to() -> None:
    assert records("n1", {"mac.mac": A}, {"n1": "10.0.0.4"}) == [(A, "10.0.0.4", "n1")]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "No MAC address available for n1"),
        ({"mac.mac": "|"}, "No MAC address available for n1"),
        ({"mac.mac": "aa:bb"}, "'aa:bb' is no MAC address"),
        ({"mac.mac": A}, "does not resolve"),
        ({"mac.mac": A, "hosts.ip": "fe80::1"}, "no IPv4 address"),
        ({"mac.mac": A, "hosts.ip": "10.0.0.1\ndhcp-boot=x"}, "no IPv4 address"),
        ({"mac.mac": A, "hosts.ip": "10.9.0.1"}, "in no network"),
    ],
)
def test_what_is_wrong_is_said(values: dict[str, str], said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        records("n1", values)


def test_two_nodes_with_one_address_are_both_named() -> None:
    found = shared(
        {
            "n1": [Binding(A, "n1", "10.0.0.1")],
            "n2": [Binding(A, "n2", "10.0.0.2")],
            "n3": [Binding(B, "n3", "10.0.0.2")],
            "n4": [Binding(C, "n4", "10.0.0.4"), Binding("aa:00:00:00:00:04", "n4", "10.0.0.4")],
        }
    )
    assert found == {
        "n1": f"n[1-2] have the same MAC address {A}",
        "n2": f"n[1-2] have the same MAC address {A}",
        "n3": "n[2-3] have the same IP address 10.0.0.2",
    }


def test_the_loader_is_what_netboot_says() -> None:
    assert loader("n1", {}) == ""
    assert loader("n1", {"noderes.netboot": "grub2-http"}) == Loader.GRUB2
    with pytest.raises(DefinitionError, match="'yaboot'; known are grub2"):
        loader("n1", {"noderes.netboot": "yaboot"})


@pytest.mark.parametrize("node", ["n1.c.net", "n:1", "n+1", "_n", "n" * 64])
def test_a_name_that_dhcp_cannot_tell_does_not_boot_with_xnba(node: str) -> None:
    with pytest.raises(DefinitionError, match="cannot boot with xnba"):
        loader(node, {"noderes.netboot": "xnba"})
    assert loader(node, {"noderes.netboot": "pxe"}) == Loader.PXE


def test_records_are_values() -> None:
    assert hosts("n1", [Binding(A, "n1", "10.0.0.1")], {}, WITHIN) == (DhcpHost(A, "10.0.0.1", "n1"),)
