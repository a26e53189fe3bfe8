"""Real daemons of a service node, each made what the tables say: on, unchanged, changed, off, and refused."""

import http.client
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from services_rig import Sn, in_own_network, service_node, wire

from core.errors import RequestError
from core.netdoc import NetDoc, NetworksDoc
from core.services.wanted import Service
from db import snservices
from db.engine import reading
from drivers.services import forwarding
from drivers.services.daemon import Daemon
from drivers.services.ports import listeners
from drivers.services.runner import session
from drivers.services.upkeep import write
from routing.monitoring import IDLE_S, turn
from routing.services import revive, set_up


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
def test_tftp_and_dns_are_one_daemon_and_dhcp_another(sn: Sn) -> None:
    wire("eth1", "10.7.0.1/24")
    sn.tables({}, dhcpserver="1", tftpserver="1", nameserver="2")
    told = sn.told()
    assert told["tftpserver"] == told["nameserver"] == ("ok", "dnsmasq started")
    assert told["dhcpserver"][0] == "failed"
    assert "makedhcp -n" in told["dhcpserver"][1]

    sn.networks(NETWORKS)
    told = sn.told()
    assert told.pop("dhcpserver") == ("ok", "dnsmasq-dhcp started")
    assert told == dict.fromkeys(("tftpserver", "nameserver"), ("ok", "dnsmasq restarted"))
    first = sn.pid("dnsmasq"), sn.pid("dnsmasq-dhcp")
    assert [said.split()[1] for _, said in sn.told().values()] == ["unchanged"] * 3
    assert (sn.pid("dnsmasq"), sn.pid("dnsmasq-dhcp")) == first

    sn.tables({}, tftpserver="1")
    told = sn.told()
    assert (told["tftpserver"], told["dhcpserver"][0]) == (("ok", "dnsmasq restarted"), "off")
    assert sn.pid("dnsmasq-dhcp") == 0
    sn.tables({}, tftpserver="0")
    assert {state for state, _ in sn.told().values()} == {"off"}
    assert sn.pid("dnsmasq") == 0


@in_own_network
def test_a_proxy_stands_where_the_dhcp_server_stood(sn: Sn) -> None:
    wire("eth1", "10.7.0.1/24")
    sn.networks(NETWORKS)
    sn.tables({}, dhcpserver="1", proxydhcp="1")
    told = sn.told()
    assert told["dhcpserver"] == ("ok", "dnsmasq-dhcp started")
    assert (told["proxydhcp"][0], "set setupproxydhcp=0" in told["proxydhcp"][1]) == ("failed", True)
    sn.tables({}, proxydhcp="yes")
    assert sn.told()["proxydhcp"] == ("ok", "dnsmasq-dhcp restarted")
    assert sn.told()["proxydhcp"] == ("ok", "dnsmasq-dhcp unchanged")
    sn.tables({}, proxydhcp="no")
    assert (sn.told()["proxydhcp"][0], sn.pid("dnsmasq-dhcp")) == ("off", 0)


@in_own_network
def test_conserver_has_the_consoles_of_its_nodes(sn: Sn) -> None:
    sn.tables({"consoleondemand": "yes"}, conserver="1")
    assert "no node has its console here" in sn.told()["conserver"][1]
    sn.node("n1", "nodehm", cons="ipmi", conserver="sn1.cluster.net")
    sn.node("n2", "nodehm", cons="ipmi", conserver="sn2")
    sn.node('n3 { exec "id"; }', "nodehm", cons="ipmi", conserver="sn1")
    assert sn.told() == {"conserver": ("ok", "conserver started")}
    first = sn.pid("conserver")
    file = sn.home.path / "services" / "sn1" / "conserver" / "conserver.cf"
    assert [line for line in file.read_text().splitlines() if line.startswith("console")] == [
        "console n1 { }"
    ]

    sn.node("n4", "nodehm", serialport="0", conserver="sn1")
    assert sn.told() == {"conserver": ("ok", "conserver told")}
    assert sn.told() == {"conserver": ("ok", "conserver unchanged")}
    assert sn.pid("conserver") == first


@in_own_network
def test_a_stranger_on_the_port_is_named_and_left_alone(sn: Sn) -> None:
    command = [sys.executable, "-m", "http.server", "80", "--bind", "127.0.0.1"]
    stranger = sn.stranger(*command)
    wait_until(lambda: any(pid == stranger.pid for one in listeners() for _, pid in one.processes))
    sn.tables({}, nfsserver="1", ntpserver="1")
    told = sn.told()
    assert told["ntpserver"] == ("ok", "chronyd started")
    state, said = told["nfsserver"]
    assert state == "failed"
    assert f"port 80/tcp is taken by {stranger.args[0].rpartition('/')[2][:6]}" in said
    assert f"(process {stranger.pid}), which Serval did not start" in said
    assert stranger.poll() is None

    sn.tables({}, nfsserver="0")
    assert "nfsserver" in sn.told()  # ganesha ran
    assert stranger.poll() is None


