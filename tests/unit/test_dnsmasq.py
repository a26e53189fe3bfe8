"""dnsmasq's configuration and records of nodes: shares of ranges, hostile values, what is written when."""

import json
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.dhcpdoc import DhcpDoc, DhcpHost
from core.dhcpplan import interfaces, piece, plan, share
from core.errors import DefinitionError, RequestError
from core.netdoc import SELF, NetDoc, NetworksDoc, from_text
from core.netrows import net_doc
from core.wanted import Change
from drivers.services.dnsmasq import HOSTS, MORE_HOSTS, OPTIONS, Dns, DnsmasqSettings, prepare, render_dnsmasq
from drivers.services.dnsmasqhosts import MOST_FILES, DhcpKeeper, records

ETH1 = ("eth1", IPv4Network("10.0.0.0/16"))
NET = NetDoc(
    "a", "10.0.0.0/16", gateway=SELF, ranges=(("10.0.9.1", "10.0.9.10"),), servers=("sn1", "sn2", "sn3")
)


@given(st.integers(0, 2**32 - 70_000), st.integers(1, 60_000), st.integers(1, 9))
def test_pieces_of_a_range_are_the_range_and_never_overlap(first: int, size: int, parts: int) -> None:
    ends = IPv4Address(first), IPv4Address(first + size - 1)
    cut = [one for place in range(parts) if (one := piece(*ends, place, parts))]
    assert sum(int(last) - int(start) + 1 for start, last in cut) == size
    for (_, last), (start, _) in pairwise(cut):
        assert start == last + 1
    assert (cut[0][0], cut[-1][1]) == ends


def test_only_its_servers_share_a_range() -> None:
    shares = [share(NET, name) for name in ("sn1", "sn2.c.net", "SN3", "sn4")]
    assert [[(str(first), str(last)) for first, last in one] for one in shares] == [
        [("10.0.9.1", "10.0.9.3")],
        [("10.0.9.4", "10.0.9.6")],
        [("10.0.9.7", "10.0.9.10")],
        [],
    ]


def test_a_server_serves_the_networks_it_is_on_and_those_behind_relays() -> None:
    far = NetDoc("b", "10.7.0.0/16", remote="eth1", gateway="10.7.0.1")
    doc = NetworksDoc(
        (NET, far, NetDoc("c", "10.8.0.0/16")), interfaces={"sn2": "eth2", "sn3": "eth1:noboot"}
    )
    found = plan(doc, "sn1", [("eth0", IPv4Network("192.0.2.0/24")), ETH1])
    assert (found.interfaces, [one.told.name for one in found.subnets]) == (("eth1",), ["a", "b"])
    assert (found.no_boot, found.place) == (frozenset(), 0)
    assert plan(doc, "sn2", [ETH1]).subnets == ()
    assert plan(doc, "sn3", [ETH1]).no_boot == {"eth1"}
    assert plan(doc, "sn3", [ETH1]).place == 2


@pytest.mark.parametrize("text", ["eth 1", "eth1:boot", "a" * 16, "eth1\nuser=x", "!remote!eth1"])
def test_what_is_no_interface_is_refused(text: str) -> None:
    with pytest.raises(DefinitionError, match="dhcpinterfaces of sn1"):
        interfaces(text, "sn1")


HOSTILE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["10.0.0.1,x", "10.0.0.1\nuser=root", "c.net#", 'c"net', "a,b", "<xcatmaster>", "c.net/x"]
    ),
)
COLUMNS = ("mask", "net", "mgtifname", "gateway", "nameservers", "ntpservers", "logservers", "domain", "mtu")


@given(st.dictionaries(st.sampled_from([*COLUMNS, "dynamicrange"]), HOSTILE, max_size=4), HOSTILE)
def test_no_value_of_the_tables_breaks_the_file(row: dict[str, str], domain: str) -> None:
    whole = {"net": "10.0.0.0", "mask": "255.255.0.0", **row}
    try:
        net = net_doc("prov", whole, {"domain": domain}, {}, ["sn1"])
    except DefinitionError as error:
        assert "prov" in error.message or "site." in error.message
        assert "\n" not in error.message
        return
    doc = NetworksDoc((net,), domain=net.domain)
    assert from_text(doc.to_text()) == doc
    text = render(doc)
    known = render(NetworksDoc((NetDoc("prov", "10.0.0.0/16"),)))
    extra = bool(net.domain) + bool(net.mtu) + bool(net.ntpservers) + bool(net.logservers)
    assert text.count("\n") <= known.count("\n") + extra + max(len(net.ranges) - 1, 0)
    assert {line.partition("=")[0] for line in text.splitlines()[1:]} <= KEYWORDS


def render(doc: NetworksDoc) -> str:
    told = plan(doc, "sn1", [("eth1", IPv4Network(doc.networks[0].net))])
    names = Dns(("c.net",), records=True)
    return render_dnsmasq(DnsmasqSettings(Path("/x"), dhcp=told, tftp_root="/tftpboot", dns=names))


KEYWORDS = {
    line.partition("=")[0] for line in render(NetworksDoc((NetDoc("a", "10.0.0.0/16"),))).splitlines()[1:]
}


