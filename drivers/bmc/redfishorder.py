"""What rpower and rsetboot say to a Redfish ComputerSystem, as rules without any I/O (DMTF DSP0266, DSP0268).

A service is read first; `core.power.decide` says what follows. What is sent is held against the values that
the service allows, where it names them, before anything leaves.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from core.bootdev import INACTIVE, LABEL, SELECTOR, BootDevice, BootRequest
from core.errors import BmcRefused, UnsupportedAction
from core.power import Action, Control, Done, Refuse, Send, decide

Document = Mapping[str, Any]

#: ResetType of each command, the one that is tried first in front.
RESET_TYPES = {
    Control.ON: ("On", "ForceOn"),
    Control.OFF: ("ForceOff",),
    Control.SOFTOFF: ("GracefulShutdown",),
    Control.RESET: ("ForceRestart",),
    Control.CYCLE: ("PowerCycle",),
    Control.NMI: ("Nmi",),
    Control.SUSPEND: ("Suspend",),
    Control.WAKE: ("Resume",),
}
#: Few services know these: they are sent only where the service names them.
SELDOM = frozenset({Control.SUSPEND, Control.WAKE})
BOOT_TARGETS = {
    BootDevice.NET: "Pxe",
    BootDevice.HD: "Hdd",
    BootDevice.CD: "Cd",
    BootDevice.BIOS: "BiosSetup",
    BootDevice.DEFAULT: "None",
}
_LABELS = {
    target: LABEL[SELECTOR[device]]
    for device, target in BOOT_TARGETS.items()
    if device is not BootDevice.DEFAULT
} | {"Floppy": "Floppy"}
_POWERED = {"On": True, "Paused": True, "PoweringOn": True, "PoweringOff": True, "Off": False}
_PATH = re.compile(r"(?:https?://[^/]*)?(/[\x21-\x7e]*)")


@dataclass(frozen=True, slots=True)
class Change:
    """One request that changes the node; `sends` is what the gate is asked for, `value` the result."""

    sends: str
    method: str
    path: str
    document: Document
    value: str


@dataclass(frozen=True, slots=True)
class Reset:
    """The action #ComputerSystem.Reset: where to post, and what it allows or where that is told."""

    path: str
    allowed: Collection[str] | None
    info: str | None


def dig(document: object, *keys: str) -> Any:
    """The value under nested keys of a JSON document; None when one of them is missing."""
    for key in keys:
        if not isinstance(document, Mapping):
            return None
        document = document.get(key)
    return document


def path_of(link: object) -> str | None:
    """The path of a link or Location, on this very service; None when it is none."""
    found = _PATH.fullmatch(link) if isinstance(link, str) else None
    return found[1] if found else None


def strings(value: object) -> list[str] | None:
    """A list of texts; None when it is none or empty."""
    found = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
    return found or None


def choose_system(members: object) -> str:
    """The path of the only system; OpenBMC names it `system` beside its hypervisor. Raises BmcRefused."""
    listed = members if isinstance(members, list) else []
    paths = [path for member in listed if (path := path_of(dig(member, "@odata.id")))]
    named = [path for path in paths if path.rstrip("/").rpartition("/")[2] == "system"]
    for choice in (paths, named):
        if len(choice) == 1:
            return choice[0]
    if not paths:
        raise BmcRefused("the Redfish service has no system")
    raise BmcRefused(f"the Redfish service has {len(paths)} systems; name one: bmc=https://…{paths[0][:80]}")


def power(action: Action, system: Document) -> Done | Send:
    """What the power state of the system asks for. Raises BmcRefused when it forbids that, or is not told."""
    state = dig(system, "PowerState")
    powered = _POWERED.get(state) if isinstance(state, str) else None
    if powered is None:
        raise BmcRefused(f"the Redfish service tells no power state: {str(state)[:40]!r}")
    # A node that is going down is on for every action but the one that wants it to stay on.
    decision = decide(action, powered and not (action is Action.ON and state == "PoweringOff"))
    if isinstance(decision, Refuse):
        raise BmcRefused(decision.reason)
    return decision


def reset_of(system: Document) -> Reset:
    """The reset action of a system. Raises BmcRefused when it has none."""
    action = dig(system, "Actions", "#ComputerSystem.Reset")
    path = path_of(dig(action, "target"))
    if path is None:
        raise BmcRefused("the Redfish service offers no reset of this system")
    allowed = strings(dig(action, "ResetType@Redfish.AllowableValues"))
    return Reset(path, allowed, path_of(dig(action, "@Redfish.ActionInfo")))


def allowed_by_info(info: Document) -> list[str] | None:
    """The reset types that an ActionInfo names; None when it names none."""
    parameters = dig(info, "Parameters")
    for parameter in parameters if isinstance(parameters, list) else []:
        if dig(parameter, "Name") == "ResetType":
            return strings(dig(parameter, "AllowableValues"))
    return None


def reset_change(send: Send, path: str, allowed: Collection[str] | None) -> Change:
    """The POST that carries out `send`. Raises BmcRefused or UnsupportedAction with what is allowed."""
    wanted = RESET_TYPES[send.control]
    if allowed is None and send.control in SELDOM:
        raise UnsupportedAction(
            "Invalid or unsupported command: the service does not say which reset types it allows, "
            f"and few allow {wanted[0]}"
        )
    reset_type = _allowed(wanted, allowed, "reset type")
    return Change(send.control.value, "POST", path, {"ResetType": reset_type}, send.value)


def boot_change(request: BootRequest, system: Document, path: str) -> Change:
    """The PATCH that sets the boot device. Raises BmcRefused with the allowed values."""
    target = BOOT_TARGETS[request.device]
    if request.device is BootDevice.DEFAULT:
        boot = {"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": target}
        return Change("setboot", "PATCH", path, {"Boot": boot}, INACTIVE)
    allowed = strings(dig(system, "Boot", "BootSourceOverrideTarget@Redfish.AllowableValues"))
    boot = {
        "BootSourceOverrideEnabled": "Continuous" if request.persistent else "Once",
        "BootSourceOverrideTarget": _allowed((target,), allowed, "boot source"),
    }
    if request.uefi:
        boot["BootSourceOverrideMode"] = "UEFI"
    return Change("setboot", "PATCH", path, {"Boot": boot}, _LABELS[target])


def boot_label(system: Document) -> str:
    """The boot override in force, in xCAT's words."""
    target = dig(system, "Boot", "BootSourceOverrideTarget")
    if not isinstance(target, str) or target == "None":
        return INACTIVE
    if dig(system, "Boot", "BootSourceOverrideEnabled") == "Disabled":
        return INACTIVE
    return _LABELS.get(target, f"Unknown boot device {target[:40]}")


def _allowed(wanted: Collection[str], allowed: Collection[str] | None, what: str) -> str:
    for value in wanted:
        if allowed is None or value in allowed:
            return value
    named = ", ".join(sorted(allowed or ()))[:200]
    raise BmcRefused(f"the service does not offer the {what} {' or '.join(wanted)}; it allows: {named}")
