"""The attempts of genimage, packimage and their like, and of what brings service nodes their images."""

import os

from celery import shared_task

from tasks.provision import syncer


@shared_task(name="imaging")  # type: ignore[untyped-decorator]
def imaging(*, attempt: int, job: int, sn: str, nodes: str, label: str) -> str:
    """Do one attempt; everything but its number is for people who look at Flower."""
    return syncer(os.getpid()).work(attempt)
