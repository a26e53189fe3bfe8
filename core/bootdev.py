"""Boot devices of `rsetboot`, as rules without any I/O (IPMI 2.0 section 28.12, xCAT rsetboot(1))."""

from dataclasses import dataclass
from enum import StrEnum

from core.errors import RequestError


class BootDevice(StrEnum):
    """A boot device in xCAT's words; STAT only asks."""

    NET = "net"
    HD = "hd"
    CD = "cd"
    DEFAULT = "default"
    BIOS = "bios"
    STAT = "stat"


#: Boot device selector, bits 5:2 of data byte 2 of boot option parameter 5.
SELECTOR = {
    BootDevice.DEFAULT: 0,
    BootDevice.NET: 1,
    BootDevice.HD: 2,
    BootDevice.CD: 5,
    BootDevice.BIOS: 6,
}

#: What xCAT prints for a selector that is in force.
LABEL = {
    0: "BIOS default",
    1: "Network",
    2: "Hard Drive",
    5: "CD/DVD",
    6: "BIOS Setup",
    15: "Floppy",
}

#: Printed when no override is in force.
INACTIVE = "boot override inactive"


@dataclass(frozen=True, slots=True)
class BootRequest:
    """One rsetboot: the device, whether it stays (-p) and whether it is a UEFI boot (-u)."""

    device: BootDevice
    persistent: bool = False
    uefi: bool = False


def parse_device(word: str) -> BootDevice:
    """The device that `word` names.

    Raises RequestError, naming the word and the valid ones.
    """
    try:
        return BootDevice(word)
    except ValueError:
        known = "|".join(device.value for device in BootDevice)
        raise RequestError(f"Unsupported command: rsetboot {word}. Valid devices: {known}") from None
