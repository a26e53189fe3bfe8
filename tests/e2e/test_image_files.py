"""imgexport, imgimport and rmimage by a real worker, one after the other in the build queue."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.box import Box

IMAGE = "debian12-x86_64-netboot-compute"
VALUES = "osvers=debian12 osarch=x86_64 profile=compute provmethod=netboot imagetype=linux"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A management node alone, with the files of an image."""
    made = Box(tmp_path, 0, sns=())
    made.must("mkdef", "-t", "osimage", IMAGE, *VALUES.split())
    made.must("mkdef", "-t", "node", "-o", "n1", "groups=compute", f"provmethod={IMAGE}")
    folder(made).mkdir(parents=True)
    for name in ("kernel", "initrd-stateless.gz", "rootimg.sfs"):
        (folder(made) / name).write_bytes(os.urandom(10_000))
    made.up()
    yield made
    made.run("serval", "down")


def folder(box: Box, profile: str = "compute") -> Path:
    """rootimgdir."""
    return Path(box.environment["SERVAL_ROOT"]) / "install/netboot/debian12/x86_64" / profile


def test_an_image_goes_out_comes_in_and_goes(box: Box, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.tgz"
    said = box.must("imgexport", IMAGE, str(bundle)).out
    assert "% writing " in said
    assert f"mn1: {IMAGE} is in {bundle}" in said
    box.must("imgimport", str(bundle), "-f", "test")
    for name in ("kernel", "rootimg.sfs"):
        assert (folder(box, "test") / name).read_bytes() == (folder(box) / name).read_bytes()
    assert "profile=test" in box.must("lsdef", "-t", "osimage", "debian12-x86_64-netboot-test").out

    bundle.write_bytes(bundle.read_bytes()[:15_000])
    broken = box.run("imgimport", str(bundle), "-f", "broken")
    assert (broken.status, "no whole bundle" in broken.err) == (1, True), broken
    used = box.run("rmimage", IMAGE)
    assert (used.status, "used by n1: give them another" in used.err) == (1, True), used
    said = box.must("rmimage", "debian12-x86_64-netboot-test", "--xcatdef").out
    assert "its definition too" in said
    assert {path.name for path in folder(box, "test").iterdir()} == {".lock"}
    assert "netboot-test" not in box.run("lsdef", "-t", "osimage").out
    assert (folder(box) / "kernel").exists()
