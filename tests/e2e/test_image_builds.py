"""Builds by real workers: cancelled, and killed by kill -9 with the whole management node."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.box import Box

IMAGE = "debian12-x86_64-netboot-compute"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A management node alone, whose site has a short list."""
    made = Box(tmp_path, 0, sns=())
    lists = folder(made).parents[3] / "custom/netboot/debian"
    lists.mkdir(parents=True)
    (lists / "compute.pkglist").write_text("linux-image-cloud-amd64\n")
    made.up()
    yield made
    made.run("serval", "down")


def folder(box: Box) -> Path:
    """rootimgdir."""
    return Path(box.environment["SERVAL_ROOT"]) / "install/netboot/debian12/x86_64/compute"


def build(box: Box) -> str:
    """Begin a build; the job's number, when packages are being unpacked."""
    said = box.must(
        "genimage", "-i", "eth0", "-n", "tg3,bnx2", "-o", "debian12", "-p", "compute", "--no-wait"
    )
    number = said.out.split()[-1]
    until(lambda: (folder(box) / ".build/rootimg/var/lib").exists())
    return number


def test_a_build_is_cancelled_and_killed_and_nothing_is_left(box: Box) -> None:
    first = build(box)
    osimage = box.must("lsdef", "-t", "osimage", "-o", IMAGE).out
    for line in ("nodebootif=eth0", "netdrivers=tg3,bnx2", "osvers=debian12", "profile=compute"):
        assert line in osimage
    assert "base system" in box.must("serval", "job", first).out
    refused = box.run("packimage", "-o", "debian12", "-p", "compute")
    assert (refused.status, "run genimage" in refused.err) == (1, True), refused
    box.must("serval", "cancel", first)
    until(lambda: not (folder(box) / ".build").exists())
    assert not working(box)
    assert "mmdebstrap" in box.must("serval", "log", first).out

    build(box)
    keeper = box.group("mn1")
    os.killpg(keeper, signal.SIGKILL)
    until(lambda: not working(box))
    assert str(folder(box)) not in Path("/proc/mounts").read_text()
    box.must("serval", "up")
    until(lambda: not (folder(box) / ".build").exists())
    assert {path.name for path in folder(box).iterdir()} == {".lock"}


def working(box: Box) -> list[int]:
    """Processes that have the image's folder among their words."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                words = (place / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(folder(box)) in words:
                found.append(int(place.name))
    return found


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
