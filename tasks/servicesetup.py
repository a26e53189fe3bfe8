"""The attempts of `serval services`, makentp and makeconservercf: a service node sets its own daemons up."""

import os

from celery import shared_task

from tasks.provision import syncer


@shared_task(name="servicesetup")  # type: ignore[untyped-decorator]
def servicesetup(*, attempt: int, job: int, sn: str, nodes: str, label: str) -> str:
    """Do one attempt; everything but its number is for people who look at Flower."""
    return syncer(os.getpid()).work(attempt)
