"""The configuration of dnsmasq (dnsmasq(8)): DHCP, TFTP and DNS of a host.

DHCP runs in a process of its own, with a folder of its own: before 2.91 it must be restarted for each record
that changes, which no client of DHCP notices, and which would cut off transfers by TFTP.

Another daemon would be another module that takes the same values (core/dhcpplan.py, core/dhcpdoc.py). What
changes often is not in this file but in files beside it that dnsmasq reads again when it is told:

    dhcp.hosts, dhcp.d/   records of nodes             drivers/services/dnsmasqhosts.py writes them
    dhcp.options          servers that are not this    likewise
    names.d/              DNS records                  drivers/services/dnsmasqnames.py
    dhcp.leases, dnsmasq.pid                           dnsmasq itself
"""

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.dhcpplan import NO_BOOT, DhcpPlan, Subnet
from core.errors import RequestError, UnavailableError
from core.netdoc import SELF
from drivers.files import write_whole
from drivers.services.dhcpprobe import NOBODY
from drivers.services.dnsmasqboot import boot_options, proxy_boot
from drivers.services.dnsmasqvalue import value

HOSTS = "dhcp.hosts"
MORE_HOSTS = "dhcp.d"
OPTIONS = "dhcp.options"
LEASES = "dhcp.leases"
NAMES = "names.d"
RECORDS = "cluster"
PID = "dnsmasq.pid"
CONFIG = "dnsmasq.conf"

#: The first version that may be told to read its files again.
SURVIVES_SIGHUP = (2, 91)
TEST_S = 10
#: dnsmasq's own limit is 1,000 leases.
MOST_LEASES = 1_000_000
CACHED_NAMES = 10_000
#: Tag of nodes for which this host is not the first member. dnsmasq knows one delay for all of them, so the
#: second and the third member answer at the same time.
LATER = "later"
#: Tag of nodes that a proxy answers.
PROXIED = "proxied"


@dataclass(frozen=True, slots=True)
class Dns:
    """What dnsmasq answers about names."""

    #: site.domain and the networks' domains: it answers for them alone and asks nobody (with `records`).
    domains: tuple[str, ...] = ()
    #: Whether it holds the cluster's records (`names.d`): the management node, and nameserver=2.
    records: bool = False
    #: Addresses that it asks about everything else.
    servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DnsmasqSettings:
    """One host's dnsmasq. A part that is None or empty is switched off."""

    #: Where configuration, leases and pid file lie; `prepare` makes it.
    folder: Path
    #: Interfaces of TFTP and DNS, and those of `dhcp`.
    interfaces: tuple[str, ...] = ()
    #: core.dhcpplan.plan() of this host (servicenode.dhcpserver).
    dhcp: DhcpPlan | None = None
    #: With `dhcp`: it gives boot files and no addresses (servicenode.proxydhcp).
    proxy: bool = False
    #: site.tftpdir (servicenode.tftpserver).
    tftp_root: str = ""
    #: servicenode.nameserver: 1 has `servers` alone, 2 and the management node `records` too.
    dns: Dns | None = None
    #: Port of DNS.
    port: int = 53
    #: Port of this host's HTTP server (site.httpport), from which iPXE loads its script.
    http_port: int = 80
    #: dnsmasq gives up root for it. The folder must be readable to it; root itself serves by TFTP only what
    #: everybody may read.
    user: str = "root"
    #: Interface and address, of every network that this host is on: a client that takes the offer of another
    #: server is left in peace.
    addresses: tuple[tuple[str, str], ...] = ()


