"""A whole cluster on one machine: management node, service nodes and QEMU nodes, joined by three networks.

          mgt 10.10.0.0/24      prov 10.20.0.0/24      bmc 10.30.0.0/24
    mn1   .1
    sn1   .11                   .11                    .11
    sn2   .12                   .12                    .12
    cn1                         .101                   .101 (ipmi_sim)

It drives Serval through its commands alone, as an administrator does. Every host has a SERVAL_HOME and a root
folder of its own, as if it were a machine of its own.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import UnavailableError
from lab import ipmisim
from lab.image import Image
from lab.machine import Machine
from lab.namespaces import SWITCHES, Namespaces
from lab.stores import Stores
from lab.tables import IMAGE_FOLDER, MN, MN_ADDRESS, OSIMAGE, PASSWORD, SNS, definitions, mac_of

#: Where the management node's command server hears service nodes.
MN_SERVER = f"{MN_ADDRESS}:3001"
#: Where a node sees that it booted from a service node.
PROV = {"10.20.0.11": "sn1", "10.20.0.12": "sn2"}
#: What the servicenode table asks of a service node.
SERVICES = {"dhcpserver", "tftpserver", "nfsserver"}
#: What something may take before it counts as broken: several times what it takes on a slow machine.
PATIENCE_S = 90.0
LOOK_S = 0.1

ENTER = """\
#!/bin/sh
# A shell, or a command, on a host of the laboratory: {hosts}.
host=${{1:?HOST: one of {hosts}}}; shift
[ $# -gt 0 ] || set -- bash
exec ip netns exec {run}-"$host" env SERVAL_HOME={folder}/"$host"/home PATH={programs}:"$PATH" "$@"
"""


@dataclass(slots=True)
class Laboratory:
    """The cluster in `spaces`. Its parts are made in the order of the methods."""

    spaces: Namespaces
    image: Image
    accelerator: str
    nodes: int = 1
    firmware: str = "bios"
    #: noderes.netboot of the nodes.
    netboot: str = "xnba"
    machines: dict[str, Machine] = field(default_factory=dict)
    stores: Stores = field(init=False)

    def __post_init__(self) -> None:
        self.stores = Stores(self.spaces, MN, MN_ADDRESS, "10.10.0.0/24")

    @property
    def folder(self) -> Path:
        """Where everything lies."""
        return self.spaces.folder

    def home(self, host: str) -> Path:
        """SERVAL_HOME of a host."""
        return self.folder / host / "home"

    # -- commands ----------------------------------------------------------------------------------

    def environment(self, host: str) -> dict[str, str]:
        """What the commands of a host see."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("SERVAL_")}
        return own | {"SERVAL_HOME": str(self.home(host))}

    def run(
        self, *command: str, host: str = MN, given: str = "", seconds: float = PATIENCE_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of Serval on a host to its end."""
        return subprocess.run(
            self.spaces.inside(host, sys.executable, "-m", "cli.main", *command),
            env=self.environment(host), input=given, capture_output=True, text=True, timeout=seconds,
            check=False,
        )  # fmt: skip

    def must(self, *command: str, host: str = MN, given: str = "", seconds: float = PATIENCE_S) -> list[str]:
        """The lines that a command of Serval says. Raises UnavailableError unless its exit status is 0."""
        done = self.run(*command, host=host, given=given, seconds=seconds)
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip())[-2000:]
            raise UnavailableError(f"{' '.join(command)}: exit status {done.returncode}: {said}")
        return done.stdout.splitlines()

    # -- building ----------------------------------------------------------------------------------

    def wire(self) -> None:
        """The networks and the hosts on them."""
        spaces = self.spaces
        spaces.bridge("mgt")
        spaces.bridge("prov", "fe80::1/64")
        spaces.bridge("bmc", *(f"{address}/24" for _, address in self._numbered("10.30.0")))
        spaces.add(MN)
        spaces.plug(MN, "mgt", f"{MN_ADDRESS}/24")
        for number, sn in enumerate(SNS):
            spaces.add(sn)
            for bridge, net in (("mgt", "10.10.0"), ("prov", "10.20.0"), ("bmc", "10.30.0")):
                spaces.plug(sn, bridge, f"{net}.{11 + number}/24")
        self._spawn(SWITCHES, "routeradvert", sys.executable, "-m", "lab.routeradvert", "prov")

    def start_mn(self) -> None:
        """PostgreSQL and Redis, the management node, and what the tables say."""
        self.stores.start()
        self._furnish(MN, database=self.stores.database, listen=MN_SERVER)
        hosts = {"run": self.spaces.run, "folder": self.folder, "hosts": ", ".join((MN, *SNS))}
        enter = self.folder / "enter"
        enter.write_text(ENTER.format(**hosts, programs=Path(sys.executable).parent), encoding="utf-8")
        enter.chmod(0o755)
        # It gives up after 30 seconds; on a machine that is busy what it started comes up later.
        wait_until(lambda: self.run("serval", "up").returncode == 0, lambda: str(self.run("serval", "up")))
        addresses, bmcs = self._numbered("10.20.0"), self._numbered("10.30.0")
        self.must("chdef", "-z", given=definitions(self.netboot, addresses, bmcs))

    def start_sns(self) -> None:
        """The service nodes; they set up their services by themselves, and say so when these answer."""
        for sn in SNS:
            (url,) = self.must("serval", "db", "grant", sn)
            self._furnish(sn, database=url, server=MN_SERVER)
            self.start_worker(sn)
        # Whoever joins is live after four beats; until then this says so of it.
        wait_until(
            lambda: self.run("makedhcp", "-n").returncode == 0, lambda: self.run("serval", "sn").stdout
        )
        wait_until(
            lambda: all(self._live().get(sn, set()) >= SERVICES for sn in SNS),
            lambda: self.run("serval", "sn").stdout,
        )

    def start_worker(self, sn: str) -> None:
        """Start a service node, for the first time or again."""
        self._spawn(sn, f"{sn}-worker", sys.executable, "-m", "cli.main", "serval", "worker", sn)

    def _live(self) -> dict[str, set[str]]:
        """Members that live, with those of their services that answer."""
        members = [json.loads(line) for line in self.run("serval", "sn", "--json").stdout.splitlines()]
        return {
            member["name"]: {one["service"] for one in member["services"] if one["state"] == "ok"}
            for member in members
            if member["state"] == "live"
        }

    def _furnish(self, host: str, **settings: str) -> None:
        """Give a host its home with these settings, and its root folder with the image."""
        root, home = self.folder / host / "root", self.home(host)
        (self.folder / host).mkdir(mode=0o755)
        home.mkdir(mode=0o700)
        settings |= {"name": host, "mn": MN, "root": str(root), "broker": self.stores.broker}
        lines = [f'{key} = "{value}"\n' for key, value in settings.items()]
        (home / "serval.toml").touch(mode=0o600)
        (home / "serval.toml").write_text("".join(lines), encoding="utf-8")
        install_image(self.image, root / IMAGE_FOLDER)

    def start_machines(self) -> None:
        """The nodes, switched off, and their BMCs."""
        for number, (name, bmc) in enumerate(self._numbered("10.30.0"), start=1):
            machine = Machine(name, self.folder / name, mac_of(number), name, self.accelerator, self.firmware)
            machine.save()
            self.spaces.tap(name, "prov")
            self._spawn(SWITCHES, f"{name}-bmc", *ipmisim.write(machine, bmc, PASSWORD))
            self.machines[name] = machine

    def _numbered(self, net: str) -> Iterator[tuple[str, str]]:
        """Each node with its address in a network."""
        for number in range(1, self.nodes + 1):
            yield f"cn{number}", f"{net}.{100 + number}"

    def _spawn(self, host: str, log: str, *command: str) -> None:
        self.spaces.spawn(host, command, self.folder / f"{log}.log", self.environment(host))

    # -- what happens ------------------------------------------------------------------------------

    def boot(self, action: str, sn: str) -> None:
        """`rpower` all nodes, and wait until each booted anew from this service node and Serval knows it.

        Each boot has a nonce of the kernel's making, and says where its image came from. Raises
        UnavailableError when a node comes up from elsewhere, or not in time.
        """
        before = {name: machine.reports() for name, machine in self.machines.items()}
        self.must("rpower", "compute", action)
        for name, old in before.items():
            self._booted(name, sn, old)

    def _booted(self, name: str, sn: str, old: list[dict[str, str]]) -> None:
        machine = self.machines[name]
        wait_until(
            lambda: len(machine.reports()) > len(old), lambda: f"{name} does not boot: {machine.last()}"
        )
        report = machine.reports()[-1]
        source = PROV.get(report["server"].partition(":")[0])
        if source != sn or report["nonce"] in {one["nonce"] for one in old}:
            raise UnavailableError(f"{name} should have booted anew from {sn}, and says: {report}")
        wait_until(
            lambda: self.status(name) == "booted", lambda: f"{name} booted, but is {self.status(name)}"
        )

    def status(self, node: str) -> str:
        """nodelist.status of a node."""
        (line,) = self.must("nodels", node, "nodelist.status")
        return line.partition(":")[2].strip()

    def kill(self, sn: str) -> None:
        """End every process of a service node at once, daemons and all."""
        self.spaces.kill(sn)

    def catch_up(self, sn: str) -> None:
        """Change what all boot while a service node is dead, start it, and wait until it serves that too."""
        self.must("chdef", "-t", "osimage", "-o", OSIMAGE, "addkcmdline=quiet changed")
        self.must("nodeset", "compute", f"osimage={OSIMAGE}")
        self.start_worker(sn)
        wait_until(
            self._agreed, lambda: f"{sn} does not catch up: {self.run('nodeset', 'compute', 'stat', '-V')}"
        )

    def _agreed(self) -> bool:
        """Whether every member of the pool serves the same to each node."""
        told = self.run("nodeset", "compute", "stat", "-V", "--json").stdout.splitlines()
        found: dict[str, dict[str, str]] = {}
        for line in map(json.loads, told):
            found.setdefault(line["node"], {})[line["sn"]] = line["checksum"]
        return all(
            one.keys() == set(SNS) and all(one.values()) and len({*one.values()}) == 1
            for one in found.values()
        )


def install_image(image: Image, folder: Path) -> None:
    """Put the image where packimage would; hard links where they can be."""
    folder.mkdir(parents=True)
    for file in (image.kernel, image.initrd, image.root):
        try:
            os.link(file, folder / file.name)
        except OSError:
            shutil.copy(file, folder / file.name)


def wait_until(holds: Callable[[], bool], otherwise: Callable[[], str], patience: float = PATIENCE_S) -> None:
    """Return when it holds. Raises UnavailableError with what `otherwise` says when it never does."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise UnavailableError(f"after {patience:.0f} s: {otherwise()}")
        time.sleep(LOOK_S)
