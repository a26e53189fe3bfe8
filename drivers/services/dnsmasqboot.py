"""Which client gets which boot file: by its architecture (option 93, RFC 4578) and its node's loader.

A client of UEFI HTTP boot wants a whole URL and `HTTPClient` in option 60 (UEFI 2.10, section 24.7), so it
gets the address behind the interface on which it asks; it loads the same file as others do by TFTP.
"""

from collections.abc import Iterator, Mapping

from core.bootdoc import Loader
from core.dhcpplan import NO_BOOT
from drivers.netboot.loader import BIOS, HTTP_CLIENTS
from drivers.netboot.loaders import dhcp_boot_files, script_by_mac, script_of
from drivers.services.dnsmasqvalue import value

BOOT_FILE = "option:bootfile-name"
#: iPXE puts in the host name that DHCP gives it, so that one line does for all nodes.
NODE_NAME = "${hostname}"
#: Marks of a client that already is iPXE.
IPXE = (
    "dhcp-match=set:ipxe,175",
    "dhcp-userclass=set:ipxe,iPXE",
    "dhcp-userclass=set:ipxe,xNBA",
    # iPXE need not wait for a ProxyDHCP server.
    "dhcp-option=tag:ipxe,encap:175,176,1b",
)


def boot_options(http_port: int, addresses: Mapping[str, str]) -> Iterator[str]:
    """The lines of a server that gives addresses; `addresses` are interfaces with its own address there.

    As options and not as `dhcp-boot`, beside which `dhcp.options` could name no other server.
    """
    yield from IPXE
    yield from architectures()
    for loader in Loader:
        script = script_of(loader, NODE_NAME, http_port)
        for arch, file in dhcp_boot_files(loader).items():
            tags = [loader, f"arch{arch}", *(["!ipxe"] if script else []), f"!{NO_BOOT}"]
            if arch not in HTTP_CLIENTS:
                yield option(tags, BOOT_FILE, file)
                continue
            # Whether it asks for that option or not.
            yield option(tags, "option:vendor-class", "HTTPClient", "dhcp-option-force")
            for interface, address in addresses.items():
                yield option(
                    [value(interface), *tags], BOOT_FILE, f"http://{address}:{http_port}/tftpboot/{file}"
                )
        if script:
            yield option([loader, "ipxe", f"!{NO_BOOT}"], BOOT_FILE, script)


def proxy_boot(http_port: int, addresses: Mapping[str, str]) -> Iterator[str]:
    """The lines of a server that gives boot files alone (PXE 2.1, section 2.2): others give the addresses.

    Nobody tells iPXE its host name then, so it asks for the script of its MAC address.
    """
    yield from IPXE
    yield from architectures()
    for loader in Loader:
        script = script_by_mac(loader)
        plain = f"tag:!ipxe,tag:!{NO_BOOT}" if script else f"tag:!{NO_BOOT}"
        for arch, file in dhcp_boot_files(loader).items():
            if arch not in HTTP_CLIENTS:
                yield f"pxe-service=tag:{loader},tag:arch{arch},{plain},{arch},{loader},{value(file)}"
        for interface, address in addresses.items() if script else ():
            url = value(f"http://{address}:{http_port}/{script}")
            yield f"dhcp-boot=tag:{value(interface)},tag:{loader},tag:ipxe,tag:!{NO_BOOT},{url},,{address}"


def architectures() -> Iterator[str]:
    """A tag for each architecture that a loader has a file for."""
    for arch in sorted({arch for loader in Loader for arch in dhcp_boot_files(loader)}):
        yield f"dhcp-match=set:arch{arch},option:client-arch,{arch}"
    # Who does not tell it is an old BIOS.
    yield "dhcp-match=set:arch,option:client-arch"
    yield f"tag-if=set:arch{BIOS},tag:!arch"


def option(tags: list[str], name: str, text: str, keyword: str = "dhcp-option") -> str:
    """The line that gives an option to clients that have all the tags."""
    marks = ",".join(f"tag:{tag}" for tag in tags)
    return f"{keyword}={marks},{name},{value(text)}"
