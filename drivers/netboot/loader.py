"""What a boot loader is to Serval: a renderer, the architectures it boots, and the files that it consists of.

A new loader is one module that makes one `BootLoader`, and one line in `loaders.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from core.bootdoc import BootDoc

#: Client architectures of DHCP option 93 (RFC 4578, and IANA's "Processor Architecture Types").
BIOS = 0
UEFI_BC = 7
UEFI_X86_64 = 9
UEFI_AARCH64 = 11
#: UEFI HTTP boot: the boot file must be a whole URL, and the answer needs option 60 `HTTPClient`.
UEFI_X86_64_HTTP = 16
HTTP_CLIENTS = frozenset({UEFI_X86_64_HTTP})

#: Tells Serval's own files from foreign ones in the same folder; every rendered file has this line.
MARK = "# Serval wrote this file and shares it between nodes: do not edit it, run nodeset."


@dataclass(frozen=True, slots=True)
class Firmware:
    """One file of a loader, as a Debian package brings it."""

    #: The architecture of the nodes that load it.
    arch: str
    #: Below tftpdir.
    file: str
    #: The Debian package that has `source`.
    package: str
    #: The file to copy; for `grub_platform` the folder of modules.
    source: str
    #: Set when the file is made by grub-mkimage: its `--format`.
    grub_platform: str = ""


@dataclass(frozen=True, slots=True)
class BootLoader:
    """One boot loader."""

    #: Below tftpdir: where its boot files lie, beside foreign ones.
    folders: tuple[str, ...]
    #: Architectures whose kernels it can start.
    arches: frozenset[str]
    #: DHCP client architecture → the file below tftpdir that such a client loads first.
    clients: Mapping[int, str]
    firmware: tuple[Firmware, ...]
    #: A checked document → {path below tftpdir: text}. Raises NodeError.
    render: Callable[[BootDoc], dict[str, str]]
    #: Node → what DHCP names to a client that already is this loader, after `http://SERVER[:PORT]/`;
    #: None: such a client is like any other.
    script: Callable[[str], str] | None = field(default=None)
