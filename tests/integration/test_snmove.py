"""snmove on both databases: what it writes, what nodes boot from then on, and what it refuses."""

from pathlib import Path

import pytest
from commands import Shell
from sqlalchemy import text

from core.bootdoc import from_text
from core.wanted import Kind
from db import jobs, wanted
from db.engine import open_engine, reading, writing
from drivers import leases

CLUSTER = """\
mkdef -t node -o sn1,sn2,sn3 groups=service setuptftp=1
chdef sn1 ip=10.0.0.11
chdef sn2 ip=10.0.0.12
mkdef -t network prov net=10.0.0.0 mask=255.255.0.0
chdef -t site sharedtftp=0
mkdef -t node -o n[1-4] groups=compute netboot=xnba
chdef -t group compute servicenode=sn1,sn2 'ip=|n(\\d+)|10.0.1.($1)|' 'mac=|n(\\d+)|52:54:00:00:00:0($1)|'
mkdef -t node -o s1 groups=single netboot=xnba servicenode=sn1 xcatmaster=10.0.0.11
chdef s1 nfsserver=sn1 conserver=sn1 tftpserver=10.0.0.99 monserver=sn1,10.0.0.11
chdef s1 ip=10.0.1.9 mac=52:54:00:00:00:09
mkdef -t node -o other groups=other servicenode=sn2,sn1
"""
WARNING = "Warning: the postscripts syslog were not run on "


@pytest.fixture
def shell(home_env: dict[str, str], redis_url: str, tmp_path: Path) -> Shell:
    with leases.connect(redis_url) as client:
        client.flushall()
    root = {"SERVAL_ROOT": str(tmp_path / "root")}
    made = Shell({**home_env, "SERVAL_BROKER": redis_url, **root}, tmp_path)
    for line in CLUSTER.splitlines():
        made.ok(line)
    return made


def pool(shell: Shell, node: str) -> str:
    return shell.ok(f"nodels {node} noderes.servicenode").partition(": ")[2].strip()


