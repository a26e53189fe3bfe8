"""`serval check` on a real database: commands break a site, one way after the other, and mend it."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Shell

from core.checks import CHECKS
from core.lease import Lease
from core.release import RELEASE
from db import members
from db.engine import open_engine, writing
from drivers import leases

#: As docs/how-to/define-a-hierarchy.md has it, with addresses for everybody.
HEALTHY = r"""
mkdef mn1 groups=all ip=10.1.0.1
mkdef sn[1-2] groups=service,all
mkdef n[1-4] groups=compute,all
chdef -t group service mgt=ipmi setupnfs=1 servicenode=mn1 xcatmaster=mn1 'ip=|sn(\d+)|10.1.0.(10+$1)|' 'bmc=|\D+(\d+)|10.9.0.($1)|'
chdef -t group compute mgt=ipmi servicenode=sn1,sn2 conserver=sn1 monserver=sn1 'ip=|n(\d+)|10.1.1.($1)|' 'bmc=|n(\d+)|10.9.1.($1)|'
chdef -t site clustersite master=10.1.0.1 sharedtftp=0
mkdef -t network a net=10.1.0.0 mask=255.255.0.0 dhcpserver=sn1 dynamicrange=10.1.9.1-10.1.9.9
"""  # noqa: E501
#: How to break it, the check that sees it, how to mend it.
WAYS = [
    ("chdef -t site clustersite master=", "the_master_is_named", "chdef -t site clustersite master=10.1.0.1"),
    ("mkdef n9 groups=all ip=10.1.1.9", "nodes_have_hardware_control", "rmdef n9"),
    ("chdef n1,n2 mac=02:00:00:00:00:01", "mac_addresses_are_unique", "chdef n1,n2 mac="),
    ("chdef n2 ip=10.1.1.1", "ip_addresses_are_unique", "chdef n2 ip="),
    ("chdef n2 bmc=10.9.1.1", "bmcs_are_unique", "chdef n2 bmc="),
    (
        "chtab groupname=g nodegroup.membergroups=g",
        "groups_do_not_hold_themselves",
        "chtab groupname=g nodegroup.membergroups=",
    ),
    ("nodegrpch compute 'vpd.serial=|n(|x|'", "regex_values_can_be_read", "nodegrpch compute vpd.serial="),
    (
        r"nodegrpch compute 'vpd.serial=|node(\d+)|S($1)|'",
        "regex_values_apply",
        "nodegrpch compute vpd.serial=",
    ),
    (r"nodech n3 'vpd.uuid=|node(\d+)|S($1)|'", "regex_values_apply", "nodech n3 vpd.uuid="),
    ("nodech n1 'chain.currstate=install x'", "booted_osimages_exist", "nodech n1 chain.currstate="),
    ("chdef n1 servicenode=sn1,sn9", "pool_members_are_nodes", "chdef n1 servicenode="),
    ("chdef n1 servicenode=sn1,n2", "pool_members_are_service_nodes", "chdef n1 servicenode="),
    ("chdef sn2 servicenode=sn1", "service_nodes_belong_to_the_mn", "chdef sn2 servicenode="),
    ("nodech n1 noderes.nfsserver=sn1", "servers_are_blank_with_pools", "nodech n1 noderes.nfsserver="),
    ("chdef -t site sharedtftp=", "sharedtftp_is_off_with_pools", "chdef -t site sharedtftp=0"),
    (
        "nodegrpch compute nodehm.conserver=",
        "consoles_are_named_with_pools",
        "nodegrpch compute nodehm.conserver=sn1",
    ),
    (
        "chdef -t network a nameservers=10.1.0.1",
        "networks_leave_servers_to_pools",
        "chdef -t network a nameservers=",
    ),
    ("chdef -t network a dhcpserver=", "dynamic_ranges_have_a_server", "chdef -t network a dhcpserver=sn1"),
    ("chdef -t network a dhcpserver=n1", "dhcp_servers_are_one_member", "chdef -t network a dhcpserver=sn1"),
    ("chdef n4 ip=10.77.0.4", "nodes_share_a_network_with_a_server", "chdef n4 ip="),
]
FAR = "service_nodes_share_a_network_with_the_mn"


@pytest.fixture
def shell(home_env: dict[str, str], redis_url: str, tmp_path: Path) -> Shell:
    """A healthy site, and nobody alive in Redis."""
    with leases.connect(redis_url) as client:
        client.flushall()
    made = Shell({**home_env, "SERVAL_BROKER": redis_url}, tmp_path)
    for line in HEALTHY.strip().splitlines():
        made.ok(line)
    return made


@pytest.fixture
def beating(shell: Shell, redis_url: str) -> Iterator[dict[str, Lease]]:
    """The members that beat: joined, and healthy unless a test puts another lease in their place."""
    told = {name: Lease(name=name, beat=0, boot="b", release=RELEASE) for name in ("mn1", "sn1", "sn2")}
    engine = open_engine(shell.env["SERVAL_DATABASE"])
    with writing(engine) as connection:
        for name in told:
            members.join(connection, name, f"key of {name}", 1.0)
    stop = threading.Event()

    def beat() -> None:
        with leases.connect(redis_url) as client:
            number = 0
            while not stop.wait(0.1):
                number += 1
                for name, lease in told.items():
                    ahead = lease.at
                    leases.publish(client, replaced(lease, name, number, time.time() + ahead))

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    yield told
    stop.set()
    thread.join(timeout=5)


def replaced(lease: Lease, name: str, beat: int, at: float) -> Lease:
    """The lease as it is published: `at` of the test's own is how far its clock is ahead."""
    return Lease(name=name, beat=beat, boot=lease.boot, release=lease.release, at=at)


