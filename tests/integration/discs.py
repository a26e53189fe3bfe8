"""Images of DVDs, made by xorriso: as small as can be, with the names that real ones have."""

import gzip
import os
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

DEBIAN = 'Debian GNU/Linux 12.5.0 "Bookworm" - Official amd64 DVD Binary-{} with firmware 20240210-11:27\n'
ROCKY = {
    ".treeinfo": "[general]\nfamily = Rocky Linux\nversion = 9.4\narch = x86_64\n[media]\ndiscnum = {}\n",
    ".discinfo": "1714686889.911515\n9.4\nx86_64\n{}\n",
    "images/pxeboot/vmlinuz": "kernel\n",
    "images/pxeboot/initrd.img": "initrd\n",
}


def tree(top: Path, files: Mapping[str, str | bytes]) -> Path:
    """A folder with these files."""
    for name, content in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return top


def iso(file: Path, folder: Path) -> Path:
    """The image of a folder, with Rock Ridge and Joliet."""
    command = ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-V", "TEST", "-o", str(file), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return file


def rocky(top: Path, number: int = 1, **files: str) -> Path:
    """Disc `number` of Rocky Linux 9.4."""
    told = {name: text.format(number) for name, text in ROCKY.items()}
    return iso(top.with_suffix(".iso"), tree(top, told | files))


def debian(top: Path, number: int, *packages: str) -> Path:
    """Disc `number` of Debian 12 with these packages."""
    index = "".join(f"Package: {name}\nVersion: 1\nArchitecture: all\n\n" for name in packages)
    files: dict[str, str | bytes] = {
        ".disk/info": DEBIAN.format(number),
        "dists/bookworm/Release": "Origin: Debian\nVersion: 12.5\nCodename: bookworm\nComponents: main\n",
        "dists/bookworm/main/binary-amd64/Packages.gz": gzip.compress(index.encode()),
    }
    files |= {f"pool/main/{name}_1_all.deb": name for name in packages}
    folder = tree(top, files)
    (folder / "dists/stable").symlink_to("bookworm")
    (folder / "debian").symlink_to(".")
    return iso(top.with_suffix(".iso"), folder)


def swollen(file: Path, content: bytes, size: int) -> None:
    """Let the one file of this content seem to have so many bytes, of which the image holds only zeros."""
    image = file.read_bytes()
    blocks, more = file.stat().st_size // 2048, size // 2048 + 1
    for old, new in ((len(content), size), (blocks, blocks + more)):
        image = image.replace(both(old), both(new))
    file.write_bytes(image)
    os.truncate(file, len(image) + more * 2048)


def both(number: int) -> bytes:
    """A number as ISO 9660 writes it: little endian, then big endian."""
    return struct.pack("<I", number) + struct.pack(">I", number)
