"""nodeset, the job that Python programs ask for, and the attempts of it and its like (makedhcp …).

    nodeset.s("compute", osimage="NAME")        nodeset.s("compute", "runcmd=bmcsetup,boot")

In such an attempt a service node makes its files what they should be.
"""

import os
from functools import cache
from typing import Any

from celery import shared_task

from db.engine import open_engine
from db.home import open_home
from drivers import wake
from routing import (
    copying,
    imagecapture,
    imagecopies,
    imageexport,
    imageimport,
    imageremoval,
    imaging,
    liteimages,
    nameservice,
    services,
)
from routing.keepers import KEEPERS
from routing.syncing import Syncer, keeping
from tasks.app import program_app
from tasks.jobtask import JobTask

program_app()


@shared_task(base=JobTask, bind=True, name="nodeset")  # type: ignore[untyped-decorator]
def nodeset(self: JobTask, *args: Any, **kwargs: Any) -> None:
    """What nodes boot next, with the words of nodeset(8), or osimage="NAME"."""
    self.take_message(args, kwargs)


@shared_task(name="provision")  # type: ignore[untyped-decorator]
def provision(*, attempt: int, job: int, sn: str, nodes: str, label: str) -> str:
    """Do one attempt; everything but its number is for people who look at Flower."""
    return syncer(os.getpid()).work(attempt)


@cache
def syncer(pid: int) -> Syncer:
    """The syncer of this process; a forked child gets its own."""
    home = open_home()
    hands = {kind: keeping(kind, open_keeper) for kind, open_keeper in KEEPERS.items()}
    hands |= (
        services.HANDS
        | nameservice.HANDS
        | imaging.HANDS
        | liteimages.HANDS
        | copying.HANDS
        | imageremoval.HANDS
        | imageexport.HANDS
        | imageimport.HANDS
        | imagecapture.HANDS
        | imagecopies.HANDS
    )
    return Syncer(home, open_engine(home.database, brisk=True), hands, wake.bell(home.broker_url() or ""))
