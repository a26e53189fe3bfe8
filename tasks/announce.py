"""Celery events for jobs, so that each is one line in Flower, with its progress.

They are sent by a thread of the supervisor's process that looks twice a second: a job of any size costs the
same few events, and a Redis that does not answer holds up nobody. Flower is a window; nothing depends on it.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from celery import Celery
from kombu.exceptions import KombuError, OperationalError

from core.errors import ServalError
from core.fold import fold
from core.jobresult import JobResult
from core.states import JobState, Outcome
from core.stepspec import POLL
from db import overview
from db.engine import Connection, Engine, reading
from db.jobs import JobInfo
from tasks.chains import job_result

log = logging.getLogger(__name__)

#: At most one progress of a job in this time, in seconds.
LOOK_S = 0.5
#: A job that ended longer ago is not looked for any more.
LATE_S = 5.0
#: Signs of life of the worker that Flower sees, in seconds.
HEARTBEAT_S = 10.0
#: Above this many nodes their number is shown instead of their names.
NAMED = 2_000
#: Texts in Flower's tables end here.
LETTERS = 1_000

TROUBLE = (OperationalError, KombuError, OSError)
Event = tuple[str, dict[str, Any]]


class Announcer:
    """Tells of the jobs of one supervisor, and of what else it is told. `mn` names the management node."""

    def __init__(self, app: Celery, engine: Engine, supervisor: str, mn: str) -> None:
        self._app, self._engine, self._supervisor = app, engine, supervisor
        self._hostname = f"jobs@{mn}"
        self._told: deque[Event] = deque(maxlen=10_000)
        #: Who a task is; every event says it, for a Flower that was started later.
        self._tasks: dict[str, dict[str, Any]] = {}
        self._progress: dict[str, str] = {}
        self._shown: dict[str, str] = {}
        self._over: deque[str] = deque(maxlen=10_000)
        self._dispatcher: Any = None
        #: What Redis may raise; the connection knows more.
        self._trouble: tuple[type[Exception], ...] = TROUBLE
        self._beat = 0.0

    def start(self, stop: threading.Event) -> None:
        """Begin in a thread that ends with the process or with `stop`."""
        threading.Thread(target=self._loop, args=(stop,), name="announcer", daemon=True).start()

    # -- what others tell (tasks.chains.Audience) ------------------------------------------------------

    def begins(self, request: str, name: str, args: str, about: str, at: float | None = None) -> None:
        """A task has begun."""
        self._tasks[request] = {"uuid": request, "name": name, "args": args, "kwargs": about}
        when = {} if at is None else {"timestamp": at}
        for kind in ("task-received", "task-started"):
            self._told.append((kind, self._tasks[request] | when))

    def goes_on(self, request: str, text: str) -> None:
        """How far a task has come."""
        self._progress[request] = text

    def ends(self, request: str, result: JobResult, seconds: float) -> None:
        """A task is over."""
        self._over_with(request, str(result)[:LETTERS], seconds, well=result.well)

    def _over_with(self, request: str, text: str, seconds: float, *, well: bool) -> None:
        self._progress.pop(request, None)
        self._shown.pop(request, None)
        told = self._tasks.pop(request, {"uuid": request}) | {"result": text, "runtime": seconds}
        if well:
            self._told.append(("task-succeeded", told))
        else:
            self._told.append(("task-failed", told | {"exception": text}))

    # -- the thread ------------------------------------------------------------------------------------

    def _loop(self, stop: threading.Event) -> None:
        while not stop.wait(LOOK_S):
            try:
                self._look(time.time())
                self._send_all()
            except ServalError as error:
                log.warning("%s", error.message)
            except self._trouble as error:
                log.warning("Flower is told later: %s", type(error).__name__)
                self._disconnect()
            except Exception:
                log.exception("the announcer stumbled")
                self._disconnect()
                self._told.clear()

    def _connect(self) -> None:
        connection = self._app.connection_for_write()
        self._trouble = (*TROUBLE, *connection.connection_errors, *connection.channel_errors)
        self._dispatcher = self._app.events.Dispatcher(
            connection, hostname=self._hostname, enabled=True, buffer_while_offline=False
        )
        self._dispatcher.send("worker-online", freq=HEARTBEAT_S)

    def _disconnect(self) -> None:
        if self._dispatcher is not None:
            with suppress(*self._trouble):
                self._dispatcher.connection.release()
        self._dispatcher = None

    def _look(self, now: float) -> None:
        with reading(self._engine) as connection:
            for info in overview.current(connection, self._supervisor, now - LATE_S, POLL):
                if info.request not in self._over:
                    self._tell(connection, info)

    def _tell(self, connection: Connection, info: JobInfo) -> None:
        if info.request not in self._shown:
            self._shown[info.request] = ""
            words = info.label.removeprefix(info.command).strip()
            self.begins(info.request, info.command, words, about(connection, info), info.created)
        if info.state != JobState.DONE:
            self.goes_on(info.request, progress(info.counts, info.size))
            return
        self._over.append(info.request)
        seconds = (info.ended or info.created) - info.created
        if info.counts.get(Outcome.OK) == info.size:
            self._over_with(info.request, f"{info.size} ok", seconds, well=True)
        else:
            self.ends(info.request, job_result(connection, info.id, info.command), seconds)

    def _send_all(self) -> None:
        if self._dispatcher is None:
            self._connect()
        if time.monotonic() - self._beat > HEARTBEAT_S:
            self._beat = time.monotonic()
            self._dispatcher.send("worker-heartbeat", freq=HEARTBEAT_S, active=len(self._shown))
        while self._told:
            self._dispatcher.send(self._told[0][0], **self._told[0][1])
            self._told.popleft()
        for request, text in list(self._progress.items()):
            task = self._tasks.get(request)
            if task and self._shown.get(request) != text:
                self._shown[request] = text
                self._dispatcher.send("task-progress", **task, result=text)


def about(connection: Connection, info: JobInfo) -> str:
    """`job=17 nodes=n[001-250] by=root`."""
    nodes = fold(overview.nodes_of(connection, info.id)) if info.size <= NAMED else f"{info.size} nodes"
    return f"job={info.id} nodes={nodes} by={info.who}"[:LETTERS]


def progress(counts: Mapping[str, int], size: int) -> str:
    """`412/1000 ok, 3 error`."""
    words = [f"{counts.get(Outcome.OK, 0)}/{size} ok"]
    words += [f"{counts[kind]} {kind}" for kind in Outcome if kind is not Outcome.OK and counts.get(kind)]
    return ", ".join(words)
