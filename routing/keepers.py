"""What a host keeps of the desired state, and with which driver: one line for each kind."""

from collections.abc import Mapping, Sequence
from functools import partial
from ipaddress import IPv4Interface

from core.services import settings
from core.wanted import Keeper, Kind
from db.home import Home
from drivers.answerfiles import AnswerFiles
from drivers.interfaces import read_networks
from drivers.netboot.trees import BootTrees
from drivers.services.dhcprelease import forget_leases, release_leases
from drivers.services.dnsmasq import LEASES, told_by_signal
from drivers.services.dnsmasqd import DHCP
from drivers.services.dnsmasqhosts import DhcpKeeper
from routing.hosttables import service_folder
from routing.osimages import SHIPPED, STATUS
from routing.services import runner_of
from routing.syncing import OpenKeeper

#: What installers run, and what they put into the new system.
PROGRAMS = (
    STATUS,
    STATUS.with_name("serval-installed"),
    SHIPPED / "root/etc/systemd/system/serval-booted.service",
)


def boot_files(home: Home, site: Mapping[str, str]) -> Keeper:
    """The files that nodes boot from, in site.tftpdir or what noderes says instead."""
    return BootTrees(settings.trees(site).tftp, home.host_path, home.path / "boot" / home.name)


def dhcp_records(home: Home, _: Mapping[str, str]) -> Keeper:
    """The records of this host's DHCP server."""
    folder = service_folder(home, DHCP)
    return DhcpKeeper(folder, home.name, partial(tell_dnsmasq, home), partial(release, home))


def tell_dnsmasq(home: Home) -> None:
    """Let dnsmasq read its files again, when it runs; one that SIGHUP would kill is started again."""
    runner = runner_of(home)
    with runner.records.locked():
        record = runner.records.read(DHCP)
        if record is None or not runner.running(DHCP):
            return
        if told_by_signal():
            runner.tell(DHCP)
        else:
            runner.start(DHCP, record.command, record.digest)


def release(home: Home, pairs: Sequence[tuple[str, str]]) -> None:
    """End the leases of records that went or changed; asks for this host's networks only then."""
    file = service_folder(home, DHCP) / LEASES
    if pairs and runner_of(home).running(DHCP):
        attached = [
            (found.interface, IPv4Interface(f"{found.address}/{found.network.prefixlen}"))
            for found in read_networks()
        ]
        release_leases(file, pairs, attached)
    elif pairs:
        forget_leases(file, pairs)


def answers(home: Home, site: Mapping[str, str]) -> Keeper:
    """What installers of nodes are told, in site.installdir."""
    programs = {file.name: file.read_text(encoding="utf-8") for file in PROGRAMS}
    installdir = home.host_path(settings.trees(site).install)
    return AnswerFiles(installdir, programs, home.path / "autoinst" / home.name)


KEEPERS: Mapping[str, OpenKeeper] = {
    Kind.BOOT: boot_files,
    Kind.DHCP: dhcp_records,
    Kind.AUTOINST: answers,
}
