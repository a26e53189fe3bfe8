"""makedhcp and makedns: what they write for whom, what they refuse, and what service nodes make of it."""

from pathlib import Path

import pytest
from commands import Shell

from core import netdoc
from core.dhcpdoc import DhcpDoc, from_text
from core.netdoc import SELF, NetworksDoc
from core.wanted import Kind
from db import jobs, wanted
from db.engine import open_engine, reading
from db.home import open_home
from drivers import leases
from drivers.services import redis as embedded

CLUSTER = """\
mkdef -t node -o sn1,sn2,sn3 groups=service setupdhcp=1
chdef sn1 ip=10.0.0.11 setupnameserver=2
chdef sn2 ip=10.0.0.12 setupnameserver=1
mkdef -t node -o n[1-3] groups=compute netboot=xnba servicenode=sn1,sn2
chdef -t group compute 'ip=|n(\\d+)|10.0.1.($1)|' 'mac=|n(\\d+)|52:54:00:00:00:0($1)|'
mkdef -t network prov net=10.0.0.0 mask=255.255.0.0 gateway=<xcatmaster> dynamicrange=10.0.9.1-10.0.9.9
chdef -t network prov dhcpserver=sn2
chdef -t site domain=c.net
"""


@pytest.fixture
def shell(home_env: dict[str, str], redis: embedded.RunningRedis, tmp_path: Path) -> Shell:
    """A pool of two with three nodes, and one more DHCP server."""
    with leases.connect(redis.url) as client:
        client.flushall()
    made = Shell({**home_env, "SERVAL_BROKER": redis.url, "SERVAL_ROOT": str(tmp_path / "root")}, tmp_path)
    for line in CLUSTER.splitlines():
        made.ok(line)
    return made


def members(shell: Shell, node: str) -> tuple[str, ...]:
    """Who shall have a node's record."""
    with reading(open_engine(open_home(shell.env).database)) as connection:
        return wanted.members_of(connection, Kind.DHCP, [node]).get(node, ())


def document(shell: Shell, node: str) -> DhcpDoc | None:
    """A node's record."""
    with reading(open_engine(open_home(shell.env).database)) as connection:
        text = wanted.documents(connection, Kind.DHCP, [node]).get(node)
    return from_text(text) if text else None


def service(shell: Shell, name: str) -> str:
    """A document of the services."""
    with reading(open_engine(open_home(shell.env).database)) as connection:
        return wanted.documents(connection, Kind.SERVICE, [name]).get(name, "")


def job(shell: Shell, line: str) -> tuple[dict[str, str], dict[str, str]]:
    """What the job of a command waits for, by node, and what ended at once."""
    answer = shell.run(f"{line} --no-wait")
    number = int(answer.out.split()[-1])
    with reading(open_engine(open_home(shell.env).database)) as connection:
        found = jobs.results(connection, number)
        size = jobs.info(connection, number)
    assert size is not None
    return {"size": str(size.size)}, {one.node: one.text for one in found}


def test_a_record_goes_to_the_pool_and_to_who_must_know_it(shell: Shell) -> None:
    shell.ok("makedhcp n1 --no-wait")
    assert members(shell, "n1") == ("sn1", "sn2", "sn3")
    found = document(shell, "n1")
    assert found is not None
    assert (found.hosts[0].ip, found.hosts[0].mac, found.loader) == ("10.0.1.1", "52:54:00:00:00:01", "xnba")
    assert found.pool == ("sn1", "sn2")
    shell.ok("chdef -t site disjointdhcps=1")
    shell.ok("makedhcp n1 --no-wait")
    assert members(shell, "n1") == ("sn1", "sn2")
    shell.ok("chdef -t network prov dhcpserver=sn3")
    shell.ok("makedhcp n1 --no-wait")
    assert members(shell, "n1") == ("sn1", "sn2", "sn3")


def test_a_proxy_answers_only_who_says_yes(shell: Shell) -> None:
    shell.ok("chdef sn1,sn2,sn3 setupdhcp=0 setupproxydhcp=1")
    shell.ok("chdef n1 supportproxydhcp=yes")
    _, bad = job(shell, "makedhcp n1,n2")
    assert set(bad) == {"n2"}
    assert "setupproxydhcp=1 with supportproxydhcp=yes" in bad["n2"]
    found = document(shell, "n1")
    assert found is not None
    assert (found.proxy, found.pool, members(shell, "n1")) == (True, ("sn1", "sn2"), ("sn1", "sn2"))
    shell.ok("chdef n1 supportproxydhcp=0")
    _, bad = job(shell, "makedhcp n1")
    assert set(bad) == {"n1"}


