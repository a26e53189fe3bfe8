"""`make lab ARGS=--images`: Serval makes images of a real Debian, and a node boots each of them.

The management node makes them by genimage, packimage and liteimg, of the lists that are shipped; the service
nodes fetch what is packed; the node boots, one after the other, from an archive in memory, from a squashfs
under an overlay, from what is captured of it there, and from an NFS root that keeps folders of its own on
another NFS server and on its disk; at last the same files lie over a root in memory. What its root is it says
itself (lab/compute.postinstall).
"""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from core.errors import UnavailableError
from lab.capturing import GOLDEN, MARK, capture, make_key
from lab.image import SUITE
from lab.laboratory import PROV, Laboratory, wait_until
from lab.stages import Stages
from lab.tables import MN, SNS
from lab.wayout import mirror

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parent / "deploy/images/netboot/debian"
NETBOOT, STATELITE = (f"debian12-x86_64-{method}-compute" for method in ("netboot", "statelite"))
#: The archive is in memory twice while it is unpacked.
MEGABYTES = 2048
#: Libraries at the same addresses everywhere: an emulator translates them once. And it may take its time.
ARGUMENTS = "quiet norandmaps systemd.default_timeout_start_sec=900"
BUILD_S = 1200.0
BOOT_S = 900.0
#: Who keeps what nodes want to find again.
NAS, NAS_ADDRESS = "nas", "10.20.0.5"
NODE = "cn1"
#: litefile; the NFS root can otherwise not be written.
FILES = {
    "/etc/joined.conf": "con",
    "/etc/motd": "link",
    "/etc/site.conf": "ro",
    "/srv/kept/": "persistent",
    "/srv/near/": "localdisk",
    "/tmp/": "tmpfs",
    "/var/lib/systemd/": "tmpfs",
    "/var/log/": "tmpfs",
    "/var/tmp/": "tmpfs",
}
#: Below /install/lite of whoever serves the root: the node's own, and all nodes'.
LITE = {"cn1/etc/site.conf": "own", "all/etc/site.conf": "all", "all/etc/joined.conf": "joined"}
GANESHA = """\
NFS_CORE_PARAM {{ Protocols = 4; Enable_NLM = false; Enable_RQUOTA = false; }}
NFSv4 {{ Graceless = true; Only_Numeric_Owners = true; RecoveryRoot = "{folder}/recovery"; }}
NFS_KRB5 {{ Active_krb5 = false; }}
EXPORT {{
    Export_Id = 1; Path = "{folder}/state"; Pseudo = "/state"; Access_Type = RW; Squash = No_Root_Squash;
    SecType = sys; Protocols = 4; Transports = TCP; FSAL {{ Name = VFS; }}
}}
"""


def images(lab: Laboratory, stages: Stages) -> None:
    """Make each image, boot it, and let it say what it stands on. Raises UnavailableError if it is wrong."""
    for name, machine in lab.machines.items():
        lab.machines[name] = replace(machine, megabytes=MEGABYTES, gigabytes=1)
        lab.machines[name].save()
        lab.machines[name].prepare()
        subprocess.run(["mkfs.ext4", "-q", "-L", "localdisk", str(lab.machines[name].disk)], check=True)
    with stages.stage("genimage: a Debian of the shipped lists"), mirror(lab.spaces, MN) as url:
        genimage(lab, url)
    for method, action, root in (("cpio", "on", "tmpfs"), ("squashfs", "boot", "overlay")):
        with stages.stage(f"packimage -m {method}; nodeset --wait: service nodes have it"):
            lab.must("packimage", NETBOOT, "-m", method, seconds=BUILD_S)
            lab.must("nodeset", "compute", f"osimage={NETBOOT}", "--wait", seconds=BUILD_S)
        with stages.stage(f"booted, and its root is {root}"):
            boot(lab, action, {"root": root, "usr": "yes", "kept": "0"})
    with stages.stage("imgcapture of the node that runs; packimage"):
        capture(lab)
        lab.must("packimage", GOLDEN, seconds=BUILD_S)
        lab.must("nodeset", "compute", f"osimage={GOLDEN}", "--wait", seconds=BUILD_S)
    with stages.stage("booted what was captured"):
        boot(lab, "boot", {"root": "overlay", "usr": "yes", "site": MARK})
    statelites(lab, stages)


def statelites(lab: Laboratory, stages: Stages) -> None:
    """The same with a root that is only read, over NFS and in memory. Raises UnavailableError."""
    with stages.stage("liteimg; litetree, and nodeset --wait: service nodes have its tree"):
        statelite(lab)
    with stages.stage("booted, and its root is NFS"):
        found = {"usr": "no", "var": "no", "kept": "2", "near": "1", "site": "own", "joined": "joined,"}
        boot(lab, "boot", {"root": "nfs4", **found})
    with stages.stage("rootfstype=ramdisk: liteimg; nodeset --wait"):
        lab.must("chdef", "-t", "osimage", "-o", STATELITE, "rootfstype=ramdisk")
        lab.must("liteimg", STATELITE, seconds=BUILD_S)
        lab.must("nodeset", "compute", f"osimage={STATELITE}", "--wait", seconds=BUILD_S)
    with stages.stage("booted, and the same files lie over a root in memory"):
        again = {"usr": "yes", "var": "yes", "kept": "3", "near": "2"}
        boot(lab, "boot", {**found, **again, "root": "overlay"})
    kept = lab.folder / NAS / "state" / NODE / "srv/kept/boots"
    if kept.read_text(encoding="utf-8").splitlines() != ["before", "boot", "boot"]:
        raise UnavailableError(f"{kept} is {kept.read_text()!r}")


