"""iPXE, which xCAT calls xnba: BIOS and UEFI x86_64, everything over HTTP from the server that answered.

Files and their names are xCAT's (`xcat/xnba/nodes/NODE`, `.uefi` with the same text), syntax is
https://ipxe.org/scripting. DHCP tells a node its name (option 12), by which it finds its script; so it is
`${hostname}` in the script. iPXE has no quoting: a line is first expanded (`${…}`), then cut at blanks, and
the words `||`, `&&`, `;` and `#…` mean something, so a kernel argument cannot be one of them.
"""

import re

from core.bootdoc import BootDoc, Way
from core.errors import NodeError
from drivers.netboot import words
from drivers.netboot.loader import (
    BIOS,
    MARK,
    UEFI_BC,
    UEFI_X86_64,
    UEFI_X86_64_HTTP,
    BootLoader,
    Firmware,
)

_FOLDER = "xcat/xnba/nodes"
_BOOTIF = "BOOTIF=01-${netX/mac:hexhyp}"
_SEPARATORS = frozenset({"||", "&&", ";"})

_MAC_NAME = re.compile("01(-[0-9a-f]{2}){6}")

#: For a machine whose DHCP server is not ours: what ours would have told. The other server may name itself.
_NAME = """\
set hostname {node}
isset ${{proxydhcp/next-server}} && set next-server ${{proxydhcp/next-server}} ||
chain --replace --autofree http://${{next-server}}:{port}/{script}
"""
#: UEFI goes on to its next boot device only after an error; a BIOS after any end.
_LOCAL = """\
iseq ${platform} efi && exit 1 || exit
"""
#: Debian's iPXE has no `poweroff`, others may; a node that stays on must not start its disk instead.
_POWEROFF = """\
poweroff || echo This iPXE cannot switch the machine off: it waits here for rpower ${hostname} off.
:wait
sleep 3600
goto wait
"""
#: A server that died in between is left for the one that answers DHCP now. `--name` and no second word: with
#: one, iPXE would wrap the initrd into an archive of its own.
_IMAGE = """\
kernel {base}/{kernel} initrd=initrd {cmdline} || goto again
initrd --name initrd {base}/{initrd} || goto again
boot || goto again
:again
echo The image did not load from {server}: asking DHCP again.
imgfree
sleep 5
dhcp || goto again
chain --replace --autofree ${{filename}} || goto again
"""


def script_path(node: str) -> str:
    """The script of a node as HTTP serves it."""
    return f"tftpboot/{_FOLDER}/{node}"


def _render(doc: BootDoc) -> dict[str, str]:
    if doc.node.endswith(".uefi"):
        raise NodeError(f"{doc.node} cannot boot with xnba: NODE.uefi is the UEFI file of another node")
    if _MAC_NAME.fullmatch(doc.node):
        raise NodeError(f"{doc.node} cannot boot with xnba: the file of a MAC address has such a name")
    words.refuse(doc, "iPXE", "${")
    body = {Way.LOCAL: _LOCAL, Way.POWEROFF: _POWEROFF}.get(doc.way) or _image(doc)
    text = f"#!ipxe\n#{doc.state}\n{MARK}\n{body}"
    name = f"#!ipxe\n{MARK}\n{_NAME.format(node=doc.node, port=doc.http_port, script=script_path(doc.node))}"
    proxied = {f"{_FOLDER}/{mac}": name for mac in words.mac_names(doc)} if doc.proxy else {}
    return {f"{_FOLDER}/{doc.node}": text, f"{_FOLDER}/{doc.node}.uefi": text, **proxied}


def _image(doc: BootDoc) -> str:
    for word in doc.cmdline.split():
        if word in _SEPARATORS or word.startswith("#"):
            raise NodeError(f"{word} cannot be a kernel argument with xnba: iPXE would end the line there")
    server = doc.server or "${next-server}"
    cmdline = " ".join(words.filled(doc.cmdline, doc, server, "${hostname}").split())
    if not words.has_word(cmdline, "BOOTIF"):
        cmdline = f"{cmdline} {_BOOTIF}".strip()
    base = f"http://{server}:{doc.http_port}"
    return _IMAGE.format(base=base, kernel=doc.kernel, initrd=doc.initrd, cmdline=cmdline, server=server)


XNBA = BootLoader(
    folders=(_FOLDER,),
    arches=frozenset({"x86_64"}),
    clients={
        BIOS: "xcat/xnba.kpxe",
        UEFI_BC: "xcat/xnba.efi",
        UEFI_X86_64: "xcat/xnba.efi",
        UEFI_X86_64_HTTP: "xcat/xnba.efi",
    },
    firmware=(
        Firmware("x86_64", "xcat/xnba.kpxe", "ipxe", "usr/lib/ipxe/undionly.kpxe"),
        Firmware("x86_64", "xcat/xnba.efi", "ipxe", "usr/lib/ipxe/snponly.efi"),
    ),
    render=_render,
    script=script_path,
)