@given(st.text(max_size=40))
def test_no_value_of_a_document_breaks_a_record(text: str) -> None:
    for doc in (
        DhcpDoc("n1", (DhcpHost(text, "10.0.0.1", "n1"),)),
        DhcpDoc("n1", (DhcpHost("aa:00:00:00:00:01", text, "n1"),)),
        DhcpDoc(text, (DhcpHost("aa:00:00:00:00:01", "10.0.0.1", text),)),
        DhcpDoc("n1", (DhcpHost("aa:00:00:00:00:01", "10.0.0.1", "n1"),), text, text),
    ):
        try:
            lines = records(doc, "sn1")
        except RequestError:
            continue
        assert len(lines) == 1
        assert lines[0].isprintable()
        assert lines[0].count(",") <= 4


class Disk:
    """A keeper and what it did to dnsmasq."""

    def __init__(self, folder: Path, name: str = "sn1") -> None:
        self.told = 0
        self.released: list[tuple[str, str]] = []
        self.folder = folder
        self.keeper = DhcpKeeper(folder, name, self.tell, self.released.extend)

    def tell(self) -> None:
        self.told += 1

    def lines(self) -> list[str]:
        """What dnsmasq would read at a start."""
        files = [self.folder / HOSTS, *(self.folder / MORE_HOSTS).iterdir()]
        lines = (line for file in files for line in file.read_text().splitlines())
        return sorted(line for line in lines if not line.startswith("#"))


def document(node: str, last: int) -> str:
    return DhcpDoc(node, (DhcpHost(f"aa:00:00:00:00:{last:02x}", f"10.0.0.{last}", node),)).to_text()


NODES = st.sampled_from(["n1", "n2", "n3", "n4"])
CHANGES = st.lists(st.dictionaries(NODES, st.one_of(st.none(), st.integers(1, 9)), max_size=4), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(CHANGES)
def test_files_hold_what_is_wanted_after_any_changes(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[dict[str, int | None]]
) -> None:
    disk = Disk(tmp_path_factory.mktemp("dhcp"))
    expected: dict[str, int] = {}
    for revision, changed in enumerate(rounds, 1):
        before, told = dict(expected), disk.told
        for node, last in changed.items():
            expected.pop(node, None)
            if last is not None:
                expected[node] = last
        wishes = [Change(n, None if last is None else document(n, last)) for n, last in changed.items()]
        assert disk.keeper.apply(wishes, revision) == {}
        assert disk.keeper.revision() == revision
        assert disk.lines() == sorted(
            f"aa:00:00:00:00:{last:02x},10.0.0.{last},{node}" for node, last in expected.items()
        )
        kept = all(expected.get(node) == last for node, last in before.items())
        assert disk.told == told + (0 if kept and revision > 1 else 1)


def test_what_changed_loses_its_lease(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.keeper.apply([Change("n1", document("n1", 1)), Change("n2", document("n2", 2))], 1)
    disk.keeper.apply([Change("n1", document("n1", 7)), Change("n2", None)], 2)
    assert disk.released == [("10.0.0.1", "aa:00:00:00:00:01"), ("10.0.0.2", "aa:00:00:00:00:02")]


def test_many_small_files_become_one(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    for number in range(1, MOST_FILES + 10):
        disk.keeper.apply([Change(f"n{number}", document(f"n{number}", number))], number)
    assert len(list((tmp_path / MORE_HOSTS).iterdir())) < MOST_FILES
    assert len(disk.lines()) == MOST_FILES + 9


def test_a_document_that_cannot_be_read_is_named_and_stays_behind(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    failed = disk.keeper.apply([Change("n1", "{}"), Change("n2", document("n2", 2))], 1)
    assert set(failed) == set(disk.keeper.behind(())) == {"n1"}
    assert len(disk.lines()) == 1
    assert disk.keeper.apply([Change("n1", document("n1", 1))], 1) == {}
    assert disk.keeper.behind(()) == []


def test_files_that_were_lost_are_written_again(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.keeper.apply([Change("n1", document("n1", 1))], 5)
    (tmp_path / HOSTS).unlink()
    prepare(tmp_path)
    assert disk.keeper.revision() == 0
    disk.keeper.apply([Change("n1", document("n1", 1))], 5)
    assert len(disk.lines()) == 1
    assert json.loads((tmp_path / "dhcp.json").read_text())["revision"] == 5


def test_who_is_not_in_the_pool_knows_and_says_nothing() -> None:
    doc = DhcpDoc("n1", (DhcpHost("aa:00:00:00:00:01", "10.0.0.1", "n1"),), "xnba", "", ("sn1", "sn2"))
    assert records(doc, "sn1.c.net") == ["aa:00:00:00:00:01,set:xnba,10.0.0.1,n1"]
    assert records(doc, "sn2") == ["aa:00:00:00:00:01,set:later,set:xnba,10.0.0.1,n1"]
    assert records(doc, "mn1") == ["aa:00:00:00:00:01,ignore"]


def test_a_fixed_server_is_told_once(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    fixed = DhcpDoc("n1", (DhcpHost("aa:00:00:00:00:01", "10.0.0.1", "n1"),), "xnba", "10.0.0.99")
    disk.keeper.apply([Change("n1", fixed.to_text())], 1)
    assert (tmp_path / OPTIONS).read_text() == "tag:at-10.0.0.99,option:server-ip-address,10.0.0.99\n"
