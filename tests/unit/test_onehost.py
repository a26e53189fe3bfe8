"""Which file systems other hosts may have mounted too, by what the kernel says of mounts."""

from pathlib import Path

import pytest

from core.errors import RequestError
from db import onehost
from db.onehost import database_file, kernel, mount_of, refuse_shared

MOUNTINFO = r"""
22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw
30 22 0:40 / /home rw,relatime shared:2 - autofs systemd-1 rw,fd=29
31 30 0:41 / /home rw,relatime shared:3 master:7 - nfs4 filer:/export/home rw,vers=4.2
32 22 0:42 / /mnt/two\040words rw - fuse.sshfs mn1:/var/lib/serval rw
33 22 0:43 / /var/lib/containers rw - fuse.fuse-overlayfs fuse-overlayfs rw
34 22 0:44 / /scratch rw - lustre 10.0.0.1@o2ib:/scratch rw
35 22 0:45 / /run rw - tmpfs tmpfs rw
36 22 0:46 /a /home2 rw - xfs /dev/sda1 rw
""".strip()


@pytest.mark.parametrize(
    ("file", "kind", "shared"),
    [
        ("/var/lib/serval/serval.db", "ext4", False),
        ("/home/ann/serval.db", "nfs4", True),
        ("/home2/ann/serval.db", "xfs", False),
        ("/mnt/two words/serval.db", "fuse.sshfs", True),
        ("/var/lib/containers/serval.db", "fuse.fuse-overlayfs", False),
        ("/scratch/serval.db", "lustre", True),
        ("/scratchpad/serval.db", "ext4", False),
        ("/run/serval.db", "tmpfs", False),
    ],
)
def test_the_mount_of_a_file(file: str, kind: str, shared: bool) -> None:
    found = mount_of(Path(file), MOUNTINFO)
    assert found is not None
    assert (found.kind, found.shared) == (kind, shared)


def test_what_is_no_file_of_ours() -> None:
    assert database_file("postgresql://serval@mn1/serval") is None
    assert database_file("sqlite://") is None
    assert database_file("sqlite:////srv/serval.db") == Path("/srv/serval.db")


def test_the_refusal_names_file_place_and_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"{MOUNTINFO}\n37 22 0:47 / {tmp_path.resolve()} rw - nfs4 mn1:/var/lib/serval rw\n")
    monkeypatch.setattr(onehost, "MOUNTS", mounts)
    with pytest.raises(RequestError) as caught:
        refuse_shared(f"sqlite:///{tmp_path}/serval.db")
    for word in (f"{tmp_path}/serval.db", "mn1:/var/lib/serval (nfs4)", "docs/how-to/use-postgresql.md"):
        assert word in caught.value.message
    refuse_shared("sqlite:////var/lib/serval/serval.db")
    refuse_shared("postgresql://serval@mn1/serval")


def test_this_kernel_s_mounts_can_be_read(tmp_path: Path) -> None:
    found = mount_of(tmp_path.resolve(), onehost.MOUNTS.read_text())
    assert found is not None
    assert Path(found.point).is_mount()
    assert kernel() == kernel() != ""
