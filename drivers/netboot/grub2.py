"""GRUB 2 on UEFI, x86_64 and aarch64: `boot/grub2/NODE`, which GRUB finds through files by MAC and IP.

GRUB looks for `grub.cfg-01-MAC` and `grub.cfg-HEXIP` beside itself (GRUB manual, "Network") when it came over
TFTP, and keeps the server that answered in `$net_default_server` (`$pxe_default_server` is an alias of it).
Each kernel argument is one word in single quotes, so the script's syntax cannot be reached from inside.
"""

from core.bootdoc import BootDoc, Way
from core.errors import NodeError
from drivers.netboot import words
from drivers.netboot.loader import MARK, UEFI_AARCH64, UEFI_BC, UEFI_X86_64, BootLoader, Firmware

_FOLDER = "boot/grub2"
_SERVER = "$net_default_server"
_BOOTIF = "'BOOTIF=01-'\"$net_default_mac\""
#: GRUB 2.06 knows no other port in `(http,SERVER)`.
_HTTP_PORT = 80

#: UEFI shows its menu when GRUB exits, so the disk's own loader is started from here.
_LOCAL = """\
for file in /EFI/debian/shim{suffix}.efi /EFI/ubuntu/shim{suffix}.efi /EFI/redhat/shim{suffix}.efi \
/EFI/rocky/shim{suffix}.efi /EFI/almalinux/shim{suffix}.efi /EFI/centos/shim{suffix}.efi \
/EFI/sles/shim.efi /EFI/debian/grub{suffix}.efi /EFI/BOOT/BOOT{fallback}.EFI; do
  if search --no-floppy --file --set=disk $file; then
    if chainloader ($disk)$file; then
      boot
    fi
  fi
done
exit
"""
#: Found by MAC or IP. It never changes, and leaves the text of the node for all nodes that boot the same.
_NAME = """\
set node={node}
source $prefix/{node}
"""
_POWEROFF = """\
halt
"""
#: A server that died in between is left for the one that answers DHCP now.
_IMAGE = """\
while true; do
  if linux {kernel} {cmdline}; then
    if initrd {initrd}; then
      boot
    fi
  fi
  echo 'The image did not load: asking DHCP again.'
  sleep 5
  net_bootp
done
"""
_SUFFIX = {"x86_64": ("x64", "X64"), "aarch64": ("aa64", "AA64")}


def _render(doc: BootDoc) -> dict[str, str]:
    if doc.node.startswith(("grub.cfg", "grub2.")):
        raise NodeError(f"{doc.node} cannot boot with grub2: GRUB itself reads a file of that name")
    text = f"#{doc.state}\n{MARK}\n{_body(doc)}"
    name = f"#{_FOLDER}/{doc.node} says what this node boots\n{MARK}\n{_NAME.format(node=doc.node)}"
    addresses = {f"{_FOLDER}/grub.cfg-{address}": name for address in words.address_names(doc)}
    return {f"{_FOLDER}/{doc.node}": text, **addresses}


def _body(doc: BootDoc) -> str:
    if doc.way is Way.POWEROFF:
        return _POWEROFF
    if doc.way is Way.LOCAL:
        suffix, fallback = _SUFFIX[doc.arch]
        return _LOCAL.format(suffix=suffix, fallback=fallback)
    arguments = [_quoted(word, doc) for word in kernel_words(doc.cmdline)]
    if not words.has_word(doc.cmdline, "BOOTIF"):
        arguments.append(_BOOTIF)
    return _IMAGE.format(
        kernel=_file(doc.kernel, doc), initrd=_file(doc.initrd, doc), cmdline=" ".join(arguments)
    )


def _file(path: str, doc: BootDoc) -> str:
    server = doc.server or _SERVER
    if doc.http_port == _HTTP_PORT:
        return f'"(http,{server})/{path}"'
    return f'"(tftp,{server})/{words.tftp_path(path)}"'


def kernel_words(cmdline: str) -> list[str]:
    """Kernel arguments as the kernel cuts them: at blanks outside of double quotes; the quotes are left out.

    GRUB writes quotes of its own around an argument with a blank in it, which is the same to the kernel.
    Raises NodeError.
    """
    if "'" in cmdline:
        raise NodeError(f"grub2 would write a backslash before the ' in: {cmdline}")
    pieces = cmdline.split('"')
    if len(pieces) % 2 == 0:
        raise NodeError(f"a double quote is never closed in the kernel arguments: {cmdline}")
    found: list[str] = [""]
    for number, piece in enumerate(pieces):
        if number % 2:
            found[-1] += piece
            continue
        first, *rest = piece.split(" ")
        found[-1] += first
        found += rest
    return [word for word in found if word]


def _quoted(word: str, doc: BootDoc) -> str:
    return "'" + words.filled(word, doc, f"'\"{_SERVER}\"'", "'\"$node\"'") + "'"


GRUB2 = BootLoader(
    folders=(_FOLDER,),
    arches=frozenset({"x86_64", "aarch64"}),
    clients={
        UEFI_BC: f"{_FOLDER}/grub2.x86_64",
        UEFI_X86_64: f"{_FOLDER}/grub2.x86_64",
        UEFI_AARCH64: f"{_FOLDER}/grub2.aarch64",
    },
    firmware=(
        Firmware(
            "x86_64", f"{_FOLDER}/grub2.x86_64", "grub-efi-amd64-bin", "usr/lib/grub/x86_64-efi", "x86_64-efi"
        ),
        Firmware(
            "aarch64", f"{_FOLDER}/grub2.aarch64", "grub-efi-arm64-bin", "usr/lib/grub/arm64-efi", "arm64-efi"
        ),
    ),
    render=_render,
)
