"""JobTask: a Celery task that is a job. Calling it writes rows; no message carries the work (docs/adr/0010).

`delay`, `s(...)()`, `chain(...)()` and `group(...)()` all end in `apply_async` of the first task, which
Celery gives the rest of a chain, last step first, in the option `chain`.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from celery import Task
from celery.exceptions import Ignore
from celery.utils import uuid

from core.errors import RequestError
from core.stepspec import OPTIONS, read_call
from db.home import Home, open_home
from db.schema import open_database
from tasks import submission
from tasks.submission import Asking, Call, ReadFile

log = logging.getLogger(__name__)

#: What plain Celery offers and a job does not have, with what to do instead.
REFUSED = {
    "chord": "there are no chords of jobs: wait for the group's results in the program",
    "link": "a job has no callbacks: chain it",
    "link_error": "a job has no callbacks: look at its result",
    "countdown": "a job starts now: wait in the program, or chain it after wait_for",
    "eta": "a job starts now: wait in the program",
    "expires": "a job that cannot start in time is cancelled by site.jobstart",
}
#: What Celery's database back end keeps as a task id.
LONGEST_ID = 155


class JobTask(Task):  # type: ignore[misc]
    """The base of rpower, rsetboot, nodeset and wait_for."""

    abstract = True
    #: The arguments are looked at here, with sentences of our own.
    typing = False
    ignore_result = False

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        chain: Sequence[Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> Any:
        """Write the job, with the chain that follows it, and wake the supervisor; its AsyncResult.

        Raises RequestError when anything in it is wrong, UnavailableError without Redis or the database;
        then nothing was asked.
        """
        for name, reason in REFUSED.items():
            if options.get(name):
                raise RequestError(f"{self.name}: {reason}")
        first = task_id or uuid()
        home = open_home()
        submission.check_redis(home)
        self._submit(home, first, args or (), kwargs or {}, chain or (), lambda name: Path(name).read_text())
        return self.AsyncResult(first)

    def take_message(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """The body: a message from elsewhere (`send_task`) becomes the job with its id. Raises Ignore."""
        if self.request.id is None:
            raise RequestError(f"{self.name} is a job: ask for it with {self.name}.delay(…)")
        home = open_home()
        first, rest = self.request.id, self.request.chain or ()
        try:
            self._submit(home, first, args, kwargs, rest, submission.refuse_files)
        except RequestError as error:
            log.warning("%s %s: %s", self.name, first, error.message)
            asked = [
                (first, self.name),
                *((one["options"]["task_id"], one["task"]) for one in reversed(rest)),
            ]
            if all(len(request) <= LONGEST_ID for request, _ in asked):
                submission.refuse(open_database(), asked, error.message, time.time())
        raise Ignore

    def _submit(
        self,
        home: Home,
        first: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        rest: Sequence[Mapping[str, Any]],
        read_file: ReadFile,
    ) -> None:
        for request in (first, *(signature["options"]["task_id"] for signature in rest)):
            if not 0 < len(request) <= LONGEST_ID:
                raise RequestError(f"a task id has 1 to {LONGEST_ID} letters, not {len(request)}")
        calls = [Call(first, read_call(self.name, args, kwargs, first=True))]
        calls += [call_of(signature) for signature in reversed(rest)]
        asking = Asking(open_database(), home, submission.user_name(), time.time(), read_file)
        submission.submit(asking, calls)
        submission.ring(home)


def call_of(signature: Mapping[str, Any]) -> Call:
    """A later step. Raises RequestError when it is not one of our jobs."""
    name = signature["task"]
    if name not in OPTIONS:
        raise RequestError(
            f"{name} is not a job of Serval ({', '.join(OPTIONS)}), and canvas around other tasks is plain "
            "Celery: it cannot follow a job in a chain. Wait for the job's result and call it"
        )
    options = signature["options"]
    for word, reason in REFUSED.items():
        if options.get(word):
            raise RequestError(f"{name}: {reason}")
    return Call(options["task_id"], read_call(name, signature["args"], signature["kwargs"], first=False))