def found(shell: Shell, words: str = "--tables") -> dict[str, dict[str, str]]:
    """The findings by their checks; the exit status must be that of their levels."""
    answer = shell.run(f"serval check --json {words}")
    lines = [json.loads(line) for line in answer.out.splitlines()]
    assert answer.err == ""
    assert answer.status == int(any(line["level"] == "error" for line in lines))
    return {line["check"]: line for line in lines}


def test_every_way_to_break_the_tables_is_seen_and_can_be_mended(shell: Shell) -> None:
    assert shell.ok("serval check --tables") == "nothing to mend\n"
    for breaks, check, mends in WAYS:
        shell.run(breaks)
        seen = found(shell)
        assert check in seen, (breaks, seen)
        assert seen[check]["mend"], breaks
        shell.run(mends)
        assert found(shell) == {}, mends


def test_a_service_node_far_from_the_mn(shell: Shell) -> None:
    shell.ok("chdef sn2 ip=203.0.113.12")
    assert found(shell)[FAR]["about"] == "sn2"


def test_commands_that_mend_do_mend(shell: Shell) -> None:
    shell.run("nodech n[1-3] noderes.xcatmaster=sn1 noderes.tftpserver=sn1")
    shell.ok("chdef -t site clustersite master= sharedtftp=1")
    shell.ok("chdef sn1 servicenode=sn2")
    shell.ok("chdef -t network a nameservers=1.2.3.4")
    answer = shell.run("serval check --tables")
    assert answer.status == 1
    assert "error: n[1-3]: xcatmaster must be blank" in answer.out
    for line in answer.out.splitlines():
        if line.startswith("  mend: "):
            shell.run(line.removeprefix("  mend: ").partition("#")[0])
    assert shell.run("serval check --tables").out == "nothing to mend\n"


def test_names_and_leases(shell: Shell, beating: dict[str, Lease]) -> None:
    assert shell.run("serval check").out == "nothing to mend\n"
    shell.run("chdef n1 bmc=bmc1.invalid")
    shell.run("nodech n1 noderes.monserver=monitor.invalid")
    beating["sn1"] = Lease(name="sn1", beat=0, boot="b", release="0.0.9", at=3600.0)
    del beating["sn2"]
    shell.ok("serval sn forget sn1")
    time.sleep(0.3)
    seen = found(shell, "")
    assert seen["releases_are_the_same"]["about"] == "sn1"
    assert "3600 s ahead" in seen["clocks_agree"]["sentence"]
    assert seen["members_have_joined"]["about"] == "sn1"
    assert seen["members_are_live"]["about"] == "sn2"
    late = "names_are_looked_up_in_time"  # a name server that does not answer is no failure of ours
    assert "bmc_names_resolve" in seen or late in seen
    assert "server_names_resolve" in seen or late in seen


def test_without_redis_the_rest_is_checked(shell: Shell) -> None:
    shell.ok("chdef -t site clustersite master=")
    deaf = Shell({**shell.env, "SERVAL_BROKER": "redis://:secret@127.0.0.1:1/0"}, shell.cwd)
    seen = found(deaf, "")
    assert set(seen) == {"leases_can_be_read", "the_master_is_named"}
    assert "secret" not in str(seen)


def test_an_empty_site_and_wrong_words(home_env: dict[str, str], tmp_path: Path) -> None:
    shell = Shell(home_env, tmp_path)
    assert set(found(shell)) == {"the_master_is_named"}
    assert shell.run("serval check nosuch").status == 1


def test_hostile_values_are_quoted(shell: Shell) -> None:
    shell.run("chtab node=n1 'noderes.servicenode=sn1,x;rm \x1b[2J$(id)'")
    answer = shell.run("serval check --tables")
    assert "\x1b" not in answer.out
    assert "mkdef 'x;rm \\x1b[2J$(id)' " in answer.out


def test_passwords_are_not_read(shell: Shell) -> None:
    shell.ok("nodegrpch compute 'ipmi.password=|n(|hidden|' 'switches.sshpassword=|n(|hidden|'")
    assert shell.ok("serval check --tables") == "nothing to mend\n"


def test_every_check_has_its_way() -> None:
    ways = {check for _, check, _ in WAYS} | {FAR}
    others = {check.__name__ for check in CHECKS} - ways
    assert others == {
        "nodes_have_addresses",
        "bmc_names_resolve",
        "server_names_resolve",
        "names_are_looked_up_in_time",
        "leases_can_be_read",
        "members_are_live",
        "members_are_drained",
        "members_have_joined",
        "releases_are_the_same",
        "clocks_agree",
    }
