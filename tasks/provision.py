"""The attempts of nodeset, makedhcp and their like: a service node makes its files what they should be."""

import os
from functools import cache

from celery import shared_task

from core.errors import UnavailableError
from db.engine import open_engine
from db.home import open_home
from drivers import wake
from drivers.redisclient import connect
from routing import services
from routing.keepers import KEEPERS
from routing.syncing import Syncer, keeping
from tasks.app import program_app

program_app()


@shared_task(name="provision")  # type: ignore[untyped-decorator]
def provision(*, attempt: int, job: int, sn: str, nodes: str, label: str) -> str:
    """Do one attempt; everything but its number is for people who look at Flower."""
    return syncer(os.getpid()).work(attempt)


@cache
def syncer(pid: int) -> Syncer:
    """The syncer of this process; a forked child gets its own."""
    home = open_home()
    client = connect(home.broker_url() or "")

    def ring() -> None:
        try:
            wake.ring(client)
        except UnavailableError:
            return  # the supervisor looks by itself

    hands = {kind: keeping(kind, open_keeper) for kind, open_keeper in KEEPERS.items()} | services.HANDS
    return Syncer(home, open_engine(home.database, brisk=True), hands, ring)
