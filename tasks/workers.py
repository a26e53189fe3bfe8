"""The Celery workers of a host, one for each queue class: forks of one process that has imported their tasks.

`python -m tasks.workers NAME [mn]` is what the keeper starts (tasks/keeper.py). It has no thread and no
connection, so it may fork at any time: a worker listens without the second of processor time that its imports
take, and shares their memory with the others (docs/adr/0020). Whatever ends is started again; all die with
the keeper.
"""

import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass, field
from multiprocessing.context import ForkProcess
from pathlib import Path

from celery import Celery

from core.errors import ServalError
from db.home import Home, open_home
from routing.router import JOBS
from tasks.app import READY_FILE, create_app, die_with_parent
from tasks.queues import LONG, PROMPT, QueueClass, listens, prompt

log = logging.getLogger(__name__)

STOP_S = 15.0
RESTART_S = 1.0


@dataclass(slots=True)
class Workers:
    """The workers of one MN or SN. `run` blocks until a signal."""

    app: Celery
    home: Home
    is_mn: bool
    stop: threading.Event = field(default_factory=threading.Event)
    _running: dict[QueueClass, ForkProcess] = field(default_factory=dict)

    def run(self) -> None:
        """Keep a worker for each queue class; on a service node those for long work come last."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())
        self.app.loader.import_default_modules()
        gc.freeze()  # a collection in a fork would touch, and so copy, every page of what is shared
        for kind in prompt(is_mn=self.is_mn):
            self._start(kind)
        while not self.stop.wait(RESTART_S):
            self._restart()
        self._end()

    def _restart(self) -> None:
        for kind, worker in list(self._running.items()):
            if worker.exitcode is not None:
                log.warning(
                    "the worker of queue %s ended with status %d; starting it again",
                    self.home.name + kind.suffix,
                    worker.exitcode,
                )
                self._start(kind)
        if LONG not in self._running and all(listens(self.home, kind).exists() for kind in PROMPT):
            self._start(LONG)

    def _start(self, kind: QueueClass) -> None:
        listens(self.home, kind).unlink(missing_ok=True)
        name = self.home.name + kind.suffix
        queues = f"{name},{JOBS}" if self.is_mn and not kind.suffix else name
        fork = multiprocessing.get_context("fork")
        self._running[kind] = fork.Process(
            target=listen, args=(self.app, name, queues, kind.children, listens(self.home, kind), os.getpid())
        )
        self._running[kind].start()

    def _end(self) -> None:
        """A warm stop: tasks in hand may end, then whatever is left is killed."""
        for worker in self._running.values():
            worker.terminate()
        patience = threading.Timer(STOP_S, self._kill)
        patience.daemon = True
        patience.start()
        for worker in self._running.values():
            worker.join()
        patience.cancel()

    def _kill(self) -> None:
        for worker in self._running.values():
            worker.kill()


def listen(app: Celery, name: str, queues: str, children: int, ready: Path, parent: int) -> None:
    """Be the Celery worker of these queues until told to stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    die_with_parent()
    if os.getppid() != parent:
        return
    os.environ[READY_FILE] = str(ready)
    worker = app.Worker(
        hostname=f"{name}@{socket.gethostname()}",
        queues=queues,
        concurrency=children,
        without_gossip=True,
        without_mingle=True,
        task_events=True,
        loglevel=logging.WARNING,
    )
    worker.start()
    sys.exit(worker.exitcode)


def main() -> None:
    """Be the process that the keeper starts; its home is that of the environment."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        home = open_home()
        Workers(create_app(home), home, "mn" in sys.argv[2:]).run()
    except ServalError as error:
        sys.exit(error.message)


if __name__ == "__main__":
    main()
