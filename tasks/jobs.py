"""What Python programs do with jobs: wait for a state of nodes, and wait for a job's typed result."""

from typing import Any

from celery import shared_task
from celery.exceptions import TimeoutError as NotReady
from celery.result import AsyncResult

from core.errors import UnavailableError
from core.jobresult import JobFailed as JobFailed
from core.jobresult import JobResult as JobResult
from core.jobresult import from_told
from tasks.app import program_app
from tasks.jobtask import JobTask

program_app()

#: How often a program looks whether its job is over, in seconds.
LOOK_S = 0.1


@shared_task(base=JobTask, bind=True, name="wait_for")  # type: ignore[untyped-decorator]
def wait_for(self: JobTask, *args: Any, **kwargs: Any) -> None:
    """Wait until nodes are `on` or `off`, or nodelist.status is another word; options: timeout, interval."""
    self.take_message(args, kwargs)


def result(asked: AsyncResult, timeout: float | None = None) -> JobResult:
    """What became of a job, once it is over, however it ended.

    Raises UnavailableError when it is not over after `timeout` seconds; it goes on.
    """
    try:
        told = asked.get(timeout=timeout, interval=LOOK_S)
    except JobFailed as failed:
        return failed.result
    except NotReady:
        raise UnavailableError(f"job {asked.id} is not over after {timeout} s; it goes on") from None
    return from_told(told)
