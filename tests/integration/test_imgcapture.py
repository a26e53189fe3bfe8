"""imgcapture from a small running node: a real sshd and a real tar in a root of their own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from imagesite import NAME, ImageSite, image_site, sqlite_env

from core.errors import DefinitionError, RequestError, UnavailableError
from core.images.sources import Kind
from drivers.freeport import free_port
from drivers.images.capture import capture
from drivers.images.jail import Cancelled, Jail
from drivers.images.recipe import Recipe
from drivers.images.shelf import Record, Shelf
from drivers.images.sshname import Login
from routing.imagecapture import exlist, ways
from routing.osimages import Source

PROGRAMS = ("sshd", "tar", "bash", "uname", "ls", "cat", "mkdir", "chmod")
#: Writes the file that its last word names, as dracut does.
DRACUT = "#!/bin/sh\nfor last; do :; done\necho initrd > $last\n"
STATUS = "Package: bash\nStatus: install ok installed\nVersion: 5.2\n"
MODULES = ("35network-legacy", "90livenet", "90dmsquash-live")
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nsshd:x:74:74::/run/sshd:/bin/false\n",
    "etc/hostname": "n1\n",
    "etc/fstab": "/dev/sda1 / ext4 defaults 0 1\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/app.conf": "kept\n",
    "root/.ssh/id_rsa": "secret\n",
    "tmp/scratch": "x\n",
    "boot/vmlinuz-6.1-x": "kernel\n",
    "lib/modules/6.1-x/modules.dep": "",
    "var/lib/dpkg/status": STATUS,
    "usr/bin/dracut": DRACUT,
    "usr/bin/systemctl": "#!/bin/sh\n",
    "usr/bin/apt-get": "#!/bin/sh\n",
    "site/large": "x" * 3_000_000,
}


@dataclass
class Node:
    """A running node: its root, and how to log in."""

    root: Path
    to: Login
    process: "subprocess.Popen[bytes]"

    def end(self) -> None:
        """As if its power failed."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def fill(root: Path) -> None:
    """A small system: programs with their libraries, and files."""
    for name in PROGRAMS:
        found = shutil.which(name)
        assert found, f"{name} is not installed: make packages"
        told = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
        libraries = [word for word in told.split() if word.startswith("/")]
        for file in (found, *libraries):
            place = root / file.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
    (root / "bin").mkdir(exist_ok=True)
    for shell in ("bin/sh", "bin/bash"):
        if not (root / shell).exists():
            (root / shell).symlink_to(Path("/", *(root / "usr/bin/bash").relative_to(root).parts))
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name in ("dracut", "systemctl", "apt-get"):
        (root / "usr/bin" / name).chmod(0o755)
    for name in MODULES:
        (root / "usr/lib/dracut/modules.d" / name).mkdir(parents=True)
    for name in ("proc", "sys", "dev", "run/sshd", "home"):
        (root / name).mkdir(parents=True)
    (root / "site/file with blank").write_text("x")
    (root / "site/link").symlink_to("/etc/app.conf")
    os.link(root / "site/large", root / "site/linked")
    os.chown(root / "etc/app.conf", 1234, 4321)
    os.setxattr(root / "etc/app.conf", "user.serval", b"kept")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """It has a file system in memory of its own, on /home."""
    root, keys = tmp_path / "node", tmp_path / "ssh"
    root.mkdir()
    keys.mkdir()
    fill(root)
    for name in ("host", "id_ed25519"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)]
        subprocess.run(command, check=True)
    shutil.copy(keys / "host", root / "etc/ssh_host_key")
    shutil.copy(keys / "id_ed25519.pub", root / "root/.ssh/authorized_keys")
    (root / "root/.ssh").chmod(0o700)
    port = free_port()
    options = [
        f"Port={port}", "ListenAddress=127.0.0.1", "HostKey=/etc/ssh_host_key", "UsePAM=no", "StrictModes=no",
        "PidFile=none",
    ]  # fmt: skip
    words = " ".join(f"-o {option}" for option in options)
    (root / "empty").touch()
    script = f"""set -e
        mount -t proc proc {root}/proc; mount -t tmpfs none {root}/home; echo x > {root}/home/mail
        mount -t tmpfs none {root}/dev; mkdir {root}/dev/pts
        for name in null zero urandom; do : > {root}/dev/$name; mount --bind /dev/$name {root}/dev/$name; done
        exec chroot {root} {shutil.which("sshd")} -D -e -f /empty {words}"""
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "sh", "-c", script]
    with (tmp_path / "sshd.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, start_new_session=True)
    public = (keys / "host.pub").read_text()
    (keys / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}")
    made = Node(root, Login("127.0.0.1", port, keys), process)
    try:
        wait_for(port)
        yield made
    finally:
        made.end()


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def recipe(arch: str = "") -> Recipe:
    kind = Kind("debian12", arch or os.uname().machine, "compute")
    return Recipe(NAME, kind, (), files={"usr/lib/serval/mark": "ours\n"})


def captured(node: Node, folder: Path, *more: str, made: Recipe | None = None, stop: bool = False) -> Record:
    """The record of a capture, of which every way is the node's own."""
    with (folder.parent / "log").open("ab") as log:
        jail = Jail(log, lambda: stop)
        return capture([(node.to, None)], made or recipe(), folder, more, jail, lambda _, text: None)


def test_a_running_node_becomes_an_image(node: Node, tmp_path: Path) -> None:
    folder = tmp_path / "image"
    record = captured(node, folder, "./site/file*")
    root = Shelf(folder).root
    assert record.packages == {"bash": "5.2"}
    assert (folder / "kernel").read_text() == "kernel\n"
    assert (folder / "initrd-stateless.gz").read_text() == "initrd\n"
    for name in ("etc/hostname", "root/.ssh/id_rsa", "tmp/scratch", "home/mail", "site/file with blank"):
        assert not (root / name).exists(), name
    assert [(root / name).read_text() for name in ("etc/fstab", "etc/machine-id")] == ["", ""]
    assert not list((root / "proc").iterdir()) and not list((root / "dev").iterdir())
    kept = root / "etc/app.conf"
    assert (kept.stat().st_uid, kept.stat().st_gid) == (1234, 4321)
    assert os.getxattr(kept, "user.serval") == b"kept"
    assert (root / "site/large").samefile(root / "site/linked")
    assert (root / "site/link").readlink() == Path("/etc/app.conf")
    assert (root / "usr/lib/serval/mark").read_text() == "ours\n"


def test_through_a_service_node(node: Node, tmp_path: Path) -> None:
    """The node itself is its own service node here; from this host no other way works."""
    nowhere = Login("127.0.0.1", 1, node.to.folder)
    with (tmp_path / "log").open("ab") as log:
        record = capture(
            [(nowhere, None), (node.to, node.to)],
            recipe(),
            tmp_path / "image",
            (),
            Jail(log),
            lambda *_: None,
        )
        assert record.packages
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1 cannot .*; through 127\.0\.0\.1:\d+: "):
            capture(
                [(nowhere, None), (nowhere, node.to)], recipe(), tmp_path / "image", (), Jail(log),
                lambda *_: None,
            )  # fmt: skip


def test_what_cannot_be_captured_is_said_and_leaves_nothing(node: Node, tmp_path: Path) -> None:
    folder = tmp_path / "image"
    with pytest.raises(RequestError, match=r"and osimage .* vax"):
        captured(node, folder, made=recipe("vax"))
    (node.root / "usr/lib/dracut/modules.d/90livenet").rmdir()
    with pytest.raises(RequestError, match=r"install dracut-live$"):
        captured(node, folder)
    (node.root / "usr/lib/dracut/modules.d/90livenet").mkdir()
    (node.root / "boot/vmlinuz-6.1-x").rename(node.root / "boot/other")
    with pytest.raises(RequestError, match="the node has no kernel"):
        captured(node, folder)
    (node.root / "boot/vmlinuz-6.0-x").touch()
    with pytest.raises(DefinitionError, match=r"has modules of 6\.1-x, but no such kernel"):
        captured(node, folder)
    (node.root / "boot/other").rename(node.root / "boot/vmlinuz-6.1-x")
    with pytest.raises(Cancelled):
        captured(node, folder, stop=True)
    (node.root / "etc/ssh").symlink_to("/etc/ssh")
    with pytest.raises(RequestError, match="/etc/ssh of the node is a symbolic link that leads out"):
        captured(node, folder)
    (node.root / "usr/bin/tar").rename(node.root / "usr/bin/real-tar")
    (node.root / "usr/bin/tar").write_text(
        "#!/bin/sh\nreal-tar --create --file=- -C / etc\necho broken disk >&2\nexit 2\n"
    )
    (node.root / "usr/bin/tar").chmod(0o755)
    with pytest.raises(UnavailableError, match="tar on the node ended with status 2: broken disk"):
        captured(node, folder)
    hosts = node.to.folder / "known_hosts"
    known = hosts.read_text()
    hosts.write_text("")
    with pytest.raises(UnavailableError, match=r"is not in .*known_hosts; as root: ssh"):
        captured(node, folder)
    hosts.write_text(f"{known.split(' ')[0]} {(node.to.folder / 'id_ed25519.pub').read_text()}")
    with pytest.raises(UnavailableError, match="shows another host key"):
        captured(node, folder)
    assert {path.name for path in folder.iterdir()} == {".lock"}


def test_a_node_that_dies_on_the_way_leaves_nothing(node: Node, tmp_path: Path) -> None:
    whole = subprocess.run(
        ["tar", "-c", "-C", str(node.root), "site", "etc"], capture_output=True, check=True
    )
    (node.root / "half").write_bytes(whole.stdout[:2_000_000])
    (node.root / "usr/bin/tar").write_text("#!/bin/sh\ncat /half\nkill -STOP $$\n")
    (node.root / "usr/bin/tar").chmod(0o755)
    folder = tmp_path / "image"

    def look() -> bool:
        if (folder / ".build/rootimg/site").exists():
            node.end()
        return False

    with (tmp_path / "log").open("ab") as log, pytest.raises(UnavailableError, match="did not come"):
        capture([(node.to, None)], recipe(), folder, (), Jail(log, look), lambda *_: None)
    assert {path.name for path in folder.iterdir()} == {".lock"}


@pytest.fixture
def site(sqlite_template: Path, tmp_path: Path) -> ImageSite:
    made = image_site(sqlite_env(sqlite_template, tmp_path), tmp_path)
    made.shell.ok("chdef n1 os=debian12 arch=x86_64 profile=compute servicenode=sn1,sn2 ip=10.0.0.1")
    return made


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("imgcapture n[1-2]", "one node is captured"),
        ("imgcapture n2", "osvers is not set"),
        ("imgcapture n1 -t sysclone", "-t sysclone is not there"),
        ("imgcapture nosuch", "nosuch"),
    ],
)
def test_refusals(site: ImageSite, line: str, said: str) -> None:
    answer = site.shell.run(line)
    assert (answer.status, said in answer.err) == (1, True), answer


def test_the_way_and_the_list(site: ImageSite) -> None:
    with site.engine.connect() as connection:
        assert ways(connection, "n1", "mn1") == [("10.0.0.1", ""), ("10.0.0.1", "sn1"), ("10.0.0.1", "sn2")]
    values = {"osvers": "debian12", "osarch": "x86_64", "profile": "compute"}
    found = Source(NAME, values, "/install", site.home)
    assert exlist(found) == []
    custom = site.install / "custom/netboot/debian"
    custom.mkdir(parents=True)
    (custom / "compute.imgcapture.exlist").write_text("./scratch/*\n")
    assert exlist(found) == ["./scratch/*"]
    (custom / "compute.imgcapture.exlist").write_text("+./scratch/*\n")
    with pytest.raises(RequestError, match=r"lines with \+"):
        exlist(found)
