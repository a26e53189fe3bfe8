"""What moving a node to another service node changes in its tables."""

from ipaddress import ip_network

import pytest

from core.errors import DefinitionError
from core.snmoving import Host, Moving

OLD = Host("sn1", frozenset({"sn1", "sn1-eth1"}), ("10.0.0.1", "10.1.0.1"))
NEW = Host("sn2", frozenset({"sn2", "sn2-eth1"}), ("10.0.0.2", "10.1.0.2"))
NETWORKS = [ip_network("10.0.0.0/24"), ip_network("10.1.0.0/24")]
MOVING = Moving(OLD, NEW, NETWORKS)
POOL = "noderes.servicenode"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("sn1,sn2", "sn2,sn1"),
        ("sn1,sn2,sn3", "sn2,sn1,sn3"),
        ("sn1,sn3", "sn2,sn1,sn3"),
        ("sn1", "sn2,sn1"),
        (" sn1 , sn2 ", "sn2,sn1"),
        ("", "sn2"),
    ],
)
def test_the_new_one_comes_to_the_front(before: str, after: str) -> None:
    assert MOVING.changes({POOL: before}) == {POOL: after}


def test_who_is_there_already_is_not_moved() -> None:
    assert MOVING.changes({POOL: "sn2,sn1"}) == {}


@pytest.mark.parametrize("column", ["xcatmaster", "tftpserver", "nfsserver"])
@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("10.0.0.1", "10.0.0.2"),
        ("10.1.0.1", "10.1.0.2"),
        ("sn1", "sn2"),
        ("sn1-eth1", "sn2-eth1"),
        ("10.0.0.9", None),
        ("mn1", None),
        ("sn10", None),
        ("", None),
    ],
)
def test_servers_that_were_the_old_one_become_the_new_one(column: str, was: str, becomes: str | None) -> None:
    changes = MOVING.changes({POOL: "sn1,sn2", f"noderes.{column}": was})
    assert changes.get(f"noderes.{column}") == becomes
    assert changes[POOL] == "sn2,sn1"


def test_how_nodes_know_them_may_be_said() -> None:
    said = Moving(Host("sn1", facing="boot1"), Host("sn2", facing="boot2"))
    assert said.changes({POOL: "sn1", "noderes.xcatmaster": "boot1"})["noderes.xcatmaster"] == "boot2"
    assert said.changes({POOL: "sn1", "noderes.monserver": "sn1,boot1"})["noderes.monserver"] == "sn2,boot2"


def test_the_monitor_has_two_names_and_the_console_the_one_of_the_management_node() -> None:
    changes = MOVING.changes({POOL: "sn1", "noderes.monserver": "sn1,10.1.0.1", "nodehm.conserver": "sn1"})
    assert changes["noderes.monserver"] == "sn2,10.1.0.2"
    assert changes["nodehm.conserver"] == "sn2"
    assert MOVING.changes({POOL: "sn1", "noderes.monserver": "sn1"})["noderes.monserver"] == "sn2"
    assert "noderes.monserver" not in MOVING.changes({POOL: "sn1", "noderes.monserver": "mn1,10.0.0.1"})


def test_an_address_that_nobody_knows_is_asked_for() -> None:
    far = Moving(OLD, Host("sn2", addresses=("10.1.0.2", "10.2.0.2")), NETWORKS)
    with pytest.raises(DefinitionError, match=r"noderes.xcatmaster is 10\.0\.0\.1.*say it with -D"):
        far.changes({POOL: "sn1", "noderes.xcatmaster": "10.0.0.1"})


def test_the_only_address_is_taken_where_no_network_is_defined() -> None:
    plain = Moving(OLD, Host("sn2", addresses=("192.168.0.2",)))
    assert plain.changes({POOL: "sn1", "noderes.nfsserver": "10.0.0.1"})["noderes.nfsserver"] == "192.168.0.2"
