"""pxelinux: x86_64 with a BIOS, for hardware that iPXE does not like.

Files by MAC and by IP in `pxelinux.cfg` (SYSLINUX wiki, "PXELINUX" and "Config"). pxelinux has no variables.
Without a fixed server, kernel and initrd come over TFTP from the server that answered, and `{server}` stays
in the kernel arguments as it is: `IPAPPEND 1` adds `ip=CLIENT:SERVER:GATEWAY:NETMASK`, and the initramfs puts
that SERVER in. With a fixed server it is written out, and the files come over HTTP.
"""

from core.bootdoc import SERVER, BootDoc, Way
from core.errors import NodeError
from drivers.netboot import words
from drivers.netboot.loader import BIOS, MARK, BootLoader, Firmware

_FOLDER = "pxelinux.cfg"
_MODULES = "usr/lib/syslinux/modules/bios"
#: Bits of IPAPPEND.
_ADD_IP = 1
_ADD_BOOTIF = 2


def _render(doc: BootDoc) -> dict[str, str]:
    lines = [f"#{doc.state}", MARK, "DEFAULT serval", "LABEL serval", *_label(doc)]
    text = "\n".join(lines) + "\n"
    return {f"{_FOLDER}/{name}": text for name in words.address_names(doc)}


def _label(doc: BootDoc) -> list[str]:
    if doc.way is Way.LOCAL:
        return ["LOCALBOOT 0"]
    if doc.way is Way.POWEROFF:
        return ["COM32 poweroff.c32"]
    lines = [f"LINUX {_file(doc.kernel, doc)}", f"INITRD {_file(doc.initrd, doc)}"]
    cmdline = " ".join(words.filled(doc.cmdline, doc, SERVER, doc.node).split())
    if cmdline == "-":
        raise NodeError("- cannot be the only kernel argument with pxe: pxelinux reads it as none")
    if cmdline:
        lines.append(f"APPEND {cmdline}")
    added = (_ADD_IP if SERVER in cmdline else 0) | (0 if words.has_word(cmdline, "BOOTIF") else _ADD_BOOTIF)
    return [*lines, f"IPAPPEND {added}"]


def _file(path: str, doc: BootDoc) -> str:
    return f"http://{doc.server}:{doc.http_port}/{path}" if doc.server else words.tftp_path(path)


PXE = BootLoader(
    folders=(_FOLDER,),
    arches=frozenset({"x86_64"}),
    clients={BIOS: "pxelinux.0"},
    firmware=(
        Firmware("x86_64", "pxelinux.0", "pxelinux", "usr/lib/PXELINUX/lpxelinux.0"),
        Firmware("x86_64", "ldlinux.c32", "syslinux-common", f"{_MODULES}/ldlinux.c32"),
        Firmware("x86_64", "libcom32.c32", "syslinux-common", f"{_MODULES}/libcom32.c32"),
        Firmware("x86_64", "poweroff.c32", "syslinux-common", f"{_MODULES}/poweroff.c32"),
    ),
    render=_render,
)
