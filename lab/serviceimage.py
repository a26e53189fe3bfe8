"""`make lab ARGS=--service-image`: a service node from the image of profile `service`, as a real machine.

              mgt 10.10.0.0/24
    mn1       .1      PostgreSQL, Redis, Serval, its services in a network namespace
    sn1       .11     a QEMU machine that boots the service image from mn1
    cn1's BMC .101    ipmi_sim

The image is nobody's: it comes up with its worker off. It is configured by hand, on its serial console, on a
small disk of its own; then its worker joins, mounts the management node's folders over NFS, keeps its daemons
by systemd, and is given work. At last its power fails, and it joins again without anybody's help.
"""

import json
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import UnavailableError
from lab import ipmisim
from lab.image import Image, cache_folder
from lab.laboratory import MN_SERVER, Laboratory, wait_until
from lab.machine import Machine, accelerator
from lab.namespaces import SWITCHES, namespaces
from lab.serialline import SerialLine
from lab.servicebuild import build
from lab.stages import Stages
from lab.tables import IMAGE_FOLDER, MN, MN_ADDRESS, OSIMAGE, PASSWORD, mac_of

SN, NODE, BMC = "sn1", "cn1", "10.10.0.101"
MEGABYTES = 2048
#: An emulated machine that others disturb.
PATIENCE_S = 900.0
TABLES = f"""\
clustersite:
    objtype=site
    installloc={MN_ADDRESS}:/install
    sharedtftp=1
{MN}:
    objtype=node
    setupdhcp=1
    setuptftp=1
    setupnfs=1
{OSIMAGE}:
    objtype=osimage
    addkcmdline=quiet norandmaps
service:
    objtype=group
    setupntp=1
{SN}:
    objtype=node
    arch=x86_64
    netboot=xnba
    mac={mac_of(200)}
    serialport=0
    serialspeed=115200
    nicips.prov=
    nicnetworks.prov=
{NODE}:
    objtype=node
    servicenode={SN}
    bmc={BMC}
"""
#: What the guest keeps by systemd for its row of the servicenode table.
UNITS = ("serval-worker", "serval-chronyd", "serval-dnsmasq", "serval-nginx")


