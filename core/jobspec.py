"""What a job asks of the service nodes: one JSON object in job.spec, fixed when the job is asked."""

import json
from dataclasses import dataclass

from core.bootdev import BootDevice, BootRequest
from core.errors import RequestError
from core.power import Action


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `nodes` power-ons in each interval of `interval_s` seconds, over all service nodes together."""

    interval_s: float
    nodes: int


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One command with the site settings that were in force when it was asked."""

    command: Action | BootRequest
    #: Seconds that a BMC may be silent before it is asked again, and how often.
    timeout_s: float = 3.0
    retries: int = 5
    #: A changing job that could not start within so many seconds is cancelled.
    job_start_s: float = 60.0
    pace: Pace | None = None
    #: Whether nodelist.status follows what was done (site.nodestatus).
    status: bool = False

    def to_text(self) -> str:
        """The JSON for job.spec."""
        if isinstance(self.command, BootRequest):
            boot = self.command
            what: dict[str, object] = {"boot": [boot.device.value, boot.persistent, boot.uefi]}
        else:
            what = {"power": self.command.value}
        what |= {"timeout": self.timeout_s, "retries": self.retries, "start": self.job_start_s}
        if self.pace:
            what["pace"] = [self.pace.interval_s, self.pace.nodes]
        if self.status:
            what["status"] = True
        return json.dumps(what)


def from_text(text: str) -> JobSpec:
    """The spec that `to_text` wrote. Raises RequestError when it is none."""
    try:
        told = json.loads(text)
        command: Action | BootRequest
        if "boot" in told:
            device, persistent, uefi = told["boot"]
            command = BootRequest(BootDevice(device), bool(persistent), bool(uefi))
        else:
            command = Action(told["power"])
        pace = Pace(float(told["pace"][0]), int(told["pace"][1])) if "pace" in told else None
        return JobSpec(
            command=command,
            timeout_s=float(told["timeout"]),
            retries=int(told["retries"]),
            job_start_s=float(told["start"]),
            pace=pace,
            status=told.get("status") is True,
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise RequestError(f"the job's specification cannot be read: {error}") from error
