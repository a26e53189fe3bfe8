"""Boot files in the loaders that they are for: a machine in QEMU loads and starts what a document says.

The kernel is iPXE itself in its Linux clothes (`ipxe.lkrn`): it takes its kernel arguments for a command, so
`echo` tells on the serial line what reached it. No root and no network: QEMU's user network serves TFTP, and
its 10.0.2.2 is this host's loopback.
"""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread, Timer

import pytest

from core.bootdoc import BootDoc, Loader, Way
from core.wanted import Change
from drivers.netboot.firmware import put_loaders
from drivers.netboot.loader import BIOS
from drivers.netboot.loaders import dhcp_boot_files, script_of
from drivers.netboot.tree import BootTree

MAC = "52:54:00:12:34:56"
#: The last argument; the machine says more behind it.
LAST = "BOOTIF=01-52-54-00-12-34-56"
KERNEL = Path("/usr/lib/ipxe/ipxe.lkrn")
#: For a machine with two cores that many tests share; alone each takes 7 s.
TIMEOUT_S = 90


class Site:
    """What a service node serves, and the HTTP server that does it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tftpdir = root / "tftpboot"
        self.served: list[str] = []
        #: Paths that are refused the next time.
        self.refused: list[str] = []
        self.port = 0

    def prepare(self, loader: Loader) -> None:
        image = self.tftpdir / "xcat/osimage/img"
        image.mkdir(parents=True)
        (image / "kernel").write_bytes(KERNEL.read_bytes())
        (image / "initrd").write_bytes(b"nothing that anybody reads")
        doc = BootDoc(
            node="n1",
            state="netboot img",
            way=Way.IMAGE,
            loader=loader,
            arch="x86_64",
            macs=(MAC,),
            kernel="tftpboot/xcat/osimage/img/kernel",
            initrd="tftpboot/xcat/osimage/img/initrd",
            cmdline='echo arrived: NODE=n1 server={server} console=ttyS0,115200n8 a="b c"',
            http_port=self.port,
        )
        assert put_loaders(self.tftpdir, [(loader, "x86_64")]) == {}
        assert BootTree(self.tftpdir, self.root / "state").apply([Change("n1", doc.to_text())], 1) == {}

    def boot(self, bootfile: str) -> str:
        """What the machine said until the kernel had its arguments, of which the last is BOOTIF."""
        machine = subprocess.Popen(
            [
                *(
                    "qemu-system-x86_64",
                    "-accel",
                    "tcg",
                    "-m",
                    "128",
                    "-nographic",
                    "-no-reboot",
                    "-boot",
                    "n",
                ),
                *("-netdev", f"user,id=net,hostname=n1,tftp={self.tftpdir},bootfile={bootfile}"),
                *("-device", f"virtio-net-pci,netdev=net,mac={MAC}"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        alarm = Timer(TIMEOUT_S, machine.kill)
        alarm.start()
        assert machine.stdout is not None
        said = b""
        try:
            while LAST not in arguments(plain(said)):
                piece = machine.stdout.read1(4096)
                if not piece:
                    break
                said += piece
        finally:
            alarm.cancel()
            machine.kill()
            machine.communicate()
        return plain(said)


class Handler(SimpleHTTPRequestHandler):
    def __init__(self, *args: object, site: Site) -> None:
        self.site = site
        super().__init__(*args, directory=str(site.root))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.site.served.append(self.path)
        if self.path in self.site.refused:
            self.site.refused.remove(self.path)
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        super().do_GET()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(root: Path) -> Iterator[Site]:
    site = Site(root)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, site=site)) as server:
        site.port = server.server_address[1]
        Thread(target=server.serve_forever, daemon=True).start()
        yield site
        server.shutdown()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path) as site:
        yield site


def plain(said: bytes) -> str:
    """Without what moves the cursor of a terminal."""
    return re.sub(r"\x1b\[[0-9;?=]*[A-Za-z]", "", said.decode(errors="replace"))


def arguments(said: str) -> str:
    """The kernel arguments that were echoed; the console breaks its lines at 80 characters."""
    echoed = said.partition("arrived: ")[2].replace("\r", "").replace("\n", "")
    first, last, _ = echoed.partition(LAST)
    return first + last


def test_ipxe_loads_all_over_http_and_asks_again_when_a_server_fails(site: Site) -> None:
    site.prepare(Loader.XNBA)
    kernel, initrd = "/tftpboot/xcat/osimage/img/kernel", "/tftpboot/xcat/osimage/img/initrd"
    script = "/tftpboot/xcat/xnba/nodes/n1"
    site.refused.append(kernel)
    said = site.boot(script_of(Loader.XNBA, "n1", site.port) or "")
    assert "asking DHCP again" in said
    assert site.served == [script, kernel, script, kernel, initrd]
    assert (
        arguments(said)
        == 'NODE=n1 server=10.0.2.2 console=ttyS0,115200n8 a="b c" BOOTIF=01-52-54-00-12-34-56'
    )


def test_pxelinux_loads_over_tftp_and_tells_the_kernel_its_server(site: Site) -> None:
    site.prepare(Loader.PXE)
    said = site.boot(dhcp_boot_files(Loader.PXE)[BIOS])
    assert site.served == []
    assert arguments(said) == (
        'NODE=n1 server={server} console=ttyS0,115200n8 a="b c" '
        "ip=10.0.2.15:10.0.2.2:10.0.2.2:255.255.255.0 BOOTIF=01-52-54-00-12-34-56"
    )