@dataclass(slots=True)
class ServiceNode:
    """The machine sn1 of a laboratory whose image is the service image."""

    lab: Laboratory
    #: Root's, in the image.
    password: str
    machine: Machine

    def wire(self) -> None:
        """One network, and the management node on it."""
        spaces = self.lab.spaces
        spaces.bridge("mgt", f"{BMC}/24")
        spaces.add(MN)
        spaces.plug(MN, "mgt", f"{MN_ADDRESS}/24")
        spaces.tap(SN, "mgt")

    def start_mn(self) -> None:
        """The management node with its services, and the BMC of a node that is off."""
        self.lab.start_mn()
        self.lab.must("chdef", "-z", given=TABLES)
        self.lab.run("makedhcp", "-n")  # for the management node; the service node is not there yet
        self.lab.must("serval", "services", MN)
        node = Machine(NODE, self.lab.folder / NODE, mac_of(1), NODE, self.lab.accelerator)
        node.save()
        command = ipmisim.write(node, BMC, PASSWORD)
        self.lab.spaces.spawn(SWITCHES, command, self.lab.folder / f"{NODE}-bmc.log")

    def boot(self) -> None:
        """nodeset, and the power button; returns when it asks who is there."""
        self.lab.must("nodeset", SN, f"osimage={OSIMAGE}")
        self.machine.save()
        self.machine.prepare()
        done = subprocess.run(
            self.lab.spaces.inside(SWITCHES, *self.machine.command()),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise UnavailableError(f"QEMU: {done.stderr.strip()}")
        self._until(lambda: "login: " in self._console(), lambda: f"no login: …{self._console()[-1500:]}")

    def _console(self) -> str:
        return self.machine.console.read_text(errors="replace") if self.machine.console.exists() else ""

    def hands(self) -> SerialLine:
        """At its serial console."""
        return SerialLine(self.machine.serial, PATIENCE_S)

    def check_off(self, line: SerialLine) -> None:
        """The image is nobody's: its worker is off, and would not start without a configuration."""
        for unit in ("serval-worker", "chrony", "nginx", "dnsmasq", "nfs-ganesha"):
            status, said = line.run(f"systemctl is-active {unit}")
            if status == 0:
                raise UnavailableError(f"{unit} of the image runs unasked: {said}")
        line.must("systemctl start serval-worker")
        if line.run("systemctl is-active serval-worker")[0] == 0:
            raise UnavailableError("the worker runs without a configuration")

    def configure(self, line: SerialLine) -> None:
        """What an administrator does by hand: a disk for what it keeps, serval.toml there, the unit on."""
        line.must("mkfs.ext4 -q -L serval /dev/vda && udevadm settle")
        line.must("systemctl start var-lib-serval.mount && chmod 700 /var/lib/serval")
        (url,) = self.lab.must("serval", "db", "grant", SN)
        settings = {"name": SN, "mn": MN, "server": MN_SERVER, "database": url}
        settings["broker"] = self.lab.stores.broker
        text = "".join(f'{key} = "{value}"\n' for key, value in settings.items())
        line.write("/var/lib/serval/serval.toml", text)
        line.must("sync; systemctl start serval-worker")

    def joined(self) -> dict[str, str]:
        """Wait until it lives and its services have been set up; service → state."""
        found: dict[str, str] = {}

        def live() -> bool:
            told = self._told()
            found.update({one["service"]: one["state"] for one in told.get("services", [])})
            return told.get("state") == "live" and bool(found)

        self._until(live, lambda: self.lab.run("serval", "sn").stdout)
        return found

    def fail(self) -> None:
        """Its power fails and comes back; returns when the management node has missed it."""
        self.machine.reset()
        self._until(lambda: self._told().get("state") != "live", lambda: f"{SN} was reset, and is live")

    def _told(self) -> dict[str, Any]:
        """What `serval sn` tells of it."""
        lines = self.lab.run("serval", "sn", "--json").stdout.splitlines()
        members: dict[str, dict[str, Any]] = {one["name"]: one for one in map(json.loads, lines)}
        return members.get(SN, {})

    def check_services(self, line: SerialLine) -> None:
        """Mounted by NFS, kept by systemd."""
        for folder in ("/install", "/tftpboot"):
            told = line.must(f"findmnt -rno FSTYPE,SOURCE {folder}")
            if f"nfs4 {MN_ADDRESS}:{folder}" not in told.splitlines():
                raise UnavailableError(f"{folder} of {SN} is not mounted: {told}")
        line.must(f"test -s /{IMAGE_FOLDER}/kernel")
        command = f"systemctl is-active {' '.join(UNITS)}"
        self._until(
            lambda: line.run(command)[0] == 0 or self.lab.run("serval", "services", SN).returncode == 0,
            lambda: f"{line.run(command)}, {self.lab.run('serval', 'services', SN)}",
        )
        line.must(command)

    def work(self) -> None:
        """A command for a node of its pool is done by it, and by nobody else."""
        self._until(lambda: self.lab.run("rpower", NODE, "stat").returncode == 0, lambda: str(self._power()))
        said = self._power()
        if said != f"{NODE}: off" or SN not in "".join(self.lab.must("serval", "why", NODE)):
            raise UnavailableError(f"rpower stat of {NODE} through {SN}: {said}")

    def _power(self) -> str:
        done = self.lab.run("rpower", NODE, "stat")
        return (done.stdout + done.stderr).strip()

    def _until(self, holds: Callable[[], bool], otherwise: Callable[[], str]) -> None:
        wait_until(holds, otherwise, PATIENCE_S)


def service_node(folder: str, stages: Stages, *, keep: bool = False) -> None:
    """The whole story. Raises ServalError when anything is not as it should be; removes all it made.

    `folder`: a rootimgdir with a service image whose root has PASSWORD; empty: genimage makes one, kept for
    the next time.
    """
    with stages.stage("service image (genimage, packimage)"):
        if folder:
            place, password = Path(folder), PASSWORD
        else:
            place, password = build(cache_folder() / "service")
        image = Image(place / "kernel", place / "initrd-stateless.gz", place / "rootimg.sfs")
    run = Path(tempfile.mkdtemp(prefix="serval-lab-"))
    run.chmod(0o755)  # nginx and PostgreSQL have users of their own
    with namespaces(run) as spaces:
        how = accelerator(image)
        lab = Laboratory(spaces, image, how)
        machine = Machine(SN, run / SN, mac_of(200), SN, how, megabytes=MEGABYTES, gigabytes=1)
        node = ServiceNode(lab, password, machine)
        try:
            story(node, stages)
        finally:
            if keep:
                spaces.keep()
                stages.out.write(f"\nIt is left running. Its serial line: {node.machine.serial}\n")


def story(node: ServiceNode, stages: Stages) -> None:
    """Boot it, configure it by hand, and give it work."""
    with stages.stage("network"):
        node.wire()
    with stages.stage("PostgreSQL, Redis, management node and its services"):
        node.start_mn()
    with stages.stage(f"{SN} booted the service image ({node.machine.accelerator})"):
        node.boot()
    with node.hands() as line:
        with stages.stage("logged in on its console; its worker is off"):
            line.log_in("root", node.password)
            node.check_off(line)
        with stages.stage("configured by hand; the worker joined"):
            node.configure(line)
            told = node.joined()
        stages.out.write(f"    services: {' '.join(f'{name}={state}' for name, state in told.items())}\n")
        with stages.stage("/install and /tftpboot mounted, daemons kept by systemd"):
            node.check_services(line)
        with stages.stage(f"rpower {NODE} stat, done by {SN}"):
            node.work()
    with stages.stage(f"{SN} lost its power, booted, and joined again by itself"):
        node.fail()
        node.joined()
    with stages.stage(f"rpower {NODE} stat, done by {SN} again"):
        node.work()
