"""Updating an image as xCAT's hierarchy document says in 3.1.1, word by word where a word is left of it."""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest
from imagesite import ImageSite, image_site, sqlite_env
from test_images_dnf import repositories  # noqa: F401  a fixture
from test_images_reuse import COPIED, add_packages

from core.bootdoc import from_text
from core.wanted import Kind
from db import events, jobs, wanted
from db.engine import reading
from drivers.images.shelf import Record, Shelf
from drivers.services import redis as embedded
from routing.imaging import genimage, packimage

ARCH = platform.machine()
NAME = f"rocky9.4-{ARCH}-netboot-compute"


@pytest.fixture
def site(
    sqlite_template: Path,
    redis: embedded.RunningRedis,
    repositories: Path,  # noqa: F811
    tmp_path: Path,
) -> ImageSite:
    """Packages in /install as copycds puts them there, and a list."""
    env = sqlite_env(sqlite_template, tmp_path) | {"SERVAL_BROKER": redis.url}
    made = image_site(env, tmp_path)
    shutil.copytree(repositories, tmp_path / "rpm")
    media = made.install / "rocky9.4" / ARCH
    media.parent.mkdir(parents=True)
    (tmp_path / "rpm/os").rename(media)
    (tmp_path / "rpm/os").symlink_to(media)
    add_packages(tmp_path / "rpm", 1)
    lists = made.install / "custom/netboot/rocky"
    lists.mkdir(parents=True)
    (lists / "compute.pkglist").write_text("tool\nthree\n")
    for line in (
        f"chdef -t group compute os=rocky9.4 arch={ARCH} profile=compute netboot=xnba installnic=mac",
        "chdef n1 ip=10.0.0.1 mac=52:54:00:00:00:01",
        "mkdef -t network -o prov net=10.0.0.0 mask=255.255.255.0",
    ):
        made.shell.ok(line)
    return made


def build(site: ImageSite, words: str, **details: str) -> tuple[Record, str]:
    """The record and the steps after a genimage and the packimage that follows it."""
    assert "job" in site.shell.ok(
        f"genimage -i eth0 -n tg3,bnx2 -o rocky9.4 -p compute -a {ARCH} {words} --no-wait"
    )
    site.do("genimage", genimage, image=NAME, **details)
    steps = last_steps(site)
    return packed(site), steps


def packed(site: ImageSite) -> Record:
    """`packimage -o rocky9.4 -p compute -a ARCH`."""
    assert "job" in site.shell.ok(f"packimage -o rocky9.4 -p compute -a {ARCH} --no-wait")
    site.do("packimage", packimage, image=NAME, method="squashfs", compression="zstd")
    return Shelf(folder(site)).record()


def folder(site: ImageSite) -> Path:
    return site.install / f"netboot/rocky9.4/{ARCH}/compute"


def last_steps(site: ImageSite) -> str:
    """The steps of the newest job."""
    with reading(site.engine) as connection:
        newest = max(one.id for one in jobs.recent(connection, 100))
        return " ".join(one.message for one in events.of_job(connection, newest))


def test_the_steps_of_the_document(site: ImageSite, tmp_path: Path) -> None:
    first, steps = build(site, "")
    assert (first.packages["three"], COPIED in steps) == ("1-1", False)
    assert "nodebootif=eth0" in site.shell.ok(f"lsdef -t osimage {NAME}")

    # yum --installroot=/install/netboot/…/rootimg update '…'; packimage
    add_packages(tmp_path / "rpm", 2)
    root = folder(site) / "rootimg"
    by_hand = ["dnf", "--assumeyes", f"--installroot={root}", "--setopt=reposdir=/dev/null", "--nogpgcheck"]
    by_hand += [f"--repofrompath=media,file://{site.install}/rocky9.4/{ARCH}/BaseOS", "update", "th*"]
    subprocess.run(by_hand, check=True, capture_output=True)
    second = packed(site)
    assert second.sha256 != first.sha256
    assert (
        "2-1" in subprocess.run(["rpm", "--root", root, "-q", "three"], capture_output=True, text=True).stdout
    )

    # OR: ./genimage -i eth0 -n tg3,bnx2 -o OS -p PROFILE; packimage -o OS -p PROFILE -a ARCH
    add_packages(tmp_path / "rpm", 3)
    third, steps = build(site, "--update", update="1")
    assert (third.packages["three"], COPIED in steps) == ("3-1", True)
    (site.install / "custom/netboot/rocky/compute.pkglist").write_text("tool\none\n")
    fourth, steps = build(site, "")
    assert (set(third.packages) ^ set(fourth.packages), COPIED in steps) == ({"one", "lib", "three"}, True)

    # nodeset PROFILE netboot
    site.shell.ok("nodeset n1 netboot --no-wait")
    with reading(site.engine) as connection:
        document = from_text(wanted.documents(connection, Kind.BOOT, ["n1"])["n1"])
    assert document.kernel == f"install/netboot/rocky9.4/{ARCH}/compute/kernel"
    assert (folder(site) / "kernel").read_text() == "k\n"
