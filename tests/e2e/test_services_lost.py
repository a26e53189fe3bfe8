"""Redis, the management node and the database taken away in the middle of a job (PROTOCOL 4, 5, 8, 14)."""

import os
import signal
import sqlite3
import time
from contextlib import closing

import pytest
from rig import Asked, Rig, counts, settled

from core.states import Outcome
from drivers import leases

NODES = 400
LATENCY_S = 0.05
#: At once, when nothing may have been published or claimed yet, and in the middle.
MOMENTS = [0.0, 0.5]


def asked_before(rig: Rig, moment: float) -> Asked:
    """A bulk reset that began so many seconds ago."""
    rig.box.control.faults("all", latency=LATENCY_S)
    asked = rig.ask(rig.some(NODES), "reset")
    time.sleep(moment)
    return asked


def works_as_before(rig: Rig) -> None:
    """A new job is done by both service nodes, each the first of its pool."""
    rig.beating()
    rig.quiet()
    asked = rig.ask(rig.some(NODES), "reset").wait()
    settled(rig, asked)
    assert asked.status == 0
    assert {line["sn"] for line in asked.said} == set(rig.box.sns)
    assert not any(line["tried"] for line in asked.said)


@pytest.mark.parametrize("moment", MOMENTS)
def test_redis_is_killed_and_restarted(rig: Rig, moment: float) -> None:
    """The job goes on to its end; nobody is given up because Redis was away."""
    asked = asked_before(rig, moment)
    os.kill(rig.box.redis_pid(), signal.SIGKILL)
    time.sleep(1)
    rig.up().communicate(timeout=60)
    asked.wait()
    settled(rig, asked)
    assert set(counts(rig, asked)) <= {Outcome.OK, Outcome.UNKNOWN}
    works_as_before(rig)


@pytest.mark.parametrize("moment", MOMENTS)
def test_redis_is_emptied(rig: Rig, moment: float) -> None:
    """Messages, leases and bindings are gone; the database knows what was asked."""
    asked = asked_before(rig, moment)
    with closing(leases.connect(rig.broker)) as client:
        client.flushall()
    asked.wait()
    settled(rig, asked)
    assert set(counts(rig, asked)) == {Outcome.OK}
    works_as_before(rig)


@pytest.mark.parametrize("moment", MOMENTS)
def test_redis_is_frozen(rig: Rig, moment: float) -> None:
    """Five seconds without an answer of Redis give up nobody."""
    asked = asked_before(rig, moment)
    os.kill(rig.box.redis_pid(), signal.SIGSTOP)
    try:
        time.sleep(5)
    finally:
        os.kill(rig.box.redis_pid(), signal.SIGCONT)
    asked.wait()
    settled(rig, asked)
    assert set(counts(rig, asked)) == {Outcome.OK}
    works_as_before(rig)


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_management_node_is_killed(rig: Rig, moment: float) -> None:
    """The next supervisor finds everything in the database."""
    asked = asked_before(rig, moment)
    rig.box.signal("mn1", signal.SIGKILL)
    rig.up()
    asked.wait()
    settled(rig, asked)
    assert set(counts(rig, asked)) == {Outcome.OK}


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_management_node_is_frozen(rig: Rig, moment: float) -> None:
    """A supervisor that was away begins its observation anew and gives nobody up."""
    asked = asked_before(rig, moment)
    rig.box.signal("mn1", signal.SIGSTOP)
    time.sleep(5)
    rig.box.signal("mn1", signal.SIGCONT)
    asked.wait()
    settled(rig, asked)
    assert set(counts(rig, asked)) == {Outcome.OK}


@pytest.mark.parametrize("moment", MOMENTS)
def test_database_connections_are_cut(rig: Rig, moment: float) -> None:
    """PostgreSQL ends all connections, twice; SQLite is locked for three seconds."""
    asked = asked_before(rig, moment)
    if rig.postgres is None:
        with closing(sqlite3.connect(str(rig.engine.url.database), isolation_level=None, timeout=20)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            time.sleep(3)
            lock.execute("ROLLBACK")
    else:
        for _ in range(2):
            rig.postgres.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'box'"
            )
            time.sleep(0.2)
    asked.wait()
    settled(rig, asked)
    assert set(counts(rig, asked)) == {Outcome.OK}
    works_as_before(rig)


@pytest.mark.parametrize("box_rig", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
@pytest.mark.parametrize("moment", MOMENTS)
def test_the_database_server_is_restarted(rig: Rig, moment: float) -> None:
    """Outcomes that could not be written are written when the server is back. SQLite has no server."""
    assert rig.postgres is not None
    asked = asked_before(rig, moment)
    rig.postgres.halt()
    time.sleep(1)
    rig.postgres.run()
    asked.wait()
    settled(rig, asked)
    assert set(counts(rig, asked)) == {Outcome.OK}
    works_as_before(rig)
