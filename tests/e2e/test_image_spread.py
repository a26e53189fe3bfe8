"""Images on their way to service nodes: nodeset refuses and waits, one that was away gets them unasked."""

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_rig import FILES, FOLDER, noise
from rig import Rig

from core.nodeset.files import LITE_INITRD, LITE_KERNEL, LITE_ROOT
from db.engine import open_engine
from db.home import open_home
from drivers.freeport import free_port
from drivers.images import lite
from drivers.images.jail import Jail
from lab.box import Box
from routing.services import runner_of

IMAGE = ("osvers=debian12", "osarch=x86_64", "profile=compute", "provmethod=netboot")
SIZE = 3 << 20


class ServedBox(Box):
    """A box whose management node has its root where the web server's own user may read it."""

    @property
    def root(self) -> Path:
        """The management node's root folder."""
        return self.folder / "root"

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"SERVAL_ROOT": str(self.root)}


@pytest.fixture
def served() -> Iterator[ServedBox]:
    """Two service nodes, four nodes that could boot, and an image that nobody but the management node has."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        box = ServedBox(Path(folder), 4)
        try:
            box.start()
            define(box)
            yield box
        finally:
            box.stop()
            runner_of(open_home(box.environment)).stop("nginx")


def define(box: ServedBox) -> None:
    site = ("sharedtftp=0", "master=127.0.0.1", f"httpport={free_port()}")
    box.must("chdef", "-t", "site", "clustersite", *site)
    box.must("mkdef", "-t", "network", "-o", "prov", "net=10.77.0.0", "mask=255.255.0.0")
    box.must("mkdef", "-t", "osimage", "-o", "compute", *IMAGE)
    own = (r"ip=|n(\d+)|10.77.0.($1)|", r"mac=|n(\d+)|02:00:00:00:00:0($1)|")
    box.must("chdef", "-t", "group", "-o", "compute", "netboot=xnba", *own)
    folder = box.root / FOLDER
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(noise(name, SIZE))


def texts(root: Path) -> dict[str, bytes]:
    """The files of an image on a host."""
    folder = root / FOLDER
    return {file.name: file.read_bytes() for file in folder.glob("[!.]*") if file.is_file()}


def states(box: Box) -> dict[str, str]:
    """What serval images says of each host."""
    lines = box.run("serval", "images", "compute", "--json").lines
    return {one["sn"]: one["state"] for one in map(json.loads, lines)}


def test_an_image_on_its_way(served: ServedBox) -> None:
    box, rig = served, Rig(served, open_engine(f"sqlite:///{served.home / 'serval.db'}"))
    sn1, sn2 = (box.home / "hosts" / name for name in box.sns)
    box.signal("sn2", signal.SIGKILL)
    asked = box.run("nodeset", "n1", "osimage=compute")
    assert asked.status == 1
    assert "Error: no service node of its pool has osimage compute as it is now (sn1: none" in asked.err

    waited = box.must("nodeset", "compute", "osimage=compute", "--wait")
    assert waited.lines[-4:] == [f"n{number}: netboot debian12-x86_64-compute" for number in range(1, 5)]
    assert "sn2 does not have osimage compute yet (none) (n[1-4])" in waited.err
    assert texts(sn1) == {name: noise(name, SIZE) for name in FILES}
    shown = box.run("serval", "images")
    assert shown.status == 1
    assert [line.split()[-1] for line in shown.lines[1:]] == ["mn1,sn1", "sn2"]
    assert states(box) == {"mn1": "current", "sn1": "current", "sn2": "none"}

    box.up()
    rig.until(lambda: states(box)["sn2"] == "current", "sn2 does not get its image")
    assert texts(sn2) == texts(sn1)
    assert box.must("serval", "images").lines[1].split()[1] == shown.lines[1].split()[1]

    root = box.root / FOLDER / "rootimg"
    (root / "etc").mkdir(parents=True)
    (root / "etc/shadow").write_text("root:*:1::::::\n")
    packed = box.must("packimage", "compute", "-m", "cpio", "-c", "gzip")
    assert packed.lines[-1].endswith("goes to sn[1-2]")
    rig.until(lambda: "rootimg.cpio.gz" in texts(sn2), "the new version does not come")
    rig.until(lambda: set(states(box).values()) == {"current"}, "the new version is not whole everywhere")
    assert texts(sn1) == texts(sn2)
    assert "rootimg.sfs" not in texts(sn1)
    assert box.must("nodeset", "n1", "osimage=compute").lines == ["n1: netboot debian12-x86_64-compute"]
    media(box, rig)
    statelite(box, rig)
    rig.engine.dispose()


def media(box: ServedBox, rig: Rig) -> None:
    """The same with a tree that nodes are installed from: refused, waited for, changed, and removed."""
    tree = box.root / "install/debian12/x86_64"
    (tree / "debian-installer/amd64").mkdir(parents=True)
    for name in ("linux", "initrd.gz"):
        (tree / "debian-installer/amd64" / name).write_bytes(noise(name, SIZE))
    box.must("mkdef", "-t", "osimage", "-o", "disk", *IMAGE[:3], "provmethod=install")
    refused = box.run("nodeset", "n1", "osimage=disk")
    assert (refused.status, "has the media install/debian12/x86_64 as it is now" in refused.err) == (1, True)
    assert (
        box.must("nodeset", "n1", "osimage=disk", "--wait").lines[-1] == "n1: install debian12-x86_64-compute"
    )
    (tree / "added.deb").write_text("added")
    box.run("serval", "images", "--look", "disk")
    copies = [box.home / "hosts" / name / "install/debian12/x86_64/added.deb" for name in box.sns]
    rig.until(lambda: all(copy.exists() for copy in copies), "what was added does not come")
    rig.until(lambda: box.run("serval", "images", "disk").status == 0, "it is not whole everywhere")
    box.must("nodeset", "n1", "offline")
    box.must("chdef", "n1", "provmethod=compute")
    box.must("rmdef", "-t", "osimage", "-o", "disk")
    rig.until(lambda: not any(copy.parent.exists() for copy in copies), "who needs it no more keeps it")


def statelite(box: ServedBox, rig: Rig) -> None:
    """The same with a root on NFS: not packed for service nodes, refused, waited for, and unpacked there."""
    folder = box.root / FOLDER
    (folder / LITE_ROOT / "etc").mkdir(parents=True)
    (folder / LITE_ROOT / "etc/shadow").write_text("root:*:1::::::\n")
    os.chown(folder / LITE_ROOT / "etc/shadow", 12, 42)
    for name in (LITE_KERNEL, LITE_INITRD):
        (folder / name).write_bytes(noise(name, SIZE))
    box.must("mkdef", "-t", "osimage", "-o", "lite", *IMAGE[:3], "provmethod=statelite")
    refused = box.run("nodeset", "n1", "osimage=lite")
    assert (refused.status, "is not packed for service nodes: run liteimg lite" in refused.err) == (1, True)
    with (box.folder / "log").open("ab") as log:
        lite.archive(Jail(log), folder / LITE_ROOT, folder)
    refused = box.run("nodeset", "n1", "osimage=lite")
    assert (refused.status, "has osimage lite as it is now" in refused.err) == (1, True)
    said = box.must("nodeset", "n1", "osimage=lite", "--wait")
    assert said.lines[-1] == "n1: statelite debian12-x86_64-compute"
    rig.until(lambda: box.run("serval", "images", "lite").status == 0, "it is not whole everywhere")
    for name in box.sns:
        shadow = (box.home / "hosts" / name / FOLDER / LITE_ROOT / "etc/shadow").stat()
        assert (shadow.st_uid, shadow.st_gid) == (12, 42)
