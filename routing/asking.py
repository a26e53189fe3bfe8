"""Turning what somebody asks into a job: the site's settings, the pools, and what cannot be done at all."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.bootdev import BootDevice, BootRequest
from core.jobspec import JobSpec
from core.power import Action, changes_state
from core.site import PACED_ACTIONS, number, pace
from db.engine import Connection
from db.jobs import NewJob
from db.lookup import site_values
from db.nodestatus import is_written
from routing.pools import pools_of

JOB_START_S = 60


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks what, as the command line or a Python program has it."""

    #: Unique: asked twice with the same id, it is one job.
    request: str
    command: str
    what: Action | BootRequest
    nodes: Sequence[str]
    #: What people read: `rpower compute on`.
    label: str
    who: str


def changing(what: Action | BootRequest) -> bool:
    """Whether it can change a node."""
    if isinstance(what, BootRequest):
        return what.device is not BootDevice.STAT
    return changes_state(what)


def spec_of(what: Action | BootRequest, site: dict[str, str]) -> JobSpec:
    """The command with the settings in force. Raises RequestError, naming the setting that cannot be used."""
    paced = not isinstance(what, BootRequest) and what.value in PACED_ACTIONS
    return JobSpec(
        command=what,
        timeout_s=number(site, "ipmitimeout", 3, least=0.05),
        retries=int(number(site, "ipmiretries", 5, least=1)),
        job_start_s=number(site, "jobstart", JOB_START_S, least=1),
        pace=pace(site) if paced else None,
        status=changing(what) and is_written(site),
    )


def new_job(connection: Connection, asked: Asked, mn: str) -> NewJob:
    """The job as it is to be written. Raises RequestError for a site setting that cannot be used."""
    spec = spec_of(asked.what, site_values(connection))
    pools = pools_of(connection, asked.nodes, mn)
    return NewJob(
        request=asked.request,
        command=asked.command,
        spec=spec.to_text(),
        label=asked.label,
        who=asked.who,
        changing=changing(asked.what),
        paced=spec.pace is not None,
        pools=pools.of,
        hopeless=pools.hopeless,
        remarks=pools.remarks,
    )
