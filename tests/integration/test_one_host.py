"""A service node on another host than its management node, that was given an SQLite database all the same."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import RequestError
from core.lease import Lease
from db.home import Home, open_home
from db.onehost import kernel
from drivers import leases
from drivers.services import redis
from lab.box import CHECKOUT
from tasks.onehost import refuse_other_host

MN = Lease(name="mn1", beat=1, boot="b", role="mn", aliases=("head.cluster",), kernel="of another host")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    running = redis.start(tmp_path / "redis", tmp_path / "redis.log")
    yield running.url
    redis.stop(running.pid)


@pytest.fixture
def environment(broker: str, sqlite_url: str, tmp_path: Path) -> dict[str, str]:
    """A service node whose home has a database of its own, as after any command there."""
    own = {"SERVAL_HOME": str(tmp_path / "home"), "SERVAL_NAME": "sn1", "SERVAL_MN": "mn1"}
    return own | {"SERVAL_BROKER": broker, "SERVAL_DATABASE": sqlite_url}


@pytest.fixture
def home(environment: dict[str, str]) -> Home:
    return open_home(environment)


@contextmanager
def beating(broker: str, lease: Lease) -> Iterator[None]:
    """A lease that is renewed within the block, as by a living management node."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.2):
            publish(broker, lease)

    publish(broker, lease)
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def publish(broker: str, lease: Lease) -> None:
    with leases.connect(broker) as client:
        leases.publish(client, lease)


def test_the_worker_is_refused(environment: dict[str, str], broker: str, tmp_path: Path) -> None:
    """It says which file, which hosts, and what to do; and it has joined nothing."""
    words = [sys.executable, "-m", "cli.main", "serval", "worker", "sn1"]
    with beating(broker, MN):
        done = subprocess.run(
            words, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert f"sn1 is on host {socket.gethostname()}" in line
    assert "its management node mn1 on head.cluster" in line
    assert f"{tmp_path / 'serval.db'}" in line
    assert "use PostgreSQL (docs/how-to/use-postgresql.md)" in line
    with leases.connect(broker) as client:
        assert set(leases.read_all(client)) == {"mn1"}


def test_the_same_kernel_is_the_same_host(home: Home, broker: str) -> None:
    publish(broker, replace(MN, kernel=kernel()))
    refuse_other_host(home)


@pytest.mark.parametrize("lease", [replace(MN, kernel=""), replace(MN, role="sn", name="sn2")])
def test_who_does_not_say_is_not_judged(home: Home, broker: str, lease: Lease) -> None:
    publish(broker, lease)
    refuse_other_host(home)


def test_a_lease_from_before_a_reboot_says_nothing(home: Home, broker: str) -> None:
    publish(broker, MN)
    with leases.connect(broker) as client:
        client.expire(leases.key("mn1"), leases.CLEAN_UP_S - 10)
    refuse_other_host(home)


def test_postgresql_serves_all_hosts(home: Home, broker: str) -> None:
    publish(broker, MN)
    refuse_other_host(replace(home, database="postgresql://serval@mn1/serval"))


def test_a_database_that_is_not_there(home: Home, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"none\.db does not exist .*use PostgreSQL"):
        refuse_other_host(replace(home, database=f"sqlite:///{tmp_path}/none.db"))
