"""Running the supervisor on a management node: its clock, its ears, its hands.

The loop itself never waits for Redis: leases are read, the bell is heard and attempts are published by
threads of their own, so that a frozen Redis cannot make the loop miss beats in the database.
"""

import logging
import os
import queue
import secrets
import socket
import threading
import time

from celery import Celery
from kombu.exceptions import KombuError, OperationalError

from core.errors import ServalError, UnavailableError
from core.lease import Reading
from core.site import number
from db import jobs, steps
from db.engine import Engine, open_engine, reading
from db.home import Home
from db.lookup import site_values
from drivers import leases, wake
from routing.authority import boottime
from routing.credentials import BmcCredentials
from routing.supervisor import Parcel, Supervisor
from tasks.announce import Announcer
from tasks.chains import ChainRunner
from tasks.results import Results

log = logging.getLogger(__name__)

#: The loop looks so often without being woken.
TURN_S = 0.2
#: Old jobs are forgotten so often, in seconds.
PRUNE_S = 600.0
RETENTION_DAYS = 30
#: A reading of the leases older than this is no reading.
FRESH_S = 0.7


class LeaseReader:
    """Reads all leases every TURN_S in a thread; `latest` is None while Redis does not answer."""

    def __init__(self, url: str, stop: threading.Event) -> None:
        self._client = leases.connect(url)
        self._stop = stop
        self._last: tuple[float, Reading] | None = None
        threading.Thread(target=self._loop, name="leases", daemon=True).start()

    def latest(self) -> Reading | None:
        """The newest reading, if it is fresh."""
        last = self._last
        return last[1] if last and boottime() - last[0] < FRESH_S else None

    def _loop(self) -> None:
        while not self._stop.wait(TURN_S):
            try:
                asked = boottime()
                self._last = (asked, leases.read(self._client))
            except UnavailableError as error:
                log.warning("%s", error.message)


class Bell:
    """Sets an event when somebody rings."""

    def __init__(self, url: str, stop: threading.Event) -> None:
        self.rung = threading.Event()
        self._client = leases.connect(url)
        self._stop = stop
        threading.Thread(target=self._loop, name="bell", daemon=True).start()

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                if wake.wait(self._client, 0.5):
                    self.rung.set()
            except UnavailableError:
                self._stop.wait(TURN_S)


#: Commands whose attempts are not the task `power`.
ATTEMPTS = {
    "nodeset": "provision",
    "makedhcp": "provision",
    "makedns": "provision",
    "makeconservercf": "servicesetup",
    "makentp": "servicesetup",
    "services": "servicesetup",
    "genimage": "imaging",
    "packimage": "imaging",
    "images": "imaging",
    "liteimg": "imaging",
    "copycds": "imaging",
    "rmimage": "imaging",
    "imgexport": "imaging",
    "imgimport": "imaging",
    "imgcapture": "imaging",
}


def attempt_task(command: str) -> str:
    """The Celery task that does the attempts of a command."""
    return ATTEMPTS.get(command, "power")


class Publisher:
    """Hands attempts to Celery in a thread. A lost one is published again by the supervisor."""

    def __init__(self, app: Celery, stop: threading.Event) -> None:
        self._app = app
        self._stop = stop
        self._waiting: queue.Queue[Parcel] = queue.Queue()
        threading.Thread(target=self._loop, name="publisher", daemon=True).start()

    def __call__(self, parcel: Parcel) -> bool:
        """Take a parcel; the answer is that it was taken."""
        self._waiting.put(parcel)
        return True

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                parcel = self._waiting.get(timeout=TURN_S)
            except queue.Empty:
                continue
            try:
                self._send(parcel)
            except (OperationalError, KombuError, OSError) as error:
                log.warning("attempt %d not published: %s", parcel.attempt, type(error).__name__)

    def _send(self, parcel: Parcel) -> None:
        about = {"job": parcel.job, "sn": parcel.sn, "nodes": parcel.nodes, "label": parcel.label}
        self._app.send_task(
            attempt_task(parcel.command),
            kwargs={"attempt": parcel.attempt, **about},
            queue=parcel.queue,
            argsrepr=parcel.label,
            kwargsrepr=f"job={parcel.job} sn={parcel.sn} nodes={parcel.nodes}",
        )


def supervise(home: Home, app: Celery, results: Results, stop: threading.Event) -> None:
    """Step all jobs until `stop` is set."""
    url = home.broker_url() or ""
    engine = open_engine(home.database, brisk=True)
    name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
    reader, bell = LeaseReader(url, stop), Bell(url, stop)
    announcer = Announcer(app, engine, name, home.name)
    announcer.start(stop)
    runner = ChainRunner(engine, home, results.store, announcer, bell.rung.set, time.time)
    turned = threading.Event()
    supervisor = Supervisor(
        name=name,
        engine=engine,
        credentials=BmcCredentials(engine),
        publish=Publisher(app, stop),
        clock=boottime,
        wall=time.time,
        home_name=home.name,
    )
    for loop, given in ((prune_loop, (engine, results, stop)), (chain_loop, (runner, turned, stop))):
        threading.Thread(target=loop, args=given, name=loop.__name__, daemon=True).start()
    while not stop.is_set():
        bell.rung.wait(TURN_S)
        bell.rung.clear()
        turn(supervisor, reader.latest(), stop)
        turned.set()
    try:
        supervisor.leave()
    except ServalError as error:
        log.warning("%s", error.message)


def turn(supervisor: Supervisor, seen: Reading | None, stop: threading.Event) -> None:
    """One step; what goes wrong is logged, and the next one begins from what the database says."""
    try:
        supervisor.step(seen)
    except ServalError as error:
        log.warning("%s", error.message)
        stop.wait(TURN_S)
    except Exception:
        log.exception("the supervisor stumbled")
        stop.wait(TURN_S)


def chain_loop(runner: ChainRunner, turned: threading.Event, stop: threading.Event) -> None:
    """Take chains further after each turn of the supervisor, which does not wait for it."""
    while not stop.is_set():
        turned.wait(TURN_S)
        turned.clear()
        try:
            runner.turn()
        except ServalError as error:
            log.warning("%s", error.message)
            stop.wait(TURN_S)
        except Exception:
            log.exception("the chains stumbled")
            stop.wait(TURN_S)


def prune_loop(engine: Engine, results: Results, stop: threading.Event) -> None:
    """Forget jobs that ended more than site.jobretention days ago, with steps and results."""
    while True:
        try:
            with reading(engine) as connection:
                days = number(site_values(connection), "jobretention", RETENTION_DAYS)
            before = time.time() - days * 86_400
            while gone := jobs.prune(engine, before):
                log.info("%d old jobs forgotten", gone)
            if steps.prune(engine, before):
                results.forget_old()
        except ServalError as error:
            log.warning("%s", error.message)
        if stop.wait(PRUNE_S):
            return
