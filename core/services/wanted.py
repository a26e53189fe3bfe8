"""One row of the servicenode table read strictly: which services a service node shall run.

Columns and values are those of xCAT's servicenode(5), with one rule more: 0, no and empty switch off what
Serval switched on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

YES = frozenset({"1", "yes", "y", "enable"})
NO = frozenset({"", "0", "no", "n", "disable"})


class Service(StrEnum):
    """The columns of servicenode that can be on or off, in the order in which they are set up."""

    FTP = "ftpserver"
    LDAP = "ldapserver"
    NTP = "ntpserver"
    NAMES = "nameserver"
    DHCP = "dhcpserver"
    PROXY_DHCP = "proxydhcp"
    TFTP = "tftpserver"
    NFS = "nfsserver"
    CONSOLES = "conserver"
    FORWARD = "ipforward"
    MONITOR = "monserver"
    NIM = "nimserver"


#: Services that know a second way: a nameserver that holds the records itself; goconserver.
TWO = frozenset({Service.NAMES, Service.CONSOLES})
#: What is refused.
NOT_THERE = {
    Service.NIM: "NIM installs AIX, which Serval does not; set setupnim=0",
}


class State(StrEnum):
    """What became of a service."""

    OK = "ok"
    OFF = "off"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one column asks for. `refusal` says why it cannot be had; then nothing is changed."""

    service: Service
    on: bool
    #: nameserver=2: it holds the records itself.
    second: bool = False
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One service of one host after it was set up or looked at."""

    #: A column of servicenode, or the mount `installloc` or `sharedtftp`.
    service: str
    state: State
    sentence: str


def read(row: Mapping[str, str]) -> list[Wanted]:
    """Every service with what the row says of it; `row` is column → value of one service node."""
    found = [_one(service, row.get(service.value, "").strip()) for service in Service]
    if any(one.on and one.service is Service.DHCP for one in found):
        found = [_beside_dhcp(one) if one.service is Service.PROXY_DHCP else one for one in found]
    return found


def _beside_dhcp(proxy: Wanted) -> Wanted:
    """A proxy is for networks whose addresses another host gives."""
    said = "setupdhcp=1 gives this host's nodes address and boot file; set setupproxydhcp=0"
    return replace(proxy, refusal=proxy.refusal or said) if proxy.on else proxy


def _one(service: Service, value: str) -> Wanted:
    word = value.lower()
    if word in NO:
        return Wanted(service, on=False)
    if service in NOT_THERE:
        return Wanted(service, on=True, refusal=NOT_THERE[service])
    if word == "2" and service in TWO:
        return Wanted(service, on=True, second=True)
    if word in YES:
        return Wanted(service, on=True)
    known = "1, 2 or 0" if service in TWO else "1 or 0"
    return Wanted(service, on=True, refusal=f"servicenode.{service} is {value!r}; it must be {known}")


def asked(found: list[Wanted]) -> bool:
    """Whether anything is wanted at all."""
    return any(one.on for one in found)
