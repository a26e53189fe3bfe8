"""dnsmasq as the daemon of DHCP, and as that of TFTP and DNS: what runs, how it is tried. See dnsmasq.py."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from core.services.wanted import Service
from drivers.services.daemon import Check, Daemon, Port
from drivers.services.dhcpprobe import PROXY_PORT, SERVER_PORT, dhcp_inform, pxe_request
from drivers.services.dnsmasq import CONFIG, DnsmasqSettings, prepare, render_dnsmasq
from drivers.services.probes import dns_query, tftp_read

TFTP_PORT = 69
#: The daemons' names. DHCP has a process of its own, because it may have to be restarted for a record.
DHCP, NAMES = "dnsmasq-dhcp", "dnsmasq"


@dataclass(frozen=True, slots=True)
class Tries:
    """What the services are asked for: a file below tftp_root with its content, and a name."""

    file: str
    content: bytes
    name: str


def daemon(settings: DnsmasqSettings, tries: Tries) -> Daemon:
    """dnsmasq with its configuration in the folder of its settings. Raises RequestError."""
    config = settings.folder / CONFIG
    return Daemon(
        name=DHCP if settings.dhcp else NAMES,
        package="dnsmasq-base",
        command=("dnsmasq", "--keep-in-foreground", "--log-facility=-", f"--conf-file={config}"),
        files={config: render_dnsmasq(settings)},
        prepare=partial(prepare, settings.folder),
        ports=tuple(_ports(settings)),
        test=("dnsmasq", "--test", f"--conf-file={config}"),
        checks=_checks(settings, tries),
    )


def _ports(settings: DnsmasqSettings) -> list[Port]:
    found = []
    if settings.dns:
        # On loopback: a resolver of the host itself has another address there and may stay.
        found += [Port("udp", settings.port, "127.0.0.1"), Port("tcp", settings.port, "127.0.0.1")]
    if settings.dhcp:
        found.append(Port("udp", SERVER_PORT))
        found += [Port("udp", PROXY_PORT)] if settings.proxy else []
    if settings.tftp_root:
        found.append(Port("udp", TFTP_PORT))
    return found


def _checks(settings: DnsmasqSettings, tries: Tries) -> dict[str, Check]:
    found: dict[str, Check] = {}
    if settings.dns:
        found[Service.NAMES] = partial(dns_query, tries.name, port=settings.port)
    if settings.dhcp:
        service, ask = (Service.PROXY_DHCP, pxe_request) if settings.proxy else (Service.DHCP, dhcp_inform)
        found[service] = partial(_every_interface, ask, settings.dhcp.interfaces)
    if settings.tftp_root:
        found[Service.TFTP] = partial(tftp_read, tries.file, tries.content)
    return found


def _every_interface(ask: Callable[[str], str | None], names: tuple[str, ...]) -> str | None:
    if not names:
        return "no interface of this host is on a network of the networks table"
    return next(filter(None, map(ask, names)), None)
