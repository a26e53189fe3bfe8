"""The Celery app of an instance: one table of settings, each with its reason (docs/adr/0006).

Celery carries, the database knows: no result backend in Redis, no late acknowledgement, no retry, no expiry.
Programs and the management node's supervisor keep the results of jobs in Celery's database back end, in
Serval's own database; workers have no result back end at all.
"""

import ctypes
import logging
import os
import signal
from pathlib import Path
from typing import Any

from celery import Celery, current_app
from celery.app.amqp import AMQP
from celery.signals import setup_logging, worker_process_init, worker_ready
from kombu.connection import Connection

from core.errors import UnavailableError
from core.garbage import search_seldom
from core.stepspec import OPTIONS
from db.home import Home, open_home
from db.results import TABLES, celery_place
from routing.router import JOBS

#: prctl(2): the signal a process gets when its parent dies.
PR_SET_PDEATHSIG = 1

SETTINGS: dict[str, Any] = {
    # What travels is JSON: ids and names.
    "task_serializer": "json",
    "accept_content": ["json"],
    # An attempt is never redelivered by the broker: failover belongs to the supervisor alone.
    "task_acks_late": False,
    "task_reject_on_worker_lost": False,
    # Nothing waits inside a worker, so nothing is stranded with it.
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    "worker_enable_prefetch_count_reduction": False,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    # Outcomes are rows.
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    # For Flower.
    "task_track_started": True,
    "worker_send_task_events": True,
    "task_send_sent_event": True,
    # Workers wait for Redis for ever, publishers do not.
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_max": 0.2},
    "broker_pool_acquire_timeout": 5,
    "task_routes": ("routing.router.route", {name: {"queue": JOBS} for name in OPTIONS}),
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
}
#: A worker blocks on Redis for about a second at a time, so a longer silence means that the line is cut.
WORKER_TRANSPORT = {
    "socket_timeout": 15,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 5,
}
#: Results are forgotten after so many seconds; the jobs themselves after site.jobretention days.
RESULTS_S = 30 * 86_400
PUBLISHER_TRANSPORT = WORKER_TRANSPORT | {"socket_timeout": 3}
#: Celery's own pause grows to half a minute, in which a service node that is live again would hear nothing.
RECONNECT_S = 2
#: Names the file that a worker makes when it listens.
READY_FILE = "SERVAL_READY_FILE"
INCLUDE = ("tasks.power", "tasks.jobs", "tasks.provision", "tasks.servicesetup", "tasks.imaging")


class BrokerConnection(Connection):
    """A connection to Redis that is tried again every RECONNECT_S seconds for as long as it takes."""

    def ensure_connection(self, *args: Any, **options: Any) -> Connection:
        """As in kombu, with pauses that do not grow."""
        super().ensure_connection(*args, **{"interval_max": RECONNECT_S} | options)  # type: ignore[no-untyped-call]
        return self


class Carrier(AMQP):  # type: ignore[misc]
    """Celery's own, with our connections."""

    Connection = BrokerConnection


def create_app(home: Home, *, publisher: bool = False) -> Celery:
    """The app of this home. Raises UnavailableError when no broker is configured or started."""
    settings = broker_settings(home) | (result_settings(home) if publisher else {})
    app = Celery("serval", include=INCLUDE, amqp=Carrier)
    app.conf.update(SETTINGS | settings)
    app.conf.broker_transport_options = PUBLISHER_TRANSPORT if publisher else WORKER_TRANSPORT
    return app


def program_app() -> None:
    """Give a Python program that imports our tasks our app; the home is read when it is first used."""
    if current_app.main == "serval":
        return

    def settings() -> dict[str, Any]:
        home = open_home()
        transport = {"broker_transport_options": PUBLISHER_TRANSPORT}
        return SETTINGS | broker_settings(home) | result_settings(home) | transport

    app = Celery("serval")
    app.add_defaults(settings)
    app.set_default()


def broker_settings(home: Home) -> dict[str, Any]:
    """The way to Redis. Raises UnavailableError when none is configured or started."""
    broker = home.broker_url()
    if broker is None:
        raise UnavailableError(
            f"no Redis: {home.broker_file} does not exist. Start the embedded one with: serval up"
        )
    return {"broker_url": broker}


def result_settings(home: Home) -> dict[str, Any]:
    """Results of jobs, in tables of Celery's own that it makes when it first needs them."""
    place, arguments = celery_place(home.database)
    return {
        "result_backend": place,
        "result_serializer": "json",
        "result_expires": RESULTS_S,
        "database_engine_options": {"connect_args": arguments},
        "database_table_names": TABLES,
        "database_create_tables_at_setup": False,
    }


@worker_ready.connect  # type: ignore[untyped-decorator]
def tell_the_keeper(**_: Any) -> None:
    """From now on this worker takes messages (tasks/keeper.py waits for it)."""
    if file := os.environ.get(READY_FILE):
        Path(file).touch()


@worker_process_init.connect  # type: ignore[untyped-decorator]
def begin_work(**_: Any) -> None:
    """A pool process whose worker was killed must not go on sending: the kernel ends it too."""
    die_with_parent()
    search_seldom()


@setup_logging.connect  # type: ignore[untyped-decorator]
def log_plainly(loglevel: Any = None, **_: Any) -> None:
    """One line an outcome, to standard error; the keeper keeps the file."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("celery.app.trace").setLevel(logging.WARNING)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies (Linux)."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
