"""A DHCP proxy: another server gives the addresses, Serval's dnsmasq the boot files, seen on the wire."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import PIPE, STDOUT
from threading import Thread, Timer

import pytest
from dhcp_rig import ACK, BRIDGE, OFFER, START_S, Answer, Client, Server, inside

from core.bootdoc import BootDoc, Loader, Way
from core.dhcpdoc import DhcpDoc, DhcpHost
from core.netdoc import NetDoc, NetworksDoc
from drivers.netboot.loaders import render
from drivers.services.dhcpprobe import pxe_request
from lab.namespaces import SWITCHES, Namespaces, namespaces

OTHER, OURS, CLIENT = "10.99.0.9", "10.99.0.1", "10.99.0.100"
KERNEL = Path("/usr/lib/ipxe/ipxe.lkrn")
#: For a machine with two cores that many tests share; alone it takes 10 s.
TIMEOUT_S = 90
BIOS, UEFI, AARCH64 = (number.to_bytes(2) for number in (0, 9, 11))
SCRIPT = f"http://{OURS}:80/tftpboot/xcat/xnba/nodes/01-${{netX/mac:hexhyp}}"


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespaces]:
    """A switch with a port for clients, and a server that gives addresses and nothing else."""
    folder = tmp_path_factory.mktemp("proxy")
    with namespaces(folder, "proxy") as made:
        made.bridge(BRIDGE)
        made.add("cn")
        made.plug("cn", BRIDGE, f"{CLIENT}/16")
        made.add("other")
        made.plug("other", BRIDGE, f"{OTHER}/16")
        process = addresses_only(made, folder)
        yield made
        process.terminate()
        process.wait()


def addresses_only(net: Namespaces, folder: Path) -> subprocess.Popen[bytes]:
    pid = folder / "other.pid"
    words = ["dnsmasq", "-k", "-C", "/dev/null", "--port=0", "--no-ping", f"--interface={BRIDGE}"]
    words += [f"--pid-file={pid}", f"--dhcp-leasefile={folder / 'leases'}", "--log-facility=-"]
    words += ["--dhcp-range=10.99.5.1,10.99.5.99,255.255.0.0,600s"]
    with (folder / "other.log").open("wb") as log:
        process = subprocess.Popen(net.inside("other", *words), stdout=log, stderr=log)
    deadline = time.monotonic() + START_S
    while not pid.exists():
        assert process.poll() is None and time.monotonic() < deadline, (folder / "other.log").read_text()
        time.sleep(0.01)
    return process


@pytest.fixture(scope="module")
def client(net: Namespaces) -> Iterator[Client]:
    one = Client(net.name("cn"))
    yield one
    one.close()


@pytest.fixture
def sn(net: Namespaces, tmp_path: Path) -> Iterator[Server]:
    """A service node with proxydhcp=1 and a node of each loader."""
    doc = NetworksDoc((NetDoc("a", "10.99.0.0/16"),))
    server = Server(net, "sn1", f"{OURS}/16", tmp_path, doc, proxy=True)
    server.start()
    server.apply(1, node(1), node(2, "grub2"), node(3, "pxe"), replace(node(4), proxy=False), node(5, ""))
    yield server
    server.stop()


def mac(number: int) -> str:
    return f"aa:bb:cc:01:00:{number:02x}"


def node(number: int, loader: str = "xnba") -> DhcpDoc:
    host = DhcpHost(mac(number), f"10.99.1.{number}", f"n{number}")
    return DhcpDoc(f"n{number}", (host,), loader, proxy=True)


def pxe(arch: bytes) -> dict[str, bytes]:
    """What a PXE client says of itself."""
    named = f"PXEClient:Arch:{int.from_bytes(arch):05}:UNDI:003016".encode()
    return {"o60": named, "o93": arch, "o97": bytes(17), "o94": b"\1\3\x10"}


def ours(client: Client, number: int, **more: bytes) -> list[Answer]:
    """The offers of the proxy."""
    return [one for one in client.offers(mac(number), **more) if one.server == OURS]


def boot_item(offer: Answer) -> bytes:
    """What a PXE ROM asks for when it chose the only item of the menu (PXE 2.1, table 2-1)."""
    told, place = offer.options[43], 0
    while told[place] != 9:
        place += 2 + told[place + 1]
    return bytes((71, 4)) + told[place + 2 : place + 4] + bytes((0, 0, 255))


def test_addresses_come_from_the_other_and_boot_files_from_us(sn: Server, client: Client) -> None:
    answers = {one.server: one for one in client.offers(mac(1), **pxe(BIOS))}
    assert answers[OTHER].ip.startswith("10.99.5.")
    assert (answers[OURS].kind, answers[OURS].ip) == (OFFER, "0.0.0.0")
    assert answers[OURS].options[60] == b"PXEClient"
    lease = client.take(mac(1), answers[OTHER])
    assert (lease.kind, lease.ip) == (ACK, answers[OTHER].ip)


@pytest.mark.parametrize(
    ("number", "arch", "file"),
    [
        (1, BIOS, "xcat/xnba.kpxe"),
        (1, UEFI, "xcat/xnba.efi"),
        (2, UEFI, "boot/grub2/grub2.x86_64"),
        (2, AARCH64, "boot/grub2/grub2.aarch64"),
        (3, BIOS, "pxelinux.0"),
    ],
)
def test_each_architecture_gets_its_loader(
    sn: Server, client: Client, number: int, arch: bytes, file: str
) -> None:
    (offer,) = ours(client, number, **pxe(arch))
    if arch == BIOS:
        chosen = {"o43": boot_item(offer)}
    else:
        chosen = {}
        assert offer.next_server == OURS, "UEFI asks this server on the other port"
    answer = client.proxy(mac(number), CLIENT, OURS, **pxe(arch), **chosen)
    assert (answer.kind, answer.file, answer.next_server) == (ACK, file, OURS)


def test_ipxe_gets_the_script_of_its_mac_address(sn: Server, client: Client) -> None:
    for arch in (BIOS, UEFI):
        (offer,) = ours(client, 1, **pxe(arch), o77=b"iPXE", o175=b"\1\1\1")
        assert (offer.file, offer.next_server) == (SCRIPT, OURS)


def test_nobody_else_is_answered(sn: Server, client: Client) -> None:
    said_no, without_loader, stranger = 4, 5, 6
    for number in (said_no, without_loader, stranger):
        assert ours(client, number, **pxe(BIOS)) == ours(client, number, **pxe(BIOS), o77=b"iPXE") == []
    assert ours(client, 1) == [], "what is no PXE client"
    sn.apply(2, node(6), replace(node(1), proxy=False))
    assert ours(client, 6, **pxe(BIOS))
    assert ours(client, 1, **pxe(BIOS)) == []


def test_it_answers_its_health_check_by_a_host_that_nobody_is(sn: Server) -> None:
    assert inside(sn.net.name("sn1"), lambda: pxe_request(BRIDGE)) is None


class Web(ThreadingHTTPServer):
    """What the service node serves over HTTP."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__((OURS, 80), Handler)
        self.files = files
        self.served: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        self.server.served.append(self.path)
        data = self.server.files[self.path]
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def web(sn: Server) -> Iterator[Web]:
    """The boot files of node n1; the kernel is iPXE in its Linux clothes, which says its arguments."""
    boot = BootDoc(
        node="n1", state="netboot img", way=Way.IMAGE, loader=Loader.XNBA, arch="x86_64", macs=(mac(1),),
        kernel="tftpboot/k", initrd="tftpboot/i", cmdline="echo NODE=n1 server={server} arrived", proxy=True,
    )  # fmt: skip
    files = {f"/tftpboot/{path}": text.encode() for path, text in render(boot).items()}
    files |= {"/tftpboot/k": KERNEL.read_bytes(), "/tftpboot/i": b"nothing that anybody reads"}
    server = inside(sn.net.name("sn1"), lambda: Web(files))
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_real_machine_boots_with_an_address_of_the_other(net: Namespaces, web: Web) -> None:
    net.tap("tap0", BRIDGE)
    words = ["qemu-system-x86_64", "-accel", "tcg", "-m", "128", "-nographic", "-no-reboot", "-boot", "n"]
    words += ["-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no"]
    words += ["-device", f"virtio-net-pci,netdev=net,mac={mac(1)}"]
    machine = subprocess.Popen(net.inside(SWITCHES, *words), stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    alarm = Timer(TIMEOUT_S, machine.kill)
    alarm.start()
    assert machine.stdout is not None
    said = b""
    try:
        while b"arrived" not in said and (piece := machine.stdout.read1(4096)):
            said += piece
    finally:
        alarm.cancel()
        machine.kill()
        machine.communicate()
    folder = "/tftpboot/xcat/xnba/nodes"
    by_mac = f"{folder}/01-{mac(1).replace(':', '-')}"
    assert web.served == [by_mac, f"{folder}/n1", "/tftpboot/k", "/tftpboot/i"], said.decode(errors="replace")
    assert f"NODE=n1 server={OURS} arrived".encode() in said.replace(b"\r", b"").replace(b"\n", b"")