@in_own_network
def test_a_check_changes_nothing(sn: Sn) -> None:
    sn.tables({}, nfsserver="1")
    told = sn.set_up(only_check=True)
    assert "does not run; mend: serval services" in told["nfsserver"].sentence
    assert not sn.pid("nginx")
    assert not sn.path("/tftpboot").exists()

    sn.set_up()
    assert [one.state for one in sn.set_up(only_check=True).values()] == ["ok"]
    sn.tables({"httpport": "8081"}, nfsserver="1")
    told = sn.set_up(only_check=True)
    assert "is not what the tables say" in told["nfsserver"].sentence
    sn.tables({}, nfsserver="0")
    assert "still runs" in sn.set_up(only_check=True)["nfsserver"].sentence
    assert sn.pid("nginx")


@in_own_network
def test_what_dies_is_started_again_and_a_reused_process_id_is_nobody_of_ours(sn: Sn) -> None:
    sn.tables({}, ntpserver="1")
    sn.set_up()
    first = sn.pid("chronyd")
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not sn.pid("chronyd"))
    assert revive(sn.home) == ["chronyd"]
    assert sn.pid("chronyd") not in (0, first)

    record = sn.runner.records.read("chronyd")
    assert record
    sn.runner.records.write("chronyd", replace(record, pid=os.getpid()))
    assert not sn.pid("chronyd")
    sn.runner.stop("chronyd")  # ends nobody: least of all this process
    with suppress(ProcessLookupError):
        os.killpg(record.pid, signal.SIGKILL)


@in_own_network
def test_what_a_killed_daemon_leaves_behind_is_ended_too(sn: Sn) -> None:
    """nginx's workers go on without their master, and hold its port."""
    sn.tables({}, nfsserver="1")
    sn.set_up()
    record = sn.runner.records.read("nginx")
    assert record
    workers = set(session(record)) - {record.pid}
    assert workers
    os.kill(record.pid, signal.SIGKILL)
    wait_until(lambda: not sn.pid("nginx"))
    assert workers <= set(session(record))
    assert sn.told()["nfsserver"] == ("ok", "nginx started; ganesha unchanged")
    assert not session(record)


@in_own_network
def test_a_configuration_that_the_program_refuses_is_taken_back(sn: Sn) -> None:
    sn.tables({"ntpservers": "10.1.1.1"}, ntpserver="1")
    sn.set_up()
    file = sn.home.path / "services" / "sn1" / "chrony" / "chrony.conf"
    before, pid = file.read_text(), sn.pid("chronyd")
    sn.tables({"ntpservers": "host..name"}, ntpserver="1")  # a name that chrony takes, and nobody has
    assert sn.told()["ntpserver"][0] == "ok"
    described = Daemon(
        "chronyd", "chrony", ("chronyd",), {file: "nonsense"}, test=("chronyd", "-p", "-f", str(file))
    )
    pid, before = sn.pid("chronyd"), file.read_text()
    with pytest.raises(RequestError, match="refuses its new configuration, the old one stays"):
        write(described)
    assert (file.read_text(), sn.pid("chronyd")) == (before, pid)


@in_own_network
def test_the_web_server_gives_files_whole_or_in_parts_and_nothing_else(sn: Sn) -> None:
    sn.tables({}, nfsserver="1")
    install = sn.path("/install")
    install.mkdir(parents=True)
    (install / "kernel").write_bytes(bytes(range(256)) * 1000)
    (install / "alias").symlink_to("kernel")
    secret = sn.home.root / "secret"
    secret.write_text("not for nodes")
    os.chown(secret, 65534, 65534)
    (install / "way-out").symlink_to(secret)
    assert sn.told()["nfsserver"][0] == "ok"

    assert get("/install/kernel", Range="bytes=256-257")[:2] == (206, b"\0\1")
    assert get("/install/alias")[1] == (install / "kernel").read_bytes()
    assert get("/install/way-out")[0] == 403
    assert get("/install/")[0] == 403
    assert get("/")[0] == 404
    assert get("/install../secret")[0] == 404
    assert get("/install/%2e%2e/secret")[0] == 404
    assert get("/install/kernel", method="DELETE")[0] == 403