def genimage(lab: Laboratory, url: str) -> None:
    """The root tree, as it is shipped, but with the smaller kernel, and a node that says what it is."""
    lists = lab.folder / MN / "root/install/custom/netboot/debian"
    lists.mkdir(parents=True)
    wanted = f"linux-image-cloud-amd64\n#INCLUDE:{SHIPPED / 'base.pkglist'}#\n"
    (lists / "compute.pkglist").write_text(wanted, encoding="utf-8")
    # The kernel stays in it, so that a node can be captured that has booted it.
    (lists / "compute.exlist").write_text("./usr/share/doc*\n./boot/initrd*\n", encoding="utf-8")
    for file in (HERE / "compute.postinstall", make_key(lab)):
        shutil.copy(file, lists)
    sources = f"{url} {SUITE} main"
    attributes = ("osvers=debian12", "osarch=x86_64", f"pkgdir={sources}", f"addkcmdline={ARGUMENTS}")
    for name in (NETBOOT, STATELITE, GOLDEN):
        method, profile = name.split("-")[2:]
        own = (f"provmethod={method}", f"profile={profile}")
        lab.must("chdef", "-t", "osimage", "-o", name, *own, *attributes)
    lab.must("genimage", NETBOOT, seconds=BUILD_S)


def statelite(lab: Laboratory) -> None:
    """The tables, liteimg, and a server for what is kept."""
    for path, options in FILES.items():
        lab.must("chtab", f"file={path}", "litefile.image=ALL", f"litefile.options={options}")
    for priority, place in (("1", "$noderes.nfsserver:/install/lite/$node"), ("2", "/install/lite/all")):
        lab.must("chtab", f"priority={priority}", "litetree.image=ALL", f"litetree.directory={place}")
    lab.must("liteimg", STATELITE, seconds=BUILD_S)
    refused = lab.run("nodeset", NODE, f"osimage={STATELITE}")
    if refused.returncode == 0 or "statelite.statemnt" not in refused.stderr:
        raise UnavailableError(f"nodeset does not miss statelite.statemnt: {refused.stderr}")
    lab.must("chtab", "node=compute", f"statelite.statemnt={NAS_ADDRESS}:/state")
    for sn in SNS:
        share(lab, sn)
    serve_state(lab)
    lab.must("nodeset", "compute", f"osimage={STATELITE}", "--wait", seconds=BUILD_S)


def share(lab: Laboratory, sn: str) -> None:
    """The folders of litetree on a service node; the root comes by itself."""
    there = lab.folder / sn / "root/install"
    for name, text in LITE.items():
        file = there / "lite" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n", encoding="utf-8")


def serve_state(lab: Laboratory) -> None:
    """An NFS server that may be written, where the node was once before."""
    folder = lab.folder / NAS
    (folder / "recovery").mkdir(parents=True)
    kept = folder / "state" / NODE / "srv/kept"
    kept.mkdir(parents=True)
    (kept / "boots").write_text("before\n", encoding="utf-8")
    config = folder / "ganesha.conf"
    config.write_text(GANESHA.format(folder=folder), encoding="utf-8")
    lab.spaces.add(NAS)
    lab.spaces.plug(NAS, "prov", f"{NAS_ADDRESS}/24")
    words = ("ganesha.nfsd", "-F", "-f", str(config), "-p", str(folder / "pid"), "-L", "STDERR")
    lab.spaces.spawn(NAS, words, lab.folder / f"{NAS}.log")


def boot(lab: Laboratory, action: str, wanted: Mapping[str, str]) -> None:
    """`rpower`, and wait until the node says that it is up on this, and Serval knows it."""
    machine = lab.machines[NODE]
    before = len(machine.reports())
    lab.must("rpower", NODE, action)
    wait_until(
        lambda: len(machine.reports()) > before, lambda: f"{NODE} does not boot: {machine.last()}", BOOT_S
    )
    report = machine.reports()[-1]
    expected = {"node": NODE, "init": "systemd", **wanted}
    if PROV.get(report["server"].partition(":")[0]) != SNS[0] or not expected.items() <= report.items():
        raise UnavailableError(f"{NODE} should be {expected} from {SNS[0]}, and says {report}")
    wait_until(lambda: lab.status(NODE) == "booted", lambda: f"{NODE} booted, but is {lab.status(NODE)}")