def test_records_are_shown_and_taken_away(shell: Shell) -> None:
    shell.ok("makedhcp -a --no-wait")
    assert shell.ok("makedhcp -q n1") == "n1: ip-address = 10.0.1.1, hardware-address = 52:54:00:00:00:01\n"
    assert len(shell.ok("makedhcp -q -a").splitlines()) == 3
    shell.ok("makedhcp -d n1 --no-wait")
    answer = shell.run("makedhcp -q n1,n2")
    assert (answer.status, answer.err) == (1, "n1: Error: no DHCP record; makedhcp n1 makes one\n")
    shell.ok("noderm n2")
    shell.ok("makedhcp -a --no-wait")
    assert document(shell, "n2") is None
    assert document(shell, "n1") is not None


def test_each_bad_node_is_named_and_the_others_go_on(shell: Shell) -> None:
    shell.ok("mkdef bare groups=all")
    shell.ok("chdef n2 mac=52:54:00:00:00:01")
    shell.ok("mkdef alone groups=all ip=10.0.1.9 mac=52:54:00:00:00:09 servicenode=sn4")
    shell.ok("mkdef -t node sn4 groups=service setuptftp=1")
    _, bad = job(shell, "makedhcp n1,n2,n3,bare,alone")
    assert set(bad) == {"n1", "n2", "bare", "alone"}
    assert "n[1-2] have the same MAC address" in bad["n1"]
    assert "No MAC address available for bare" in bad["bare"]
    assert "none of its service nodes sn4 serves DHCP: chdef sn4 setupdhcp=1" in bad["alone"]
    assert document(shell, "n3") is not None


def test_what_servers_must_know_of_the_networks(shell: Shell) -> None:
    shell.ok(
        "chdef -t site dhcpinterfaces='service|eth1,eth2:noboot;sn3|eth3' forwarders=9.9.9.9 dhcpreplydelay=0"
    )
    shell.ok("makedhcp -n --no-wait")
    told = netdoc.from_text(service(shell, "networks"))
    assert isinstance(told, NetworksDoc)
    (net,) = told.networks
    assert (net.net, net.gateway, net.nameservers, net.domain) == ("10.0.0.0/16", SELF, (SELF,), "c.net")
    assert (net.ranges, net.servers) == ((("10.0.9.1", "10.0.9.9"),), ("sn2", "sn1"))
    assert told.interfaces == {"sn1": "eth1,eth2:noboot", "sn2": "eth1,eth2:noboot", "sn3": "eth3"}
    assert (told.forwarders, told.reply_delay_s) == (("9.9.9.9",), 0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("chtab netname=prov networks.dynamicrange=10.9.0.1-10.9.0.9", "networks.dynamicrange of prov"),
        ("chtab netname=prov networks.domain=a,b", "networks.domain of prov: 'a,b' cannot be used"),
        (
            "chtab netname=prov networks.gateway='10.0.0.1,dhcp-boot=x'",
            "networks.gateway of prov: 'dhcp-boot=x' is",
        ),
        ("chtab netname=prov networks.mtu=big", "networks.mtu of prov: 'big' is no MTU"),
        ("chdef -t site dhcpinterfaces='service|eth 1'", "dhcpinterfaces of sn1: 'eth 1' is no interface"),
        ("chdef -t site dhcplease=soon", "site.dhcplease is 'soon'"),
        ("chdef -t site dhcpreplydelay=1.5", "site.dhcpreplydelay is '1.5'; it must be a whole number"),
        ("chdef -t site dhcpreplydelay=60", "from 0 to 10. Set it with"),
    ],
)
def test_a_value_that_no_server_can_use_is_named(shell: Shell, line: str, said: str) -> None:
    shell.ok(line)
    answer = shell.run("makedhcp -n --no-wait")
    assert (answer.status, said in answer.err) == (1, True), answer
    assert service(shell, "networks") == ""


def test_words_that_do_not_go_together(shell: Shell) -> None:
    for line, said in (
        ("makedhcp", "needs nodes"),
        ("makedhcp -n n1", "takes no nodes"),
        ("makedhcp n1 -s x", "ISC's dhcpd"),
        ("makedns -e", "leave -e out"),
        ("makedns -d", "needs the nodes"),
    ):
        answer = shell.run(line)
        assert (answer.status, said in answer.err) == (1, True), answer


def test_names_are_written_for_those_who_hold_records(shell: Shell) -> None:
    shell.ok("makedns -n --no-wait")
    assert "10.0.1.1 n1.c.net n1 # node n1\n" in service(shell, "names")
    shell.ok("chdef n1 ip=10.0.1.77")
    shell.ok("makedns n1 --no-wait")
    assert "10.0.1.77 n1.c.net n1 " in service(shell, "names")
    shell.ok("makedns -d n1 --no-wait")
    assert " n1" not in service(shell, "names")
    assert "10.0.1.2 n2.c.net n2 " in service(shell, "names")
    shell.ok("mkdef lost groups=all")
    answer = shell.run("makedns n2,lost --no-wait")
    assert (answer.status, "lost: hosts.ip is not set" in answer.err) == (1, True)
