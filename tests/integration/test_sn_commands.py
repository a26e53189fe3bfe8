"""Commands typed on a service node: what reads is done there, what writes by the management node."""

from collections.abc import Iterator

import pytest
from postgres_server import PostgresServer
from served import Served
from sn_rig import BMCS, SnRig, free_port

from lab.box import Box


@pytest.fixture(scope="module")
def rig(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnRig]:
    """One management node and one service node, each with its home."""
    folder = tmp_path_factory.mktemp("sn")
    postgres_server.execute("CREATE DATABASE sncommands")
    box = Box(folder / "mn", BMCS, database=postgres_server.url("sncommands"), sns=("sn1",))
    made = SnRig(box, Served(folder / "sn1"), free_port())
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_power_from_a_service_node(rig: SnRig) -> None:
    done = rig.sn.run("rpower n1,n2 on")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == ["n1: on", "n2: on"]
    assert "@sn1 rpower n1,n2 on: status 0" in rig.server_log()
