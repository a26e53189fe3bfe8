"""Leases in a real Redis that is emptied, restarted, frozen and missing."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from core.errors import RequestError, UnavailableError
from core.lease import Lease
from drivers import leases
from drivers.redisclient import connect
from drivers.services import redis as embedded

SN1 = Lease(
    name="sn1",
    beat=7,
    boot="b1",
    release="0.1.0",
    aliases=("sn1", "sn1.cluster"),
    load={"running": 2.0},
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[embedded.RunningRedis]:
    running = embedded.start(tmp_path / "redis", tmp_path / "log")
    yield running
    file = tmp_path / "redis" / "redis.pid"  # a test may have stopped it, or started it again
    if file.exists():
        embedded.stop(int(file.read_text()))


@pytest.fixture
def client(server: embedded.RunningRedis) -> Iterator[Redis]:
    with connect(server.url) as made:
        yield made


def test_what_is_published_is_read(client: Redis) -> None:
    leases.publish(client, SN1)
    assert leases.read_all(client) == {"sn1": SN1}
    assert 0 < int(client.ttl(leases.key("sn1"))) <= leases.CLEAN_UP_S


def test_what_is_withdrawn_is_gone(client: Redis) -> None:
    leases.publish(client, SN1)
    leases.withdraw(client, "sn1")
    assert leases.read_all(client) == {}


def test_an_expired_lease_leaves_no_trace(client: Redis) -> None:
    leases.publish(client, SN1)
    client.delete(leases.key("sn1"))
    assert leases.read_all(client) == {}
    assert client.smembers(leases.NAMES) == set()


def test_rubbish_in_redis_hides_nobody_else(client: Redis) -> None:
    leases.publish(client, SN1)
    for number, rubbish in enumerate(
        ("", "null", "[]", '{"beat":"x"}', '{"beat":1e999,"boot":1,"protocol":1}')
    ):
        client.sadd(leases.NAMES, f"bad{number}")
        client.set(leases.key(f"bad{number}"), rubbish)
    assert leases.read_all(client) == {"sn1": SN1}


def test_the_era_changes_when_redis_is_emptied_or_restarted(
    client: Redis, server: embedded.RunningRedis, tmp_path: Path
) -> None:
    first = leases.read(client).era
    assert leases.read(client).era == first
    client.flushall()
    emptied = leases.read(client).era
    assert emptied != first
    embedded.stop(server.pid)
    with pytest.raises(UnavailableError):
        leases.read(client)
    embedded.start(tmp_path / "redis", tmp_path / "log")
    assert leases.read(client).era not in {first, emptied}


def test_a_frozen_redis_is_given_up_and_then_works_again(
    client: Redis, server: embedded.RunningRedis
) -> None:
    leases.publish(client, SN1)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        for call in (leases.read, lambda redis: leases.publish(redis, SN1)):
            with pytest.raises(UnavailableError, match="does not answer in time"):
                call(client)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert leases.read_all(client) == {"sn1": SN1}


def test_errors_name_the_place_and_not_the_password(server: embedded.RunningRedis) -> None:
    embedded.stop(server.pid)
    with connect(server.url) as client, pytest.raises(UnavailableError) as caught:
        leases.read(client)
    assert f"127.0.0.1:{server.port}" in caught.value.message
    assert server.url.split(":")[2].split("@")[0] not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "secret", "http://secret@host", "redis://:sec/ret@host:6379", "redis://:secret@h:x"]
)
def test_a_url_that_is_none_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(RequestError) as caught:
        connect(url)
    assert "sec" not in str(caught.value)
