"""DHCP by the real dnsmasq: what Serval writes, seen by clients on the wire."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dhcp_rig import ACK, BRIDGE, Client, Server

from core.bootdoc import Loader
from core.dhcpdoc import DhcpDoc, DhcpHost
from core.netdoc import SELF, NetDoc, NetworksDoc
from drivers.netboot.loaders import script_of
from lab.namespaces import Namespaces, namespaces

NET = NetDoc(
    "a",
    "10.99.0.0/16",
    gateway=SELF,
    nameservers=(SELF, "10.99.0.9"),
    ntpservers=("10.99.0.8",),
    logservers=("10.99.0.7",),
    domain="c.net",
    mtu=9000,
)
BIOS, UEFI, UEFI_BC, AARCH64, HTTP = (number.to_bytes(2) for number in (0, 9, 7, 11, 16))
Make = Callable[..., Server]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespaces]:
    """A switch with a port for clients."""
    with namespaces(tmp_path_factory.mktemp("lab"), "dhcp") as made:
        made.bridge(BRIDGE)
        made.add("cn")
        made.plug("cn", BRIDGE, "192.0.2.1/32")
        yield made


@pytest.fixture(scope="module")
def client(net: Namespaces) -> Iterator[Client]:
    """Every machine on it."""
    one = Client(net.name("cn"))
    yield one
    one.close()


@pytest.fixture
def make(net: Namespaces, tmp_path: Path) -> Iterator[Make]:
    """Starts servers by name."""
    made: list[Server] = []

    def start(name: str, last: int = 1, told: NetDoc = NET, reply_delay_s: int = 1) -> Server:
        known = NetworksDoc((told,), lease_s=600, reply_delay_s=reply_delay_s)
        server = Server(net, name, f"10.99.0.{last}/16", tmp_path / name, known)
        made.append(server)
        server.start()
        return server

    yield start
    for server in made:
        server.stop()


def mac(number: int) -> str:
    return f"aa:bb:cc:00:00:{number:02x}"


def doc(number: int, loader: str = "xnba", pool: tuple[str, ...] = (), server: str = "") -> DhcpDoc:
    """Node nN with its one interface."""
    host = DhcpHost(mac(number), f"10.99.1.{number}", f"n{number}")
    return DhcpDoc(f"n{number}", (host,), loader, server, pool)


def soon(look: Callable[[], bool]) -> bool:
    """Whether it becomes true; dnsmasq reads files when it gets to it."""
    deadline = time.monotonic() + 5
    while not look() and time.monotonic() < deadline:
        time.sleep(0.02)
    return look()


def test_a_node_gets_its_address_and_what_the_networks_table_says(make: Make, client: Client) -> None:
    make("sn1").apply(1, doc(1))
    answer = client.lease(mac(1))
    assert (answer.kind, answer.ip, answer.server, answer.next_server) == (
        ACK,
        "10.99.1.1",
        "10.99.0.1",
        "10.99.0.1",
    )
    assert (answer.text(12), answer.text(15)) == ("n1", "c.net")
    assert answer.addresses(3) == ["10.99.0.1"]
    assert answer.addresses(6) == ["10.99.0.1", "10.99.0.9"]
    assert (answer.addresses(42), answer.addresses(7)) == (["10.99.0.8"], ["10.99.0.7"])
    assert int.from_bytes(answer.options[26]) == 9000
    assert int.from_bytes(answer.options[51]) == 600
    assert client.offers(mac(9)) == []


def test_what_the_table_leaves_empty_is_not_told(make: Make, client: Client) -> None:
    make("sn1", told=NetDoc("a", "10.99.0.0/16")).apply(1, doc(1))
    assert not {3, 6, 7, 15, 26, 42} & set(client.offer(mac(1)).options)


def test_each_architecture_gets_its_loader(make: Make, client: Client) -> None:
    make("sn1").apply(1, doc(1), doc(2, "grub2"), doc(3, "pxe"), doc(4, ""), doc(5, server="10.99.0.77"))
    assert client.offer(mac(1), o93=BIOS).boot == "xcat/xnba.kpxe"
    assert client.offer(mac(1)).boot == "xcat/xnba.kpxe"
    assert client.offer(mac(1), o93=UEFI).boot == client.offer(mac(1), o93=UEFI_BC).boot == "xcat/xnba.efi"
    assert client.offer(mac(1), o93=AARCH64).boot == ""
    assert client.offer(mac(2), o93=UEFI).boot == "boot/grub2/grub2.x86_64"
    assert client.offer(mac(2), o93=AARCH64).boot == "boot/grub2/grub2.aarch64"
    assert client.offer(mac(3), o93=BIOS).boot == "pxelinux.0"
    assert client.offer(mac(4), o93=BIOS).boot == ""
    fixed = client.offer(mac(5), o93=BIOS)
    assert (fixed.boot, fixed.next_server) == ("xcat/xnba.kpxe", "10.99.0.77")


def test_uefi_loads_by_http_what_a_loader_has_for_it(make: Make, client: Client) -> None:
    make("sn1").apply(1, doc(1), doc(2, "grub2"))
    web = {"o93": HTTP, "o60": b"HTTPClient:Arch:00016:UNDI:003001"}
    answer = client.offer(mac(1), **web)
    assert (answer.text(60), answer.boot) == ("HTTPClient", "http://10.99.0.1:80/tftpboot/xcat/xnba.efi")
    ipxe = client.offer(mac(1), **web, o77=b"iPXE")
    assert (60 in ipxe.options, ipxe.boot) == (False, script_of(Loader.XNBA, "${hostname}"))
    grub = client.offer(mac(2), **web)
    assert (grub.ip, grub.boot, 60 in grub.options) == ("10.99.1.2", "", False)


def test_ipxe_gets_the_script_of_its_node(make: Make, client: Client) -> None:
    make("sn1").apply(1, doc(1), doc(2, "grub2"))
    for answer in (
        client.offer(mac(1), o93=BIOS, o77=b"iPXE"),
        client.offer(mac(1), o93=UEFI, o175=b"\x01\x01\x01"),
        client.offer(mac(1), o93=BIOS, o77=b"xNBA"),
    ):
        assert answer.boot == script_of(Loader.XNBA, "${hostname}")
        assert answer.text(12) == "n1"
        assert answer.options[175] == b"\xb0\x01\x01\xff"
    assert client.offer(mac(2), o93=UEFI, o77=b"iPXE").boot == "boot/grub2/grub2.x86_64"


def test_an_interface_may_give_no_boot_file(make: Make, client: Client) -> None:
    server = make("sn1")
    server.stop()
    server.doc = replace(server.doc, interfaces={"sn1": f"{BRIDGE}:noboot"})
    server.start()
    server.apply(1, doc(1))
    assert (client.offer(mac(1), o93=BIOS).ip, client.offer(mac(1), o93=BIOS).boot) == ("10.99.1.1", "")


def test_a_new_record_needs_no_signal_and_others_one_for_all(make: Make, client: Client) -> None:
    server = make("sn1")
    server.apply(1, doc(1), doc(2), doc(3))
    told = server.told
    server.apply(2, doc(4), doc(5))
    assert soon(lambda: bool(client.offers(mac(4), 0.1)))
    assert server.told == told
    changed = DhcpDoc("n1", (DhcpHost(mac(77), "10.99.1.1", "n1"),), "xnba")
    assert client.lease(mac(1)).ip == "10.99.1.1"
    server.apply(3, changed, doc(2, "grub2"), gone=["n3"])
    assert server.told == told + 1
    assert soon(lambda: not client.offers(mac(3), 0.1))
    assert soon(lambda: bool(client.offers(mac(77), 0.1)))
    assert client.lease(mac(77)).ip == "10.99.1.1"
    assert client.offers(mac(1)) == []
    assert client.offer(mac(2), o93=UEFI).boot == "boot/grub2/grub2.x86_64"
    server.apply(4, changed, doc(2, "grub2"), gone=["n3"])
    assert server.told == told + 1


def test_two_nodes_change_their_boards(make: Make, client: Client) -> None:
    server = make("sn1")
    server.apply(1, doc(1), doc(2))
    assert (client.lease(mac(1)).ip, client.lease(mac(2)).ip) == ("10.99.1.1", "10.99.1.2")
    one, two = doc(1), doc(2)
    server.apply(
        2,
        replace(one, hosts=(replace(one.hosts[0], mac=mac(2)),)),
        replace(two, hosts=(replace(two.hosts[0], mac=mac(1)),)),
    )
    assert soon(lambda: client.lease(mac(2)).ip == "10.99.1.1")
    assert client.lease(mac(1)).ip == "10.99.1.2"


def test_the_first_member_answers_first_and_the_second_when_it_is_dead(make: Make, client: Client) -> None:
    servers = [make("sn1", 1), make("sn2", 2), make("sn3", 3)]
    for server in servers:
        server.apply(1, doc(1, pool=("sn1", "sn2")), doc(2, pool=("sn2", "sn1")))
    assert [one.server for one in client.offers(mac(1), 5, 2)] == ["10.99.0.1", "10.99.0.2"]
    assert [one.server for one in client.offers(mac(2), 5, 2)] == ["10.99.0.2", "10.99.0.1"]
    assert client.lease(mac(1)).server == "10.99.0.1"
    servers[0].stop()
    again = client.lease(mac(1))
    assert (again.kind, again.ip, again.server) == (ACK, "10.99.1.1", "10.99.0.2")


def test_without_a_delay_nobody_waits(make: Make, client: Client) -> None:
    servers = [make(name, last, reply_delay_s=0) for last, name in enumerate(("sn1", "sn2"), 1)]
    for server in servers:
        assert "dhcp-reply-delay" not in (server.folder / "dnsmasq.conf").read_text()
        server.apply(1, doc(1, pool=("sn1", "sn2")))
    offers = client.offers(mac(1), 5, 2)
    assert {one.server for one in offers} == {"10.99.0.1", "10.99.0.2"}
    said = client.taken(mac(1), offers[0])
    assert [(one.kind, one.server) for one in said] == [(ACK, offers[0].server)]


def test_a_dynamic_range_is_served_when_its_server_is_dead(make: Make, client: Client) -> None:
    told = replace(NET, ranges=(("10.99.9.1", "10.99.9.4"),), servers=("sn1", "sn2"))
    servers = [make("sn1", 1, told), make("sn2", 2, told)]
    for server in servers:
        server.apply(1, doc(1, pool=("sn1", "sn2")))
    first = client.lease(mac(50))
    assert (first.server, first.ip in {"10.99.9.1", "10.99.9.2"}) == ("10.99.0.1", True)
    servers[0].stop()
    assert {client.lease(mac(50)).ip, client.lease(mac(51)).ip} == {"10.99.9.3", "10.99.9.4"}
    assert client.lease(mac(1)).ip == "10.99.1.1"


def test_a_bond_shares_its_address_and_an_interface_may_get_none(make: Make, client: Client) -> None:
    told = replace(NET, ranges=(("10.99.9.1", "10.99.9.6"),), servers=("sn1",))
    hosts = (
        DhcpHost(mac(1), "10.99.1.1", "n1"),
        DhcpHost(mac(2), "10.99.1.1", "n1-b"),
        DhcpHost(mac(3), "", ""),
    )
    make("sn1", told=told).apply(1, DhcpDoc("n1", hosts, "xnba"))
    assert client.lease(mac(1)).ip == client.lease(mac(2)).ip == "10.99.1.1"
    assert client.offers(mac(3)) == []
    assert client.offer(mac(4)).ip.startswith("10.99.9.")


def test_nobody_says_no_to_a_client_of_another(make: Make, client: Client) -> None:
    servers = [make("sn1", 1), make("sn2", 2)]
    for server in servers:
        server.apply(1, doc(1, pool=("sn1", "sn2")))
    offer = client.offer(mac(1))
    assert offer.server == "10.99.0.1"
    said = client.taken(mac(1), offer)
    assert [(one.kind, one.server) for one in said] == [(ACK, "10.99.0.1")]
