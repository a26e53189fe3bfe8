"""Every boot loader by noderes.netboot, and what the rest of Serval asks of them."""

from core.bootdoc import BootDoc, Loader
from core.errors import NodeError
from drivers.netboot import words
from drivers.netboot.grub2 import GRUB2
from drivers.netboot.loader import BootLoader
from drivers.netboot.pxe import PXE
from drivers.netboot.xnba import XNBA

LOADERS: dict[Loader, BootLoader] = {Loader.XNBA: XNBA, Loader.GRUB2: GRUB2, Loader.PXE: PXE}


def render(doc: BootDoc) -> dict[str, str]:
    """The boot files of a node: {path below tftpdir: text}, the same on every member of its pool.

    Raises NodeError when the loader cannot boot the node's architecture, finds no file without a MAC or IP
    address, or cannot carry a value unchanged.
    """
    words.check(doc)
    loader = LOADERS[doc.loader]
    if doc.arch not in loader.arches:
        able = " or ".join(sorted(name for name, other in LOADERS.items() if doc.arch in other.arches))
        raise NodeError(
            f"{doc.loader} cannot boot {doc.arch or 'a node without nodetype.arch'}: "
            + (f"set noderes.netboot to {able}" if able else "no boot loader of Serval can")
        )
    return loader.render(doc)


def dhcp_boot_files(loader: Loader) -> dict[int, str]:
    """DHCP client architecture (option 93) → first file, below tftpdir.

    For the codes in `loader.HTTP_CLIENTS` DHCP must name it as `http://SERVER:PORT/tftpboot/FILE` and send
    option 60 `HTTPClient`.
    """
    return dict(LOADERS[loader].clients)


def script_by_mac(loader: Loader) -> str | None:
    """What iPXE finds below `http://SERVER:PORT/` when nobody told it its name (`BootDoc.proxy`)."""
    script = LOADERS[loader].script
    return script("01-${netX/mac:hexhyp}") if script else None


def script_of(loader: Loader, node: str, http_port: int = 80, server: str = "${next-server}") -> str | None:
    """What DHCP names as boot file to a client that already is iPXE (option 77 `iPXE`), on any firmware.

    iPXE itself puts the server that answered into `${next-server}`; `server` is one by name instead. None:
    the node's loader is not iPXE, so this client gets the file of `dhcp_boot_files` like any other.
    """
    script = LOADERS[loader].script
    return f"http://{server}:{http_port}/{script(node)}" if script else None
