"""Boot files and loaders as the programs of their makers see them."""

import subprocess
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from core.bootdoc import BootDoc, Loader, Way
from drivers.netboot.firmware import put_loaders
from drivers.netboot.loaders import LOADERS, render

DOC = BootDoc(
    node="n1",
    state="netboot debian12-x86_64-compute",
    way=Way.IMAGE,
    loader=Loader.GRUB2,
    arch="x86_64",
    macs=("52:54:00:00:00:01",),
    kernel="tftpboot/xcat/osimage/img/kernel",
    initrd="tftpboot/xcat/osimage/img/initrd",
)
ALL = list(product(Loader, ("x86_64", "aarch64")))
CMDLINES = (
    "",
    "quiet splash --- console=ttyS0,115200n8 console=tty0",
    'dyndbg="file drivers/net/* +p" x={server}',
    "a=$b c=${d} e=$(f) `g` h;i j&k l|m <n> (o) [p] {q} }r{ #s !t *u ?v ~w ^x %y @z",
    "if then else fi while do done function }; exit",
)


def test_grub_reads_every_script(tmp_path: Path) -> None:
    docs = [
        replace(DOC, way=way, arch=arch, cmdline=cmdline, server=server, state=state, http_port=port)
        for way, arch, cmdline, server, state, port in product(
            Way, ("x86_64", "aarch64"), CMDLINES, ("", "sn1"), ("boot", "a $b 'c' \" { ( ; #"), (80, 8080)
        )
    ]
    for number, text in enumerate({text for doc in docs for text in render(doc).values()}):
        file = tmp_path / f"{number}.cfg"
        file.write_text(text, encoding="utf-8")
        done = subprocess.run(["grub-script-check", str(file)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + text


def test_loaders_are_those_of_the_packages_and_written_once(tmp_path: Path) -> None:
    problems = put_loaders(tmp_path, ALL)
    assert set(problems) <= {"boot/grub2/grub2.aarch64"}
    wanted = {firmware.file for loader in LOADERS.values() for firmware in loader.firmware}
    made = {str(file.relative_to(tmp_path)): file for file in tmp_path.rglob("*") if file.is_file()}
    assert made.keys() == wanted - problems.keys()
    assert made["xcat/xnba.efi"].read_bytes()[:2] == made["boot/grub2/grub2.x86_64"].read_bytes()[:2] == b"MZ"
    before = {name: file.stat().st_ino for name, file in made.items()}
    put_loaders(tmp_path, ALL)
    assert {name: file.stat().st_ino for name, file in made.items()} == before


def test_a_changed_loader_is_made_good(tmp_path: Path) -> None:
    put_loaders(tmp_path, [(Loader.PXE, "x86_64")])
    good = (tmp_path / "pxelinux.0").read_bytes()
    (tmp_path / "pxelinux.0").unlink()
    (tmp_path / "pxelinux.0").write_bytes(b"older")
    assert put_loaders(tmp_path, [(Loader.PXE, "x86_64")]) == {}
    assert (tmp_path / "pxelinux.0").read_bytes() == good


@pytest.mark.parametrize(
    ("file", "package"),
    [
        ("xcat/xnba.kpxe", "ipxe"),
        ("xcat/xnba.efi", "ipxe"),
        ("boot/grub2/grub2.x86_64", "grub-efi-amd64-bin"),
        ("boot/grub2/grub2.aarch64", "grub-efi-arm64-bin"),
        ("pxelinux.0", "pxelinux"),
        ("ldlinux.c32", "syslinux-common"),
    ],
)
def test_a_missing_package_is_named(tmp_path: Path, file: str, package: str) -> None:
    problems = put_loaders(tmp_path / "tftpboot", ALL, root=tmp_path / "empty")
    assert problems[file].endswith(f"so there is no {file}: install the Debian package {package}")
