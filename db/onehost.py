"""SQLite serves the processes of one host: what tells whether a file and a process are on the same one.

The write-ahead log's index is memory that processes share under one kernel, and locks on network file systems
are not to be trusted (https://sqlite.org/wal.html, https://sqlite.org/howtocorrupt.html). Neither names nor
machine-id(5) tell hosts apart: containers share or lack them, copied machines have the same. The boot id of
random(4) does: it is one for a running kernel with all its containers, and new at each boot.
"""

import re
import socket
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from core.errors import RequestError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MOUNTS = Path("/proc/self/mountinfo")
#: File systems that several hosts have mounted at once. What a virtual machine has of its host (9p, virtiofs)
#: is not here: often that is its only disk.
SHARED = frozenset(
    {
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "fuse",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
    }
    | {"ocfs2", "orangefs", "panfs", "pvfs2", "smb3", "smbfs", "wekafs"}
)
#: Layers over a host's own disks.
LOCAL_FUSE = frozenset(
    {"fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.gocryptfs", "fuse.encfs", "fuse.bindfs"}
)
ADVICE = "SQLite serves one host: use PostgreSQL (docs/how-to/use-postgresql.md)"


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system: where, of which type, and from what (`mn1:/srv` for NFS)."""

    point: str
    kind: str
    source: str

    @property
    def shared(self) -> bool:
        """Whether other hosts may have it mounted too; of FUSE that is assumed."""
        return self.kind in SHARED or (self.kind.startswith("fuse.") and self.kind not in LOCAL_FUSE)


def kernel() -> str:
    """The boot id of the running kernel: whoever has the same is on the same host."""
    return BOOT_ID.read_text(encoding="ascii").strip()


def database_file(url: str) -> Path | None:
    """The file of an SQLite URL; None for databases that are no file of ours."""
    parsed = make_url(url)
    name = parsed.database or ""
    if parsed.get_backend_name() != "sqlite" or not name or name.startswith((":memory:", "file:")):
        return None
    return Path(name).absolute()


def mount_of(file: Path, mountinfo: str) -> Mount | None:
    """The mount that a file lies on, by the text of mountinfo; of two at one point the upper one."""
    found = None
    for line in mountinfo.splitlines():
        about, _, system = line.partition(" - ")
        point, kind, source = (_plain(word) for word in (about.split()[4], *system.split()[:2]))
        if file.is_relative_to(point) and (found is None or len(point) >= len(found.point)):
            found = Mount(point, kind, source)
    return found


def refuse_shared(url: str) -> None:
    """Raises RequestError for an SQLite file on a file system that other hosts may have mounted too."""
    file = database_file(url)
    if file is None:
        return
    file.parent.exists()  # an automounter mounts it now
    mount = mount_of(file.resolve(), MOUNTS.read_text(encoding="utf-8", errors="surrogateescape"))
    if mount is not None and mount.shared:
        raise RequestError(
            f"SQLite database {file} lies on {mount.source} ({mount.kind}), which other hosts than "
            f"{socket.gethostname()} can reach too. Put SERVAL_HOME on a disk of this host. {ADVICE}"
        )


def _plain(word: str) -> str:
    r"""A word of mountinfo, where blanks are written \040."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), word)
