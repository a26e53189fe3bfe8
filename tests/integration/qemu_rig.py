"""A packed image in an emulated machine: it boots from this host over HTTP and says `booted` to it.

QEMU's user network is enough: its 10.0.2.2 is this host's loopback, so no root and no bridge are needed. The
kernel's arguments are those of pxelinux, the loader that leaves most to the RAM disk.
"""

import socketserver
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread

#: What pxelinux adds: the machine, this host as it sees it, gateway, netmask; and its first network card.
ADDED = "ip=10.0.2.15:10.0.2.2:10.0.2.2:255.255.255.0 BOOTIF=01-52-54-00-12-34-56"
#: What serves to show that it is up, and nothing that only takes an emulator's time.
UP = "systemd.unit=serval-booted.service"
MEGABYTES = 768


class Files(SimpleHTTPRequestHandler):
    """Serves without saying so."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def booted(folder: Path, root: str, console: Path) -> Iterator["Queue[str]"]:
    """A machine that boots kernel, initrd-stateless.gz and `root` of a folder; what it reports."""
    heard: Queue[str] = Queue()

    class Ear(socketserver.StreamRequestHandler):
        """As a service node hears nodes (xCAT's install monitor)."""

        def handle(self) -> None:
            self.wfile.write(b"ready\n")
            heard.put(self.rfile.readline().decode().strip())
            self.wfile.write(b"done\n")

    with (
        ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(folder))) as web,
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), Ear) as ear,
    ):
        for server in (web, ear):
            Thread(target=server.serve_forever, daemon=True).start()
        files, hears = web.server_address[1], ear.server_address[1]
        told = f"imgurl=http://{{server}}:{files}/{root} SERVAL={{server}}:{hears}"
        command = [
            *("qemu-system-x86_64", "-accel", "tcg,tb-size=64", "-cpu", "max", "-m", str(MEGABYTES)),
            *("-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{console}"),
            *("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net"),
            *("-device", "virtio-rng-pci"),
            *("-kernel", str(folder / "kernel"), "-initrd", str(folder / "initrd-stateless.gz")),
            *("-append", f"console=ttyS0 quiet norandmaps NODE=n1 {UP} {told} {ADDED}"),
        ]
        machine = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        try:
            yield heard
        finally:
            machine.kill()
            machine.wait()
            for server in (web, ear):
                server.shutdown()
