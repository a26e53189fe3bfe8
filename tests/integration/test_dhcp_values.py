"""DHCP records from the tables, inherited values and regexes applied."""

from collections.abc import Collection
from pathlib import Path

import pytest
from commands import Shell

from core.dhcpdoc import DhcpDoc, DhcpHost, from_text
from db.dhcpvalues import Hopeless, dhcp_docs
from db.engine import reading
from db.schema import open_database


@pytest.fixture
def shell(home_env: dict[str, str], tmp_path: Path) -> Shell:
    """Somebody with four nodes whose addresses follow their names, and a network."""
    one = Shell(home_env, tmp_path)
    one.ok("mkdef n[1-4] groups=compute")
    one.ok(r"chdef -t group compute 'ip=|\D+(\d+)|10.0.0.($1)|' 'mac=|\D+(\d+)|aa:00:00:00:00:0($1)|'")
    one.ok("chdef -t group compute netboot=xnba xcatmaster=mn9")
    one.ok("mkdef -t network a net=10.0.0.0 mask=255.255.0.0")
    return one


def docs(shell: Shell, *nodes: str, pool: Collection[str] = ()) -> tuple[dict[str, DhcpDoc], Hopeless]:
    """What holds for nodes of one pool."""
    with reading(open_database(shell.env)) as connection:
        return dhcp_docs(
            connection, nodes, dict.fromkeys(nodes, tuple(pool)), lambda names: {"mn9": "10.0.9.9"}
        )


def test_values_are_inherited(shell: Shell) -> None:
    found, bad = docs(shell, "n1", "n3", pool=("sn1", "sn2"))
    assert bad == {}
    host = DhcpHost("aa:00:00:00:00:03", "10.0.0.3", "n3")
    assert found["n3"] == DhcpDoc("n3", (host,), "xnba", "", ("sn1", "sn2"))
    assert from_text(found["n3"].to_text()) == found["n3"]


def test_without_a_pool_the_named_server_is_used(shell: Shell) -> None:
    assert docs(shell, "n1", pool=("sn1",))[0]["n1"].server == "10.0.9.9"
    shell.ok("chdef n1 tftpserver=n4")
    assert docs(shell, "n1")[0]["n1"].server == "10.0.0.4"
    shell.ok("chdef n1 tftpserver=nobody")
    assert "'nobody' (noderes.tftpserver or xcatmaster) has no IPv4" in docs(shell, "n1")[1]["n1"][1]


def test_each_wrong_node_is_named_and_the_others_go_on(shell: Shell) -> None:
    shell.ok("mkdef bare groups=all")
    shell.ok("chdef n2 mac=aa:00:00:00:00:01")
    shell.ok("chdef n3 ip=172.16.0.1")
    found, bad = docs(shell, "n1", "n2", "n3", "n4", "bare")
    assert list(found) == ["n4"]
    assert {node: error for node, (error, _) in bad.items()} == dict.fromkeys(
        ("n1", "n2", "n3", "bare"), "DefinitionError"
    )
    assert "n[1-2] have the same MAC address" in bad["n1"][1]
    assert "in no network" in bad["n3"][1]
    assert "No MAC address available for bare" in bad["bare"][1]