@in_own_network
def test_ldap_runs_with_the_hosts_own_directory(sn: Sn) -> None:
    sn.tables({}, ldapserver="1")
    state, said = sn.told()["ldapserver"]
    assert (state, "dpkg-reconfigure slapd" in said) == ("failed", True)

    directory = sn.path("/etc/ldap/slapd.d")
    directory.mkdir(parents=True)
    shutil.copytree("/etc/ldap/slapd.d", directory, dirs_exist_ok=True)
    for path in (directory, *directory.rglob("*")):
        shutil.chown(path, "openldap", "openldap")
    assert sn.told() == {"ldapserver": ("ok", "slapd started")}
    assert sn.told() == {"ldapserver": ("ok", "slapd unchanged")}
    sn.tables({}, ldapserver="no")
    assert sn.told() == {"ldapserver": ("off", "slapd stopped")}


@in_own_network
def test_forwarding_is_switched_off_only_by_who_switched_it_on(sn: Sn) -> None:
    forwarding.SWITCH.write_text("1")
    sn.tables({}, ipforward="0")
    assert sn.told() == {}
    assert forwarding.SWITCH.read_text() == "1\n"

    forwarding.SWITCH.write_text("0")
    sn.tables({}, ipforward="yes")
    assert sn.told() == {"ipforward": ("ok", "switched on")}
    assert sn.told() == {"ipforward": ("ok", "unchanged")}
    sn.tables({})
    assert sn.told() == {"ipforward": ("off", "switched off")}
    assert forwarding.SWITCH.read_text() == "0\n"


@in_own_network
def test_what_cannot_be_had_is_said_and_the_others_go_on(sn: Sn) -> None:
    site = {"installloc": "/install", "httpport": "80; include /etc/shadow"}
    sn.tables(site, nimserver="1", tftpserver="maybe", nfsserver="1", ntpserver="1")
    told = sn.told()
    assert told["ntpserver"] == ("ok", "chronyd started")
    assert told["installloc"][0] == "failed"
    assert "site.httpport" in told["nfsserver"][1]
    assert "AIX" in told["nimserver"][1]
    assert told["tftpserver"] == ("failed", "servicenode.tftpserver is 'maybe'; it must be 1 or 0")
    with reading(sn.engine) as connection:
        rows = {one.service: one.state for one in snservices.known(connection)["sn1"]}
    assert rows == {name: state for name, (state, _) in told.items()}


@in_own_network
def test_a_mount_that_this_kernel_cannot_make_is_said(sn: Sn) -> None:
    sn.tables({"installloc": "10.0.0.9:/install"}, ntpserver="1")
    state, said = sn.told()["installloc"]
    assert state == "failed"
    assert "10.0.0.9:/install" in said


def get(path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    """Status and body of an answer of this host's web server."""
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=5)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@in_own_network
def test_a_monitoring_service_node_records_who_answers(sn: Sn) -> None:
    sn.tables({}, monserver="1")
    for name, address in (
        ("n1", "127.0.0.21"),
        ("n2", "127.0.0.22"),
        ("n3", "10.99.0.1"),
        ("n4", "10.99.0.2"),
    ):
        sn.node(name, "noderes", monserver="sn1,sn1-c")
        sn.row("hosts", node=name, ip=address)
    sn.node("n5", "noderes", monserver="sn2")
    sn.statuses(n1="unreachable", n2="netbooting", n3="booted", n4="installing", n5="booted")
    sn.row("monsetting", name="xcatmon", key="ping-interval", value="5")
    assert sn.told() == {"monserver": ("ok", "looks at 4 nodes")}
    assert turn(sn.home, sn.engine) == 300
    assert sn.statuses() == {
        "n1": "alive",
        "n2": "netbooting",
        "n3": "unreachable",
        "n4": "installing",
        "n5": "booted",
    }
    sn.tables({})
    assert turn(sn.home, sn.engine) == IDLE_S


@in_own_network
def test_makentp_sets_the_management_node_up_whose_row_says_nothing(sn: Sn) -> None:
    sn.home = replace(sn.home, mn="sn1")
    sn.tables({"extntpservers": "10.1.1.1"})
    only = {Service.NTP}
    assert [one.sentence for one in set_up(sn.home, sn.engine, only=only, forced=only)] == ["chronyd started"]
    assert sn.told() == {}
    assert sn.pid("chronyd")
    sn.tables({}, ntpserver="0")
    assert sn.told() == {"ntpserver": ("off", "chronyd stopped")}
