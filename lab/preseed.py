"""`make lab ARGS=--install`: a node is installed to its disk by Debian's installer, and boots from that disk.

nodeset renders the preseed file of the template that is shipped; the installer finds it, and every package,
at the service node that answered (lab/preseedmirror.py). At its end it says `next`, upon which both service
nodes let the node boot its disk; there it reports `booted` by itself.
"""

import shutil
from dataclasses import replace
from pathlib import Path

from core.errors import UnavailableError
from lab.image import cache_folder
from lab.laboratory import Laboratory, wait_until
from lab.preseedmirror import mirror
from lab.stages import Stages
from lab.tables import MN, SNS

OSIMAGE = "debian12-x86_64-install-compute"
NODE = "cn1"
FOLDER = "install/debian12/x86_64"
GIGABYTES = 4
MEGABYTES = 1024
#: Libraries at the same addresses everywhere: an emulator translates them once.
ARGUMENTS = "norandmaps DEBIAN_FRONTEND=text R::norandmaps"
#: Of a password that nobody has.
HASH = "$6$laboratory$.pPqUOUTOtRuvrhpwRdQLeOvUh2SjV1kGRjDb7QSyhGDUSENQw2UdzTMxUu3mRYDjrSDvOQbn28yWDLgSM1eW0"
START_S = 1200.0
INSTALL_S = 5400.0
BOOT_S = 1200.0


def install(lab: Laboratory, stages: Stages) -> None:
    """The whole of it. Raises UnavailableError when anything is not as it should be."""
    with stages.stage("the installer and its packages (from the cache, or built)"):
        share(lab, mirror(cache_folder()))
    with stages.stage("nodeset: both service nodes have the answers"):
        define(lab)
    with stages.stage("rpower on: the installer has its answers and says so"):
        lab.must("rpower", NODE, "on")
        wait_for(lab, "installing", START_S)
    with stages.stage("installed: its next state is boot"):
        wait_until(lambda: state(lab) == "boot", lambda: last(lab), INSTALL_S)
    with stages.stage("booted from its disk"):
        wait_for(lab, "booted", BOOT_S)
    if left := [str(file) for file in answers(lab) if file.exists()]:
        raise UnavailableError(f"{NODE} is installed, and would be again: {', '.join(left)}")


def share(lab: Laboratory, folder: Path) -> None:
    """What copycds does; and disks for the nodes."""
    shutil.copytree(folder, lab.folder / MN / "root" / FOLDER)
    for name, machine in lab.machines.items():
        lab.machines[name] = replace(machine, megabytes=MEGABYTES, gigabytes=GIGABYTES)
        lab.machines[name].save()


def define(lab: Laboratory) -> None:
    """The tables, and nodeset."""
    attributes = ("osvers=debian12", "osarch=x86_64", "profile=compute", "provmethod=install")
    lab.must("chdef", "-t", "osimage", "-o", OSIMAGE, *attributes, f"addkcmdline={ARGUMENTS}")
    lab.must("chtab", "key=system", "passwd.username=root", f"passwd.password={HASH}")
    lab.must("nodeset", NODE, f"osimage={OSIMAGE}", "--wait", seconds=INSTALL_S)
    if missing := [str(file) for file in answers(lab) if HASH not in read(file)]:
        raise UnavailableError(f"no answers, or without root's password: {', '.join(missing)}")


def answers(lab: Laboratory) -> list[Path]:
    """The preseed file on each service node."""
    return [lab.folder / sn / "root/install/autoinst" / NODE for sn in SNS]


def read(file: Path) -> str:
    """The text of a file, empty when there is none."""
    return file.read_text(encoding="utf-8") if file.exists() else ""


def state(lab: Laboratory) -> str:
    """What the node boots next."""
    (line,) = lab.must("nodels", NODE, "chain.currstate")
    return line.partition(":")[2].strip()


def wait_for(lab: Laboratory, status: str, seconds: float) -> None:
    """Return when the node has reported a status."""
    wait_until(lambda: lab.status(NODE) == status, lambda: f"{lab.status(NODE)}: {last(lab)}", seconds)


def last(lab: Laboratory) -> str:
    """The last that the node wrote."""
    return lab.machines[NODE].last()
