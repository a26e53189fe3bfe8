"""Which daemons a host runs for which services, each described from the tables: one line a daemon."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from core.autoinst.document import FOLDER, SERVER
from core.dhcpplan import plan
from core.netdoc import NetworksDoc
from core.services import settings
from core.services.wanted import YES, Service, Wanted
from drivers.files import write_whole
from drivers.interfaces import read_networks
from drivers.servedfiles import link_install
from drivers.services import chrony, conserver, dnsmasqd, ganesha, nginx, slapd, vsftpd
from drivers.services.daemon import Daemon, Folder
from drivers.services.dnsmasq import Dns, DnsmasqSettings, write_records
from drivers.services.upkeep import make, read
from routing.consoles import console_command
from routing.hosttables import HostTables

#: A small file below tftpdir that is read over HTTP and TFTP to see whether they work.
SAMPLE = "serval-check"
SAMPLE_TEXT = "Serval reads this file to see whether TFTP and HTTP work.\n"


@dataclass(frozen=True, slots=True)
class Part:
    """A daemon and the services that it is needed for; `describe` gets those of them that are on."""

    name: str
    services: tuple[Service, ...]
    describe: Callable[[HostTables, Sequence[Wanted]], Daemon]


def _vsftpd(tables: HostTables, _: Sequence[Wanted]) -> Daemon:
    root = tables.home.host_path(settings.trees(tables.site).install)
    empty = tables.home.host_path("/var/run/vsftpd/empty")
    return vsftpd.daemon(root, tables.folder("vsftpd"), empty, Service.FTP)


def _slapd(tables: HostTables, _: Sequence[Wanted]) -> Daemon:
    return slapd.daemon(tables.home.host_path("/etc/ldap/slapd.d"), Service.LDAP)


def _chrony(tables: HostTables, _: Sequence[Wanted]) -> Daemon:
    clock = settings.clock(tables.site, tables.nets, tables.home.name, is_mn=tables.is_mn)
    state = tables.home.host_path("/var/lib/chrony")
    return chrony.daemon(clock, tables.folder("chrony"), state, Service.NTP)


def _nginx(tables: HostTables, _: Sequence[Wanted]) -> Daemon:
    found = settings.trees(tables.site)
    install, tftp = (tables.home.host_path(path) for path in (found.install, found.tftp))
    trees = (
        nginx.Tree("/install", install),
        nginx.Tree(f"/install/{FOLDER}", install / FOLDER, SERVER),
        nginx.Tree("/tftpboot", tftp),
    )
    web = nginx.Web(trees, found.http_port, f"/tftpboot/{SAMPLE}", SAMPLE_TEXT.encode())
    described = nginx.daemon(web, tables.folder("nginx"), Service.NFS)
    return replace(described, prepare=partial(write_sample, tftp))


def _dhcp(tables: HostTables, asked: Sequence[Wanted]) -> Daemon:
    """Addresses and boot files, or boot files alone."""
    own = read_networks()
    attached = [(one.interface, one.network) for one in own]
    return dnsmasqd.daemon(
        DnsmasqSettings(
            folder=tables.folder(dnsmasqd.DHCP),
            addresses=tuple((one.interface, str(one.address)) for one in own),
            dhcp=plan(tables.networks or NetworksDoc(), tables.home.name, attached),
            proxy=all(one.service is Service.PROXY_DHCP for one in asked),
            http_port=settings.trees(tables.site).http_port,
        ),
        _tries(tables),
    )


def _dnsmasq(tables: HostTables, asked: Sequence[Wanted]) -> Daemon:
    """TFTP and DNS are one daemon."""
    on = {one.service: one for one in asked}
    trees = settings.trees(tables.site)
    tftp = tables.home.host_path(trees.tftp) if Service.TFTP in on else None
    names = on.get(Service.NAMES)
    answers = dns(tables, tables.networks or NetworksDoc(), names) if names else None
    folder = tables.folder(dnsmasqd.NAMES)
    described = dnsmasqd.daemon(
        DnsmasqSettings(
            folder=folder,
            interfaces=tuple(dict.fromkeys(["lo", *(one.interface for one in read_networks())])),
            tftp_root=str(tftp) if tftp else "",
            dns=answers,
        ),
        _tries(tables),
    )
    steps = [described.prepare]
    steps.append(partial(write_records, folder, tables.records if answers and answers.records else ""))
    if tftp is not None:
        steps.append(partial(_prepare_tftp, tftp, tables.home.host_path(trees.install)))
    return replace(described, prepare=partial(_each, steps))


def _tries(tables: HostTables) -> dnsmasqd.Tries:
    return dnsmasqd.Tries(SAMPLE, SAMPLE_TEXT.encode(), tables.home.name)


def _each(steps: Sequence[Callable[[], None]]) -> None:
    for step in steps:
        step()


def _prepare_tftp(tftpdir: Path, installdir: Path) -> None:
    write_sample(tftpdir)
    link_install(tftpdir, installdir)


def dns(tables: HostTables, told: NetworksDoc, asked: Wanted) -> Dns:
    """nameserver=1 asks the management node, nameserver=2 and the management node itself hold the records."""
    records = tables.is_mn or asked.second
    domains = dict.fromkeys([told.domain, *(one.domain for one in told.networks)])
    outside = told.forwarders or (() if tables.is_mn else told.master)
    return Dns(
        domains=tuple(name for name in domains if name),
        records=records,
        servers=outside if records else told.master or told.forwarders,
    )


def _conserver(tables: HostTables, _: Sequence[Wanted]) -> Daemon:
    master = tables.site.get("master", "").strip()
    return conserver.daemon(
        conserver.Consoles(
            consoles=tables.consoles,
            command=console_command(tables.home),
            logs=tables.home.logs / tables.home.name / "consoles",
            trusted=("127.0.0.1", *([settings.host(master, "site.master")] if master else [])),
            on_demand=tables.site.get("consoleondemand", "").lower() in YES,
        ),
        tables.folder("conserver"),
        Service.CONSOLES,
    )


def _ganesha(tables: HostTables, _: Sequence[Wanted]) -> Daemon:
    found = settings.trees(tables.site)
    trees = {path: tables.home.host_path(path) for path in (found.install, found.tftp)}
    return ganesha.daemon(trees, tables.folder("ganesha"), Service.NFS)


def write_sample(tftpdir: Path) -> None:
    """Write the file that is read to see whether services work. Raises RequestError."""
    make(Folder(tftpdir))
    if read(tftpdir / SAMPLE) != SAMPLE_TEXT:
        write_whole(tftpdir / SAMPLE, SAMPLE_TEXT, 0o644)


#: In the order in which they are started.
DAEMONS = (
    Part("vsftpd", (Service.FTP,), _vsftpd),
    Part("slapd", (Service.LDAP,), _slapd),
    Part("chronyd", (Service.NTP,), _chrony),
    Part("conserver", (Service.CONSOLES,), _conserver),
    Part(dnsmasqd.NAMES, (Service.NAMES, Service.TFTP), _dnsmasq),
    Part(dnsmasqd.DHCP, (Service.DHCP, Service.PROXY_DHCP), _dhcp),
    Part("nginx", (Service.NFS,), _nginx),
    Part("ganesha", (Service.NFS,), _ganesha),
)
