"""`serval worker`: the process that is an MN or an SN, and keeps the one that Celery workers are forks of.

The keeper holds the lease (a beat every half second), and on a management node runs the supervisor. Workers
(tasks/workers.py) die with the keeper.
"""

import importlib.metadata
import logging
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from core.errors import ServalError, UnavailableError
from core.garbage import search_seldom
from core.lease import Lease
from db import members
from db.engine import open_engine, reading, writing
from db.home import Home
from db.onehost import kernel, refuse_shared
from db.schema import upgrade
from drivers import leases
from drivers.certificate import make_certificate
from drivers.resolve import host_names
from drivers.seal import make_key
from routing import copying, imaging, monitoring, services
from routing.authority import boottime
from routing.imagecopies import announce_copies
from routing.keepers import KEEPERS
from routing.syncing import announce
from tasks.app import create_app, die_with_parent
from tasks.onehost import refuse_other_host
from tasks.queues import listens, prompt
from tasks.results import Results
from tasks.statuskeeper import StatusProcess
from tasks.supervise import supervise

log = logging.getLogger(__name__)

BEAT_S = 0.5
DATABASE_LOOK_S = 1.0
#: The database is not reached when the last look that succeeded is older; a look that hangs is none.
DATABASE_FRESH_S = 2.0
#: Longer than the workers' own patience with tasks in hand (tasks/workers.py).
STOP_S = 17.0
RESTART_S = 1.0
#: How often daemons are looked at, and how often those that died.
REVIVE_S = 2.0
LISTEN_LOOK_S = 0.05
CRASH_S = 10.0
CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(slots=True)
class Keeper:
    """One MN or SN. `run` blocks until a signal or `stop`."""

    home: Home
    is_mn: bool
    #: Service set-up is skipped, as with `xcatd -r`.
    reload: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    _workers: subprocess.Popen[bytes] | None = None
    #: When the database last answered; joining was the first time.
    _database_seen: float = field(default_factory=boottime)
    _status: StatusProcess = field(init=False)

    def __post_init__(self) -> None:
        self._status = StatusProcess(self.home)

    def run(self) -> int:
        """Join, keep the workers running, beat; returns the exit status."""
        self._join()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())
        chores = [self._look_at_database, self._hold_lease, self._serve, self._monitor]
        if self.is_mn:
            chores.append(self._supervisor())
        self._workers = self._start()
        self._status.look()
        threads = [self._thread(chore) for chore in chores]
        self._keep()
        self._status.end()
        self._end(self._workers)
        for thread in threads:
            thread.join(timeout=3)
        return 0

    def _join(self) -> None:
        engine = open_engine(self.home.database)
        upgrade(engine)
        public = make_key(self.home.keys, self.home.name)
        certificate = make_certificate(self.home.keys, self.home.name)
        with writing(engine) as connection:
            members.join(connection, self.home.name, public, time.time())
            members.certify(connection, self.home.name, certificate)
        with logged():
            announce(self.home, engine, KEEPERS)
            announce_copies(self.home, engine)
        if self.is_mn:
            with logged():
                left = imaging.sweep_builds(self.home, engine) + copying.sweep_copies(self.home, engine)
                for folder in left:
                    log.warning("removed what a build or copy that was killed had left in %s", folder)

    # -- workers -----------------------------------------------------------------------------------

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the workers' process. On the main thread: a child dies with the thread that started it."""
        for kind in prompt(is_mn=self.is_mn):
            listens(self.home, kind).unlink(missing_ok=True)
        own = {"SERVAL_HOME": str(self.home.path), "SERVAL_NAME": self.home.name, "SERVAL_MN": self.home.mn}
        own["PYTHONWARNINGS"] = "ignore::celery.platforms.SecurityWarning"
        return subprocess.Popen(
            [sys.executable, "-m", "tasks.workers", self.home.name, "mn" if self.is_mn else "sn"],
            cwd=CHECKOUT,
            env=os.environ | own,
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )

    def _wait_for_workers(self) -> None:
        """No sign of life before somebody listens: work would be sent that nobody claims in time."""
        files = [listens(self.home, kind) for kind in prompt(is_mn=self.is_mn)]
        while not all(file.exists() for file in files) and not self.stop.wait(LISTEN_LOOK_S):
            pass

    def _keep(self) -> None:
        """Start again what ended."""
        while not self.stop.wait(RESTART_S):
            self._status.look()
            if self._workers and (status := self._workers.poll()) is not None:
                log.warning("the workers' process ended with status %d; starting it again", status)
                self._workers = self._start()

    def _end(self, workers: subprocess.Popen[bytes]) -> None:
        """A warm stop: tasks in hand may end, then whatever is left is killed."""
        workers.terminate()
        try:
            workers.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            workers.kill()
            workers.wait()

    # -- threads -----------------------------------------------------------------------------------

    def _thread(self, target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        return thread

    def _hold_lease(self) -> None:
        client = leases.connect(self.home.broker_url() or "")
        boot, beat = secrets.token_hex(6), 0
        self._wait_for_workers()
        aliases = host_names()
        while True:
            beat += 1
            lease = Lease(
                name=self.home.name,
                beat=beat,
                boot=boot,
                release=importlib.metadata.version("serval-cluster"),
                role="mn" if self.is_mn else "sn",
                aliases=aliases if self.is_mn or self.home.name in aliases else (),
                kernel=kernel(),
                database_ok=boottime() - self._database_seen < DATABASE_FRESH_S,
                at=time.time(),
                load={
                    "children": float(os.cpu_count() or 1),
                    "pid": float(os.getpid()),
                    "status_port": float(self._status.port),
                },
            )
            try:
                leases.publish(client, lease)
            except UnavailableError as error:
                log.warning("%s", error.message)
            if self.stop.wait(BEAT_S):
                break
        try:
            leases.withdraw(client, self.home.name)
        except UnavailableError as error:
            log.warning("%s", error.message)

    def _look_at_database(self) -> None:
        """The lease says whether the database can be reached; a hanging look counts as no."""
        engine = open_engine(self.home.database, brisk=True)
        while not self.stop.wait(DATABASE_LOOK_S):
            asked = boottime()
            try:
                with reading(engine) as connection:
                    members.keys(connection)
                self._database_seen = asked
            except ServalError as error:
                log.warning("%s", error.message)

    def _serve(self) -> None:
        """Set the services of this host up, then start again what of them dies, and note how they are."""
        engine, asked, pause = open_engine(self.home.database), not self.reload, 0.0
        while not self.stop.wait(pause):
            pause = REVIVE_S
            with logged():
                if asked:
                    services.set_up(self.home, engine)
                    asked = False
                revived = services.revive(self.home)
                if revived:
                    log.warning("%s had died; started again", ", ".join(revived))
                    pause = CRASH_S
                    self.stop.wait(REVIVE_S)
                    services.set_up(self.home, engine, only_check=True)

    def _monitor(self) -> None:
        """Look at the nodes that name this host as their monserver."""
        engine, pause = open_engine(self.home.database), monitoring.IDLE_S
        while True:
            with logged():
                pause = monitoring.turn(self.home, engine)
            if self.stop.wait(pause):
                return

    def _supervisor(self) -> Callable[[], None]:
        """The supervisor's loop; its libraries are loaded here, before there are other threads."""
        app = create_app(self.home, publisher=True)
        return partial(supervise, self.home, app, Results(app), self.stop)


@contextmanager
def logged() -> Iterator[None]:
    """An error of the services is a line in the log; the next turn tries again."""
    try:
        yield
    except (ServalError, OSError) as error:
        log.warning("services: %s", error)


def work(home: Home, *, is_mn: bool, reload: bool = False) -> int:
    """Be the MN or SN that `home` names until told to stop. Raises ServalError when it cannot start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    url = home.broker_url()
    if url is None:
        raise UnavailableError(f"no Redis: {home.broker_file} does not exist; start it with: serval up")
    refuse_shared(home.database) if is_mn else refuse_other_host(home)
    search_seldom()
    return Keeper(home, is_mn, reload).run()
