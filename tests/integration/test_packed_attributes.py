"""What the forms that packimage makes of a root keep of it, and what is said when there is no room."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_rig import noise, small_disk

from core.errors import UnavailableError
from core.images.exlist import Excludes
from drivers.images.jail import Jail
from drivers.images.pack import CAPABILITY, Compression, Method, Wanted, bared, list_files, run

HANDLER = Path(__file__).resolve().parents[2] / "deploy/images/dracut/97serval/servalroot.sh"
#: As the kernel stores cap_net_raw=ep, revision 2.
NET_RAW = bytes.fromhex("0100000200200000000000000000000000000000")
#: What dracut gives the handler; the image lies here already, and memory is a folder.
DRACUT = """
getarg() { return 1; }
fetch_url() { echo "$IMAGE"; }
die() { echo "$1" >&2; exit 1; }
mount() { :; }
"""


@pytest.fixture
def jail(tmp_path: Path) -> Iterator[Jail]:
    with (tmp_path / "log").open("ab") as log:
        yield Jail(log)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root in which ping may do what its user may not."""
    made = tmp_path / "rootimg"
    (made / "usr/bin").mkdir(parents=True)
    for name in ("ping", "plain"):
        (made / "usr/bin" / name).write_text(name)
    os.setxattr(made / "usr/bin/ping", CAPABILITY, NET_RAW)
    os.setxattr(made / "usr/bin", "trusted.site", b"mark")
    return made


def booted(top: Path, jail: Jail, root: Path, wanted: Wanted) -> Path:
    """The root as a node has it."""
    image, there = top / wanted.name, top / "node"
    list_files(root, top / "names", wanted)
    run(jail, root, top / "names", image, wanted)
    if wanted.method is Method.SQUASHFS:
        subprocess.run(["unsquashfs", "-q", "-n", "-xattrs", "-d", there, image], check=True)
        return there
    there.mkdir()
    # dracut has the image in a file of its own, which the handler removes; so has this test.
    taken = Path(shutil.copy(image, top / "taken"))
    script = HANDLER.read_text().replace("[ -e /dev/root ] || ln -s null /dev/root", "")
    words = [
        "sh",
        "-c",
        DRACUT + script,
        "servalroot",
        "eth0",
        f"serval:http://sn1/{wanted.name}",
        str(there),
    ]
    subprocess.run(words, env={**os.environ, "IMAGE": str(taken)}, check=True)
    return there


@pytest.mark.parametrize("method", [Method.TAR, Method.SQUASHFS])
def test_attributes_reach_the_node(tmp_path: Path, jail: Jail, root: Path, method: Method) -> None:
    wanted = Wanted(method, Compression.ZSTD)
    there = booted(tmp_path, jail, root, wanted)
    assert os.getxattr(there / "usr/bin/ping", CAPABILITY) == NET_RAW
    assert os.getxattr(there / "usr/bin", "trusted.site") == b"mark"
    assert os.listxattr(there / "usr/bin/plain") == []
    assert bared(root, wanted) == []


def test_what_a_cpio_archive_has_no_place_for_is_named(tmp_path: Path, jail: Jail, root: Path) -> None:
    wanted = Wanted(Method.CPIO, Compression.GZIP)
    there = booted(tmp_path, jail, root, wanted)
    assert (there / "usr/bin/ping").read_text() == "ping"
    assert bared(root, wanted) == ["usr/bin/ping"]
    assert bared(root, Wanted(Method.CPIO, excludes=Excludes(("./usr/bin/ping",)))) == []


@pytest.mark.parametrize("method", list(Method))
def test_a_full_disk_is_said(tmp_path: Path, jail: Jail, root: Path, method: Method) -> None:
    (root / "large").write_bytes(noise("large", 4 << 20))
    wanted = Wanted(method, Compression.GZIP)
    list_files(root, tmp_path / "names", wanted)
    with (
        small_disk(tmp_path / "disk", 1 << 20) as disk,
        pytest.raises(
            UnavailableError, match=r"no space is left on the file system of .*; the old image stays"
        ),
    ):
        run(jail, root, tmp_path / "names", disk / wanted.name, wanted)
