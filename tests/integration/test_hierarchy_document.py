"""Section 2 of the hierarchy guide, line by line: every command runs, and the tables are those it shows."""

import csv
from pathlib import Path

import pytest
from commands import Shell


@pytest.fixture
def shell(home_env: dict[str, str], tmp_path: Path) -> Shell:
    """The administrator of 2.1, whose compute nodes are defined."""
    one = Shell(home_env, tmp_path)
    for line in (
        "mkdef -t node -o blade01 groups=all,ls21,bc01,blade,compute,compute1",
        "mkdef -t node -o blade02 groups=all,ls21,bc01,blade,compute,compute2",
        "mkdef -t node -o swa01 groups=nortel,switch",
        "mkdef -t node -o bca01 groups=mm",
        "chdef -t node -o sn1,sn2 groups=service,ipmi,all",
    ):
        answer = one.run(line)
        assert answer.status == 0, answer
    return one


def rows(shell: Shell, table: str) -> dict[str, dict[str, str]]:
    """A table by its first column, without what is not set."""
    lines = shell.ok(f"tabdump {table}").removeprefix("#").splitlines()
    found = [{key: value for key, value in row.items() if value} for row in csv.DictReader(lines)]
    return {next(iter(row.values())): row for row in found}


def effective(shell: Shell, node: str, attributes: str) -> dict[str, str]:
    """What lsdef -i says of a node."""
    lines = shell.ok(f"lsdef {node} -i {attributes}").splitlines()[1:]
    return dict(line.strip().split("=", 1) for line in lines)


def test_nodelist(shell: Shell) -> None:
    listed = {node: row["groups"] for node, row in rows(shell, "nodelist").items()}
    assert listed["sn1"] == listed["sn2"] == "service,ipmi,all"
    assert listed["blade02"] == "all,ls21,bc01,blade,compute,compute2"


def test_nodetype_of_a_group(shell: Shell) -> None:
    shell.ok("chdef -t group -o service arch=x86_64 os=fedora8 nodetype=osi profile=service")
    shell.ok("chdef -t group -o compute arch=x86_64 os=fedora8 nodetype=osi profile=compute")
    fedora = {"os": "fedora8", "arch": "x86_64", "nodetype": "osi"}
    assert rows(shell, "nodetype") == {
        "service": {"node": "service", "profile": "service", **fedora},
        "compute": {"node": "compute", "profile": "compute", **fedora},
    }
    assert effective(shell, "sn1", "profile,os") == {"profile": "service", "os": "fedora8"}


def test_servicenode_of_a_group_and_of_nodes(shell: Shell) -> None:
    shell.ok("chdef  -t group -o service   setupnfs=1  setupnameserver=1 setuptftp=1")
    assert rows(shell, "servicenode") == {
        "service": {"node": "service", "nameserver": "1", "tftpserver": "1", "nfsserver": "1"}
    }
    shell.ok("chdef -t node -o sn1 setupnfs=1")
    shell.ok("chdef -t node -o sn2 setupnameserver=1")
    assert rows(shell, "servicenode")["sn2"] == {"node": "sn2", "nameserver": "1"}


def test_a_service_that_is_off_makes_a_service_node(shell: Shell) -> None:
    shell.ok("chdef  -t group -o service   setupnfs=0")
    assert rows(shell, "servicenode") == {"service": {"node": "service", "nfsserver": "0"}}


def test_postscripts_of_the_service_nodes(shell: Shell) -> None:
    answer = shell.run("chdef -t node -o service postscripts=servicenode,xcatserver,xcatclient")
    assert (answer.status, "-t group" in answer.err) == (0, True)
    shell.ok("chtab node=xcatdefaults postscripts.postscripts=syslog,remoteshell,otherpkgs,syncfiles")
    assert effective(shell, "sn1", "postscripts")["postscripts"] == (
        "syslog,remoteshell,otherpkgs,syncfiles,servicenode,xcatserver,xcatclient"
    )
    assert "syslog" not in shell.ok("lsdef sn1 -z")


