"""Folders of the management node on a service node: installloc and sharedtftp, read-only over NFS (nfs(5)).

Every step that could wait for a dead NFS server is a process with a time limit.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from core.errors import RequestError, UnavailableError
from drivers.services.records import Record, Records
from drivers.services.runner import program

OPTIONS = "ro,nolock,soft,timeo=100,retrans=3"
TABLE = Path("/proc/self/mounts")
KINDS = Path("/proc/filesystems")
TIMEOUT_S = 30
LOOK_S = 5


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder that shall be another host's: `source` is `host:/path`."""

    #: installloc or sharedtftp.
    name: str
    source: str
    folder: Path


def keep(wanted: Mount, records: Records, *, only_check: bool = False) -> str:
    """Mount what is not mounted and read it; what was done.

    Raises UnavailableError when it cannot be mounted or read, RequestError when something else is there.
    """
    there = source_of(wanted.folder)
    done = "unchanged"
    if there != wanted.source:
        if only_check:
            raise RequestError(f"{wanted.folder} is not mounted from {wanted.source}; mend: serval services")
        mine = records.read(wanted.name)
        if there and (mine is None or mine.command != (there, str(wanted.folder))):
            raise RequestError(f"{wanted.folder} is mounted from {there} already, which Serval did not do")
        if there:
            _run("umount", str(wanted.folder))
        done = _mount(wanted)
        records.write(wanted.name, Record((wanted.source, str(wanted.folder))))
    _run("ls", "-f", str(wanted.folder), seconds=LOOK_S)
    return done


def drop(name: str, records: Records, *, only_check: bool = False) -> str:
    """Take away what Serval mounted; what was done, empty when it did not."""
    record = records.read(name)
    if record is None:
        return ""
    source, folder = record.command
    if source_of(Path(folder)) == source:
        if only_check:
            raise RequestError(f"{folder} is still mounted from {source}; mend: serval services")
        _run("umount", folder)
    if not only_check:
        records.forget(name)
    return f"{folder} unmounted"


def source_of(folder: Path) -> str:
    """What is mounted on a folder, the last mount first; empty when nothing is."""
    asked = str(folder)
    found = ""
    for line in TABLE.read_text(encoding="utf-8", errors="replace").splitlines():
        source, place, *_ = line.split(" ")
        if place.replace("\\040", " ") == asked:
            found = source
    return found


def _mount(wanted: Mount) -> str:
    program("mount.nfs", "nfs-common")
    if "\tnfs4\n" not in KINDS.read_text(encoding="ascii"):
        # A kernel with modules knows it once it was asked for.
        subprocess.run(["modprobe", "-q", "nfsv4"], capture_output=True, timeout=TIMEOUT_S, check=False)
        if "\tnfs4\n" not in KINDS.read_text(encoding="ascii"):
            raise UnavailableError(f"{wanted.source} cannot be mounted: this kernel has no NFS client")
    wanted.folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "nfs", "-o", OPTIONS, wanted.source, str(wanted.folder))
    return "mounted"


def _run(*command: str, seconds: int = TIMEOUT_S) -> None:
    words = " ".join(command)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{words}: no answer within {seconds} s") from error
    except OSError as error:
        raise UnavailableError(f"{words}: {error.strerror}") from error
    if done.returncode:
        raise UnavailableError(f"{words}: {' '.join(done.stderr.split()) or done.returncode}")
