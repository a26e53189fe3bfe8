"""What the laboratory's nodes boot: Debian's cloud kernel, an initramfs, and a small real Debian as squashfs.

Built once and kept in a cache, by a hash of what went in; a second run takes what is there. The kernel is
unpacked, not installed. Needs apt, mmdebstrap, mksquashfs, busybox, depmod and cpio.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import UnavailableError

SUITE = "bookworm"
KERNEL = "linux-image-cloud-amd64"
#: Beyond what is essential in Debian.
PACKAGES = ("busybox-static", "iproute2")
#: Drivers and file systems of the initramfs; what they need comes with them.
MODULES = ("virtio_pci", "virtio_net", "virtio-rng", "squashfs", "loop", "overlay")
HERE = Path(__file__).resolve().parent
#: The init of the initramfs and of the node's Debian, and what tells the service node of it.
SCRIPTS = (*sorted((HERE / "node").iterdir()), HERE.parent / "deploy/node/serval-status")
#: Memory, when there is some to spare: three times as fast as a disk.
SHM = Path("/dev/shm")
BUILD_S = 300


@dataclass(frozen=True, slots=True)
class Image:
    """Three files that a node boots from, named as genimage and packimage name them."""

    kernel: Path
    initrd: Path
    root: Path


def cache_folder() -> Path:
    """SERVAL_LAB_CACHE, or serval-lab in the user's cache folder."""
    named = os.environ.get("SERVAL_LAB_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named).absolute() if named else base / "serval-lab"


def image(cache: Path) -> Image:
    """The image, built when the cache does not hold it. Raises UnavailableError when it cannot be built."""
    boot = cached(cache, "kernel", (KERNEL,), unpack_kernel)
    root = cached(cache, "root", (SUITE, *PACKAGES), build_root) / "rootimg.sfs"
    scripts = [file.read_text(encoding="utf-8") for file in SCRIPTS]
    initrd = cached(
        cache, "initrd", (boot.name, *MODULES, *scripts), lambda folder: build_initrd(boot, folder)
    )
    return Image(boot / "kernel", initrd / "initrd-stateless.gz", root)


def cached(cache: Path, kind: str, inputs: tuple[str, ...], build: Callable[[Path], None]) -> Path:
    """The folder with what `build` makes of `inputs`; it appears whole or not at all."""
    folder = cache / f"{kind}-{hashlib.sha256(repr(inputs).encode()).hexdigest()[:16]}"
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=f".{kind}-") as work:
        made = Path(work) / "made"
        made.mkdir()
        build(made)
        if not folder.exists():
            made.rename(folder)
    return folder


def unpack_kernel(folder: Path) -> None:
    """`kernel` and `modules`, with their dependencies, from Debian's newest package."""
    depends = run("apt-cache", "depends", "--important", KERNEL).splitlines()
    packages = [line.split()[-1] for line in depends if "Depends: linux-image" in line]
    if not packages:
        raise UnavailableError(f"apt knows no package {KERNEL}; try: apt-get update")
    run("apt-get", "download", packages[0], cwd=folder)
    (archive,) = folder.glob("*.deb")
    run("dpkg-deb", "-x", str(archive), "tree", cwd=folder)
    archive.unlink()
    tree = folder / "tree"
    (modules,) = (tree / "lib/modules").iterdir()
    run("depmod", "--basedir", str(tree), modules.name)
    next((tree / "boot").glob("vmlinuz-*")).rename(folder / "kernel")
    modules.rename(folder / "modules")
    shutil.rmtree(tree)


def build_root(folder: Path) -> None:
    """`rootimg.sfs`: what is essential in Debian, and PACKAGES."""
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None, prefix="serval-lab-") as work:
        tree = Path(work) / "root"
        include = ",".join(PACKAGES)
        run(
            "mmdebstrap", "--quiet", "--mode=root", "--variant=essential", f"--include={include}",
            SUITE, str(tree), env={"TMPDIR": work},
        )  # fmt: skip
        for useless in ("usr/share/doc", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(tree / useless, ignore_errors=True)
        made = str(folder / "rootimg.sfs")
        run("mksquashfs", str(tree), made, "-comp", "zstd", "-Xcompression-level", "3", "-quiet")


def build_initrd(boot: Path, folder: Path) -> None:
    """`initrd-stateless.gz`: busybox, the modules in the order of loading, and the scripts."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise UnavailableError("busybox is not installed: make packages")
    with tempfile.TemporaryDirectory(prefix="serval-lab-") as work:
        tree = Path(work)
        for name in ("bin", "modules", "proc", "sys", "dev", "run", "squash", "memory", "root", "node"):
            (tree / name).mkdir()
        shutil.copy(busybox, tree / "bin/busybox")
        (tree / "bin/sh").symlink_to("busybox")
        for script in SCRIPTS:
            shutil.copy(script, tree / "node" / script.name)
        (tree / "init").symlink_to("node/init")
        for number, module in enumerate(in_order(boot / "modules/modules.dep")):
            shutil.copy(boot / "modules" / module, tree / "modules" / f"{number:02}-{Path(module).name}")
        made = folder / "initrd-stateless.gz"
        pack = f"find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 > '{made}'"
        run("bash", "-o", "pipefail", "-c", pack, cwd=tree)


def in_order(dependencies: Path) -> list[str]:
    """The files of MODULES and of what they need, each after its needs.

    modules.dep lists the nearest need first.
    """
    needs = {}
    for line in dependencies.read_text(encoding="utf-8").splitlines():
        file, _, others = line.partition(":")
        needs[Path(file).stem] = [*reversed(others.split()), file]
    return list(dict.fromkeys(file for module in MODULES for file in _needs(needs, module)))


def _needs(needs: dict[str, list[str]], module: str) -> Iterator[str]:
    if module not in needs:
        raise UnavailableError(f"the kernel has no module {module}")
    yield from needs[module]


def debian_mirror() -> str:
    """The address of the mirror that apt knows here for SUITE. Raises UnavailableError when it knows none."""
    told = run(
        "apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages"
    )
    sites = [words[0] for line in told.splitlines() if (words := line.split())[1:] == [SUITE, "main"]]
    if not sites:
        raise UnavailableError(f"apt knows no mirror of Debian {SUITE}")
    return sites[0].rstrip("/")


def run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """What a program that has to succeed wrote. Raises UnavailableError with its last words."""
    try:
        done = subprocess.run(
            command, cwd=cwd, env=os.environ | (env or {}), capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=BUILD_S, check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise UnavailableError(f"{command[0]} is not installed: make packages") from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{command[0]} did not end within {BUILD_S} s") from error
    if done.returncode != 0:
        raise UnavailableError(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr[-500:]}")
    return done.stdout