def test_nodes_get_their_service_nodes(shell: Shell) -> None:
    for line in (
        "chdef -t node -o compute1 servicenode=sn1 xcatmaster=sn1-c",
        "chdef -t node -o compute2 servicenode=sn2 xcatmaster=sn2-c",
        "chdef -t  node -o sn1,sn2  servicenode=mn1 xcatmaster=mn1",
    ):
        assert shell.run(line).status == 0
    assert effective(shell, "blade01", "servicenode,xcatmaster") == {
        "servicenode": "sn1",
        "xcatmaster": "sn1-c",
    }
    assert effective(shell, "sn2", "servicenode,xcatmaster") == {"servicenode": "mn1", "xcatmaster": "mn1"}
    assert "xcatmaster:" in shell.ok("tabdump -d noderes")


@pytest.mark.parametrize("objtype", ["node", "group"])
@pytest.mark.parametrize("attribute", ["xcatmaster", "tftpserver", "nfsserver"])
def test_a_pool_beside_a_fixed_server_is_warned_about(shell: Shell, objtype: str, attribute: str) -> None:
    assert "Warning" not in shell.run(f"chdef -t {objtype} -o compute1 servicenode=sn1 {attribute}=sn1-c").err
    answer = shell.run(f"chdef -t {objtype} -o compute1 servicenode=sn1,sn2")
    assert answer.status == 0
    assert f"Warning: {attribute} must be blank with a pool" in answer.err
    assert "Warning" not in shell.run(f"chdef -t {objtype} -o compute1 {attribute}=").err


def test_pools(shell: Shell) -> None:
    for line in (
        "chdef -t  node -o compute1  servicenode=sn1,sn2",
        "chdef -t  node -o compute2  servicenode=sn2,sn1",
    ):
        assert shell.run(line).status == 0
    assert effective(shell, "blade02", "servicenode") == {"servicenode": "sn2,sn1"}
    assert "members=sn1,sn2" in shell.ok("lsdef -t group -l service")
    assert "members=blade01" in shell.ok("lsdef -t group -l compute1")


SITE = """\
#key,value,comments,disable
"nameservers","9.129.47.250,9.129.8.1",,
"ntpservers","9.10.228.45, 9.10.225.159",,
"defserialport","0",,
"defserialspeed","19200",,
"installloc","/install",,
"dhcpinterfaces","mn1|eth0;sn1|eth1;sn2|eth1",,
"forwarders","9.129.8.1,9.129.8.2",,
"consoleondemand","yes",,
"xcatdport","3001",,
"xcatiport","3002",,
"tftpdir","/tftpboot",,
"installdir","/install",,
"master","mn1",,
"sharedtftp","0",,
"domain","cluster.net",,
"timezone","America/New_York",,
"nameserver","9.129.8.1,9.129.47.250",,
"""


def test_the_site_table(shell: Shell, tmp_path: Path) -> None:
    shell.ok("chtab key=installloc site.value=/install")
    shell.ok("chdef -t site -o clustersite  sharedtftp=0")
    assert rows(shell, "site") == {
        "installloc": {"key": "installloc", "value": "/install"},
        "sharedtftp": {"key": "sharedtftp", "value": "0"},
    }
    (tmp_path / "site.csv").write_text(SITE)
    shell.ok("tabrestore site.csv")
    assert sorted(shell.ok("tabdump site").splitlines()[1:]) == sorted(SITE.splitlines()[1:])
    said = shell.ok("tabdump -d site")
    assert [key for key in rows(shell, "site") if f"\t{key}:\t" not in said] == []


def test_a_network_is_disabled(shell: Shell) -> None:
    shell.ok("chtab net=9.114.88.160 networks.netname=public networks.disable=1")
    assert rows(shell, "networks") == {"public": {"netname": "public", "net": "9.114.88.160", "disable": "1"}}
    assert shell.run("lsdef -t network").out == "No object definitions have been found\n"


def test_conserver_and_monserver(shell: Shell) -> None:
    for line in (
        "chdef -t node -o compute1  conserver=sn1 monserver=sn1",
        "chdef -t node -o compute2  conserver=sn2 monserver=sn2",
    ):
        assert shell.run(line).status == 0
    assert rows(shell, "nodehm")["blade01"]["conserver"] == "sn1"
    assert rows(shell, "noderes")["blade02"]["monserver"] == "sn2"


def test_the_tables_are_verified(shell: Shell) -> None:
    out = shell.ok("lsdef service,compute1,compute2")
    assert [line for line in out.splitlines() if line.startswith("Object name")] == [
        f"Object name: {name}" for name in ("blade01", "blade02", "sn1", "sn2")
    ]
