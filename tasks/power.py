"""rpower and rsetboot: the jobs that Python programs ask for, and the task that an attempt is.

    rpower.s("compute", "on")        rsetboot.s("compute", "net", persistent=True, uefi=True)

In a chain a later step leaves the noderange out and gets the nodes that the step before left ok.
"""

import os
from functools import cache
from typing import Any

from celery import shared_task

from core.bmcaccess import IPMI
from db.home import open_home
from drivers import wake
from drivers.bmc.contract import Driver
from drivers.bmc.engine import Engine
from routing.agent import Agent
from tasks.app import program_app
from tasks.jobtask import JobTask

program_app()


@shared_task(base=JobTask, bind=True, name="rpower")  # type: ignore[untyped-decorator]
def rpower(self: JobTask, *args: Any, **kwargs: Any) -> None:
    """A power action on a noderange, with the words of rpower(1)."""
    self.take_message(args, kwargs)


@shared_task(base=JobTask, bind=True, name="rsetboot")  # type: ignore[untyped-decorator]
def rsetboot(self: JobTask, *args: Any, **kwargs: Any) -> None:
    """The device that nodes boot from next, with the words of rsetboot(1); options: persistent, uefi."""
    self.take_message(args, kwargs)


@shared_task(name="power")  # type: ignore[untyped-decorator]
def power(*, attempt: int, job: int, sn: str, nodes: str, label: str) -> str:
    """Do one attempt; everything but its number is for people who look at Flower."""
    return agent(os.getpid()).work(attempt)


@cache
def agent(pid: int) -> Agent:
    """The agent of this process; a forked child gets its own."""
    home = open_home()
    return Agent(home, driver_of, fallback, wake.bell(home.broker_url() or ""))


@cache
def driver_of(method: str) -> Driver:
    """The driver for a method of core.bmcaccess; one for the process, made when it is first needed."""
    if method == IPMI:
        return Engine()
    from drivers.bmc.redfish import RedfishDriver  # a process without Redfish BMCs never needs TLS

    return RedfishDriver()


@cache
def fallback() -> Driver:
    """pyghmi, for the BMCs that the engine does not understand; one for the process, it has one thread."""
    from drivers.bmc.pyghmi_driver import PyghmiDriver  # most processes never need it

    return PyghmiDriver()