def told_by_signal() -> bool:
    """Whether this host's dnsmasq survives SIGHUP: 2.91 and later (their changelog), not Debian 12's 2.90.

    Raises UnavailableError when there is none.
    """
    try:
        done = subprocess.run(
            ["dnsmasq", "--version"], capture_output=True, text=True, timeout=TEST_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UnavailableError(f"dnsmasq does not run: {error}. Install the package dnsmasq-base.") from error
    found = re.search(r"version (\d+)\.(\d+)", done.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= SURVIVES_SIGHUP


def prepare(folder: Path) -> None:
    """Make the folder and what must lie in it before dnsmasq starts. Raises RequestError."""
    try:
        for name in (MORE_HOSTS, NAMES):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name in (HOSTS, OPTIONS):
            (folder / name).touch()
    except OSError as error:
        raise RequestError(f"{folder} cannot be made ready for dnsmasq: {error.strerror}.") from error


def write_records(folder: Path, text: str) -> None:
    """The lines of a hosts file that dnsmasq answers from, written when they differ; it sees them by itself.

    Raises RequestError.
    """
    file = folder / NAMES / RECORDS
    if text != (file.read_text(encoding="utf-8") if file.exists() else ""):
        write_whole(file, text)


def render_dnsmasq(settings: DnsmasqSettings) -> str:
    """The text of dnsmasq.conf. Raises RequestError for a value that would break the file."""
    lines = ["# Written by Serval; changes are lost.", *_base(settings)]
    if settings.dns is None:
        lines.append("port=0")
    else:
        lines += _dns(settings, settings.dns)
    if settings.dhcp is not None:
        lines += (_proxy if settings.proxy else _dhcp)(settings, settings.dhcp)
    if settings.tftp_root:
        lines += ["enable-tftp", f"tftp-root={value(settings.tftp_root)}", "tftp-no-fail"]
    return "".join(f"{line}\n" for line in lines)


def _base(settings: DnsmasqSettings) -> Iterator[str]:
    yield f"pid-file={value(str(settings.folder / PID))}"
    yield f"user={value(settings.user)}"
    yield from ("no-resolv", "no-hosts", "bind-dynamic")
    dhcp = settings.dhcp.interfaces if settings.dhcp else ()
    for name in dict.fromkeys([*settings.interfaces, *dhcp]):
        yield f"interface={value(name)}"
        if settings.dhcp and name not in dhcp:
            # no-dhcp-interface would take its TFTP away too.
            yield f"dhcp-ignore=tag:{value(name)}"


def _dns(settings: DnsmasqSettings, dns: Dns) -> Iterator[str]:
    yield f"port={settings.port}"
    yield f"cache-size={CACHED_NAMES}"
    yield "domain-needed"
    for server in dns.servers:
        yield f"server={value(server)}"
    if dns.records:
        yield f"hostsdir={value(str(settings.folder / NAMES))}"
        yield "bogus-priv"
        for domain in dns.domains:
            yield f"local=/{value(domain)}/"


def _records(settings: DnsmasqSettings, dhcp: DhcpPlan) -> Iterator[str]:
    """What addresses and boot files need alike."""
    yield f"dhcp-leasefile={value(str(settings.folder / LEASES))}"
    yield f"dhcp-hostsfile={value(str(settings.folder / HOSTS))}"
    yield f"dhcp-hostsdir={value(str(settings.folder / MORE_HOSTS))}"
    for interface in sorted(dhcp.no_boot):
        yield f"tag-if=set:{NO_BOOT},tag:{value(interface)}"
    if dhcp.reply_delay_s:
        yield f"dhcp-reply-delay=tag:{LATER},{dhcp.reply_delay_s}"


def _proxy(settings: DnsmasqSettings, dhcp: DhcpPlan) -> Iterator[str]:
    yield from _records(settings, dhcp)
    yield from proxy_boot(settings.http_port, first_addresses(settings))
    # What asks for the health check is answered too.
    yield f"dhcp-host={NOBODY},set:{PROXIED}"
    yield f"dhcp-ignore=tag:!{PROXIED}"
    for subnet in dhcp.subnets:
        if not subnet.told.remote:
            yield f"dhcp-range={subnet.network.network_address},proxy,{subnet.network.netmask}"


def first_addresses(settings: DnsmasqSettings) -> dict[str, str]:
    """This host's first address on each interface."""
    return dict(reversed(settings.addresses))


def _dhcp(settings: DnsmasqSettings, dhcp: DhcpPlan) -> Iterator[str]:
    yield from _records(settings, dhcp)
    yield f"dhcp-lease-max={MOST_LEASES}"
    yield f"dhcp-optsfile={value(str(settings.folder / OPTIONS))}"
    # A ping before each new lease takes 3 s, one after the other. Authoritative: it takes over the leases of
    # a pool member that is dead.
    yield from ("no-ping", "dhcp-authoritative", "dhcp-no-override", "dhcp-ignore-names")
    yield from boot_options(settings.http_port, first_addresses(settings))
    yield from _of_others([address for _, address in settings.addresses])
    if dhcp.place:
        yield f"tag-if=set:{LATER},tag:!known"
    for number, subnet in enumerate(dhcp.subnets):
        yield from _subnet(f"net{number}", subnet, dhcp.lease_s)


def _of_others(addresses: Sequence[str]) -> Iterator[str]:
    """Say nothing to a client that names another server (option 54): an authoritative one would refuse it."""
    if addresses:
        yield "dhcp-match=set:asked,54"
        for address in addresses:
            yield f"dhcp-match=set:own,54,{value(address)}"
        yield "tag-if=set:other,tag:asked,tag:!own"
        yield "dhcp-ignore=tag:other"


def _subnet(tag: str, subnet: Subnet, lease_s: int) -> Iterator[str]:
    network, told = subnet.network, subnet.told
    ranges = [f"{first},{last}" for first, last in subnet.ranges]
    for one in ranges or [f"{network.network_address},static"]:
        yield f"dhcp-range=set:{tag},{one},{network.netmask},{lease_s}s"
    # An option without a value is not sent; dnsmasq would name itself.
    gateway = "" if told.remote and told.gateway == SELF else told.gateway
    yield _option(tag, "router", gateway)
    yield _option(tag, "dns-server", *told.nameservers)
    if told.ntpservers:
        yield _option(tag, "ntp-server", *told.ntpservers)
    if told.logservers:
        yield _option(tag, "log-server", *told.logservers)
    if told.domain:
        yield _option(tag, "domain-name", told.domain)
    if told.mtu:
        yield _option(tag, "mtu", str(told.mtu))


def _option(tag: str, name: str, *values: str) -> str:
    return ",".join([f"dhcp-option=tag:{tag}", f"option:{name}", *(value(one) for one in values if one)])