def boots_from(shell: Shell, node: str) -> tuple[str, ...]:
    with reading(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        return wanted.members_of(connection, Kind.BOOT, [node])[node]


def labels(shell: Shell) -> list[str]:
    with reading(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        return [info.label for info in jobs.recent(connection, 10)]


def test_a_service_node_s_nodes_go_to_their_second(shell: Shell) -> None:
    answer = shell.run("snmove -s sn1 -d sn2 -i --no-wait")
    assert (answer.status, answer.err) == (0, "")
    first, second, *rest = answer.out.splitlines()
    assert (first, second) == (
        "Moving nodes to their backup service nodes.", "Setting new values in the xCAT database."
    )  # fmt: skip
    assert [line.split()[0] for line in rest] == ["job"]  # makeconservercf: nothing was nodeset
    assert {node: pool(shell, node) for node in ("n1", "n4", "s1", "other")} == {
        "n1": "sn2,sn1", "n4": "sn2,sn1", "s1": "sn2,sn1", "other": "sn2,sn1"
    }  # fmt: skip
    assert '"compute","sn1,sn2"' in shell.ok("tabdump noderes"), "the group's row stays"
    found = shell.ok("lsdef s1 -i xcatmaster,tftpserver,nfsserver,monserver,conserver")
    now = "xcatmaster=10.0.0.12 tftpserver=10.0.0.99 nfsserver=sn2 monserver=sn2,10.0.0.12 conserver=sn2"
    for line in now.split():
        assert line in found


def test_without_a_destination_each_goes_to_its_second(shell: Shell) -> None:
    answer = shell.run("snmove n1,n2,other -V --no-wait")
    assert answer.status == 0
    assert answer.err.startswith(f"{WARNING}n[1-2],other: there is no updatenode yet")
    assert "n1: noderes.servicenode=sn2,sn1" in answer.out
    assert "other: noderes.servicenode=sn1,sn2" in answer.out
    assert pool(shell, "n3") == "sn1,sn2"


def test_nodes_boot_from_the_new_one_as_before(shell: Shell) -> None:
    shell.ok("nodeset n1,n2 shutdown --no-wait")
    shell.ok("nodeset n3 boot --no-wait")
    shell.ok("chdef n1 status=booted")
    assert boots_from(shell, "n1") == ("sn1", "sn2")
    answer = shell.run("snmove n[1-4] -d sn3 -i --no-wait")
    assert (answer.status, answer.err) == (0, "")
    assert {node: boots_from(shell, node) for node in ("n1", "n2", "n3")} == dict.fromkeys(
        ("n1", "n2", "n3"), ("sn3", "sn1", "sn2")
    )
    with reading(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        found = wanted.documents(connection, Kind.BOOT, ["n1", "n3", "n4"])
        dhcp = wanted.members_of(connection, Kind.DHCP, ["n1"])
    assert {node: from_text(text).state for node, text in found.items()} == {"n1": "shutdown", "n3": "boot"}
    assert dhcp["n1"][:3] == ("sn3", "sn1", "sn2")
    assert shell.ok("nodels n1 nodelist.status") == "n1: booted\n"
    assert {"snmove nodeset boot", "snmove nodeset shutdown"} <= set(labels(shell))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("snmove", "snmove needs nodes, or -s"),
        ("snmove s1", "s1: Error: servicenode is 'sn1': there is no backup; say -d SN"),
        ("snmove n1 -d n2", "n2 is not a service node"),
        (
            "snmove n1,s1 -d sn3",
            "s1: Error: noderes.xcatmaster is 10.0.0.11, and the tables give sn3 no address",
        ),
        ("snmove nosuch -d sn2", "nosuch"),
    ],
)
def test_what_cannot_be_moved_moves_nobody(shell: Shell, line: str, said: str) -> None:
    answer = shell.run(line)
    assert answer.status == 1
    assert said in answer.err
    assert pool(shell, "n1") == "sn1,sn2"


def test_asked_again_it_moves_nobody_twice_and_does_the_rest(shell: Shell) -> None:
    shell.ok("chdef -t group service setupdhcp=1")
    shell.ok("nodeset n1,n2 shutdown --no-wait")
    shell.ok("makedhcp n[1-4] --no-wait")
    words = ["n[1-4]", "-i", "--no-wait"]
    assert shell.call("snmove", words, request="r1").status == 0
    assert pool(shell, "n1") == "sn2,sn1"
    before = labels(shell)
    assert shell.call("snmove", words, request="r1", again=True).status == 0
    assert pool(shell, "n1") == "sn2,sn1"
    assert sorted(labels(shell)) == sorted([*before, "makeconservercf"])
    with writing(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        # As if it had been lost between the move and what comes after it.
        lost = "UPDATE job SET request = request || '-lost' WHERE request IN ('r1:dhcp', 'r1:conserver')"
        connection.execute(text(lost))
        old = wanted.documents(connection, Kind.DHCP, ["n3"])["n3"].replace(
            '["sn2", "sn1"]', '["sn1", "sn2"]'
        )
        wanted.put(connection, Kind.DHCP, {"n3": (("sn1", "sn2"), old)})
    assert shell.call("snmove", words, request="r1", again=True).status == 0
    assert labels(shell)[:2] == ["makeconservercf", "makedhcp n3"]
    assert shell.call("snmove", words, request="r2", again=True).status == 1


def test_who_is_there_already_is_left_alone(shell: Shell) -> None:
    assert shell.ok("snmove n1 -d sn1") == "No nodes have to be moved.\n"
    assert shell.ok("snmove -s sn3 -d sn1") == "No nodes have to be moved.\n"


def test_the_name_that_nodes_know_may_be_given(shell: Shell) -> None:
    shell.ok("chdef s1 xcatmaster=boot1")
    answer = shell.run("snmove s1 -s sn1 -S boot1 -d sn3 -D boot3 -i -l -P all --no-wait")
    assert (answer.status, answer.err) == (0, "")
    assert "xcatmaster=boot3" in shell.ok("lsdef s1 -i xcatmaster")
