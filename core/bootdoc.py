"""What one node shall boot: the document that nodeset writes once and every member of its pool renders.

It names no service node: the server that answers the node is the one it boots from, unless noderes says
otherwise (xcatmaster, tftpserver, nfsserver). DESIGN section 6.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from json.encoder import encode_basestring_ascii as quoted

from core.errors import RequestError

#: In `cmdline` and URLs: the server that answered, in each loader's own words.
SERVER = "{server}"


class Loader(StrEnum):
    """Boot loaders by noderes.netboot; pxe is pxelinux."""

    XNBA = "xnba"
    GRUB2 = "grub2"
    PXE = "pxe"


class Way(StrEnum):
    """What the loader does."""

    #: Go on to the next boot device: the disk.
    LOCAL = "local"
    #: Load kernel and initrd.
    IMAGE = "image"
    #: Switch the machine off.
    POWEROFF = "poweroff"


@dataclass(frozen=True, slots=True)
class BootDoc:
    """The boot of one node. Paths are relative to what the SN serves over TFTP and HTTP."""

    node: str
    #: What people read, and the first line of the boot file: `boot`, `netboot debian12-x86_64-compute`.
    state: str
    way: Way
    loader: Loader
    #: x86_64 or aarch64.
    arch: str
    #: MAC addresses `aa:bb:cc:dd:ee:ff` that may boot, the installnic's first.
    macs: tuple[str, ...] = ()
    #: The node's address on its boot network; empty when unknown.
    ip: str = ""
    #: For `Way.IMAGE`, without a leading slash: `install/…` is below site.installdir, `tftpboot/…` below
    #: tftpdir.
    kernel: str = ""
    initrd: str = ""
    #: Kernel arguments; `{server}` stands for the server that answered.
    cmdline: str = ""
    #: Fixed server (noderes without a pool); empty: the server that answered.
    server: str = ""
    #: Port of the HTTP server (site.httpport).
    http_port: int = 80
    #: noderes.tftpdir or site.tftpdir.
    tftpdir: str = "/tftpboot"
    #: Another DHCP server gives its address (noderes.proxydhcp): nobody tells it its name.
    proxy: bool = False

    def of(self, node: str, macs: tuple[str, ...], ip: str, cmdline: str, server: str) -> "BootDoc":
        """The same with what is one node's own."""
        # Written out: dataclasses.replace() of ten thousand documents takes 40 ms.
        shared = (self.state, self.way, self.loader, self.arch)
        files = (self.kernel, self.initrd)
        return BootDoc(
            node, *shared, macs, ip, *files, cmdline, server, self.http_port, self.tftpdir, self.proxy
        )

    def to_text(self) -> str:
        """As JSON, the same for equal documents."""
        # Written out, as ten thousand of them are made at a time: json.dumps() takes five times as long.
        macs = ", ".join([quoted(mac) for mac in self.macs])
        return (
            f'{{"node": {quoted(self.node)}, "state": {quoted(self.state)}, "way": {quoted(self.way)}, '
            f'"loader": {quoted(self.loader)}, "arch": {quoted(self.arch)}, "macs": [{macs}], '
            f'"ip": {quoted(self.ip)}, "kernel": {quoted(self.kernel)}, "initrd": {quoted(self.initrd)}, '
            f'"cmdline": {quoted(self.cmdline)}, "server": {quoted(self.server)}, '
            f'"http_port": {self.http_port:d}, "tftpdir": {quoted(self.tftpdir)}, '
            f'"proxy": {"true" if self.proxy else "false"}}}'
        )


def from_text(text: str) -> BootDoc:
    """The document that `to_text` wrote. Raises RequestError when it is none."""
    try:
        told = json.loads(text)
        told |= {"way": Way(told["way"]), "loader": Loader(told["loader"]), "macs": tuple(told["macs"])}
        return BootDoc(**told)
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(f"a boot document cannot be read: {error}") from error
