"""The Celery router on a real database and real leases: the first live service node, left to right."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from redis import Redis

from cli.context import local
from cli.entry import run
from core.errors import UnavailableError
from core.lease import Lease
from drivers import leases
from drivers.services import redis as embedded
from routing import router
from tasks.app import SETTINGS


@pytest.fixture
def client(home_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """A site with n1 (sn1,sn2), n2 (sn2.cluster.net,mn1) and n3 without a pool; its Redis."""
    running = embedded.start(tmp_path / "redis", tmp_path / "log")
    for name, value in {**home_env, "SERVAL_BROKER": running.url}.items():
        if name.startswith("SERVAL_"):
            monkeypatch.setenv(name, value)
    router._here.cache_clear()
    context = local()
    for line in (
        "mkdef -t node sn1,sn2 groups=service setuptftp=1",
        "mkdef -t node n1 groups=all servicenode=sn1,sn2",
        "mkdef -t node n2 groups=all servicenode=sn2.cluster.net,mn1",
        "mkdef -t node n3 groups=all",
        "mkdef -t node n4 groups=all servicenode=typo",
    ):
        name, *argv = line.split()
        assert run(name, argv, context) == 0, line
    with leases.connect(running.url) as made:
        yield made
    router._here.cache_clear()
    embedded.stop(running.pid)


def beat(client: Redis, name: str, *aliases: str) -> None:
    leases.publish(client, Lease(name=name, beat=1, boot="b", aliases=aliases))


@pytest.mark.parametrize(
    ("node", "queues"), [("n1", ["sn1", "sn2"]), ("n2", ["sn2.cluster.net", "mn1"]), ("n3", ["mn1"])]
)
def test_the_queues_of_a_node_are_its_pool_in_order(client: Redis, node: str, queues: list[str]) -> None:
    assert router.queues_for(node) == queues


def test_a_service_node_knows_whose_nodes_without_a_pool_are(
    client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVAL_NAME", "sn1")
    monkeypatch.setenv("SERVAL_MN", "mn1")
    router._here.cache_clear()
    assert [router.queues_for(node) for node in ("n3", "n2")] == [["mn1"], ["sn2.cluster.net", "mn1"]]


def test_a_pool_without_a_service_node_is_named(client: Redis) -> None:
    with pytest.raises(UnavailableError, match="n4: typo: not a service node"):
        router.queues_for("n4")


def test_the_first_live_one_gets_the_task(client: Redis) -> None:
    for name in ("sn1", "sn2", "mn1"):
        beat(client, name, f"{name}.cluster.net")
    app = Celery("test", broker="memory://")
    app.conf.update(SETTINGS)
    asked = {node: app.amqp.router.route({}, "any", kwargs={"node": node}) for node in ("n1", "n2", "n3")}
    assert {node: found["queue"].name for node, found in asked.items()} == {
        "n1": "sn1",
        "n2": "sn2",
        "n3": "mn1",
    }


def test_one_that_has_not_beaten_for_a_life_is_passed_over(client: Redis) -> None:
    beat(client, "sn2")
    beat(client, "sn1")
    client.pexpire(leases.key("sn1"), (leases.CLEAN_UP_S - 4) * 1000)
    assert router.first_live(["sn1", "sn2"]) == "sn2"


def test_nobody_alive_says_whom_it_asked(client: Redis) -> None:
    with pytest.raises(UnavailableError, match="no service node of sn1,sn2 gives a sign of life"):
        router.first_live(["sn1", "sn2"])
