"""A running node of the laboratory becomes an image (imgcapture), and boots what was made of it.

The management node logs in by a key of root's, and knows the node's own by then. Root's folder on mn1 is
this machine's, under a layer that holds both.
"""

import subprocess
from pathlib import Path

from core.errors import UnavailableError
from lab.laboratory import Laboratory, wait_until
from lab.tables import MN

GOLDEN = "debian12-x86_64-netboot-golden"
NODE, ADDRESS = "cn1", "10.20.0.101"
#: mn1 at the switch of the nodes, while it captures one.
LEG = "10.20.0.1/24"
#: What the node says of its /etc/site.conf when it has booted what was captured.
MARK = "captured"
CAPTURE_S = 1800.0


def make_key(lab: Laboratory) -> Path:
    """A key of mn1's root; its public half."""
    keys = folder(lab)
    keys.mkdir(mode=0o700, parents=True)
    private = keys / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(private)], check=True)
    return private.with_suffix(".pub")


def folder(lab: Laboratory) -> Path:
    """`.ssh` of mn1's root."""
    return lab.folder / "root-of-mn1/.ssh"


def capture(lab: Laboratory) -> None:
    """Change a file on the node that runs, and make the osimage GOLDEN of it. Raises UnavailableError."""
    keys = folder(lab)
    lab.spaces.plug(MN, "prov", LEG)
    try:
        know(lab, keys)
        on_node(lab, keys, f"echo {MARK} > /etc/site.conf")
        layer(lab, keys)
        lab.must("imgcapture", NODE, "-o", GOLDEN, seconds=CAPTURE_S)
    finally:
        lab.spaces.link(MN, "prov", up=False)


def know(lab: Laboratory, keys: Path) -> None:
    """Take down the node's host key, once its sshd answers."""

    def scanned() -> bool:
        words = lab.spaces.inside(MN, "ssh-keyscan", "-T", "20", "-t", "ed25519", ADDRESS)
        found = subprocess.run(words, capture_output=True, text=True, check=False).stdout
        (keys / "known_hosts").write_text(found, encoding="utf-8")
        return bool(found.strip())

    wait_until(scanned, lambda: f"{NODE} has no sshd")


def on_node(lab: Laboratory, keys: Path, command: str) -> None:
    """Run a command on the node. Raises UnavailableError."""
    options = ("-F", "none", "-o", f"UserKnownHostsFile={keys / 'known_hosts'}", "-o", "BatchMode=yes")
    words = ("ssh", *options, "-i", str(keys / "id_ed25519"), f"root@{ADDRESS}", command)
    done = subprocess.run(lab.spaces.inside(MN, *words), capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"ssh {NODE}: {done.stderr.strip()}")


def layer(lab: Laboratory, keys: Path) -> None:
    """Lay `.ssh` over root's folder of mn1, each of whose programs was started with mounts of its own."""
    first = {Path(f"/proc/{pid}/ns/mnt").readlink(): pid for pid in sorted(lab.spaces.pids(MN), reverse=True)}
    for pid in first.values():
        mount = ("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={keys.parent}:/root", "/root")
        subprocess.run(["nsenter", f"--target={pid}", "--mount", *mount], check=True)
