"""Real daemons of a service node, each made what the tables say: on, unchanged, changed, off, and refused."""

import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from services_rig import Sn, in_own_network, service_node


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
