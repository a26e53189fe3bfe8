"""What Python programs do with jobs: wait for a state of nodes, and wait for a job's typed result."""

import math
import time
from typing import Any

from celery import shared_task
from celery.result import AsyncResult

from core.errors import UnavailableError
from core.jobresult import JobFailed as JobFailed
from core.jobresult import JobResult as JobResult
from core.jobresult import from_told
from core.states import OPEN_STEPS
from db import steps
from db.engine import Engine, reading
from db.schema import open_database
from tasks.app import program_app
from tasks.jobtask import JobTask

program_app()

#: A program looks so soon whether its job is over, then less often, in seconds.
FIRST_LOOK_S = 0.02
LOOK_S = 0.1


@shared_task(base=JobTask, bind=True, name="wait_for")  # type: ignore[untyped-decorator]
def wait_for(self: JobTask, *args: Any, **kwargs: Any) -> None:
    """Wait until nodes are `on` or `off`, or nodelist.status is another word; options: timeout, interval.

    A node whose status is `failed` ends in error at once.
    """
    self.take_message(args, kwargs)


def result(asked: AsyncResult, timeout: float | None = None) -> JobResult:
    """What became of a job, once it is over, however it ended.

    Raises UnavailableError when it is not over after `timeout` seconds; it goes on.
    """
    engine, pause = open_database(), FIRST_LOOK_S
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    while not over(engine, asked):
        if time.monotonic() > deadline:
            raise UnavailableError(f"job {asked.id} is not over after {timeout} s; it goes on")
        time.sleep(pause)
        pause = min(pause * 1.5, LOOK_S)
    try:
        return from_told(asked.get())
    except JobFailed as failed:
        return failed.result


def over(engine: Engine, asked: AsyncResult) -> bool:
    """Whether there is a result. The step's row is looked at: Celery's back end connects for each look."""
    with reading(engine) as connection:
        found = steps.find(connection, asked.id)
    return found.state not in OPEN_STEPS if found else bool(asked.ready())
