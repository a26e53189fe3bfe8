"""A Debian mirror of the laboratory's own: what one node needs to be installed to disk, and nothing more.

The packages are Debian's, from the mirrors that apt knows here, with an index of our own, unsigned. Of the
installer's own packages most mirrors that are not complete lack some: partitioning and finishing are done by
two small ones (lab/installer) in place of partman, user-setup, grub-installer and finish-install. Kernel,
initrd, preseeding, network, retrieval, debootstrap and base-installer are Debian's. Needs apt, dpkg-dev.
"""

import gzip
import hashlib
import shutil
import tempfile
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from lab.image import HERE, SUITE, cached, debian_mirror, run

#: Where kernel and initrd of the installer come from, and the kernel that is installed.
NETBOOT = "debian-installer-12-netboot-amd64"
KERNEL = "linux-image-cloud-amd64"
#: What the installed system needs beyond what is required in Debian, and what the installer asks for.
SYSTEM = (
    "usr-is-merged", "init", "udev", "ifupdown", "isc-dhcp-client", "netbase", "iproute2", "netcat-openbsd",
    "openssh-server", "busybox", "zstd", "initramfs-tools", "grub-pc-bin", "grub2-common", "tasksel",
    "chrony", "libtext-iconv-perl", "libtext-wrapi18n-perl", "liblocale-gettext-perl", "apt-utils", KERNEL,
)  # fmt: skip
#: Packages of the installer, with the modules of its kernel.
UDEBS = ("base-installer", "bootstrap-base", "pkgsel")
MODULES = ("ext4-modules", "crc-modules", "scsi-core-modules", "scsi-modules")
#: Programs that partitioning takes from packages of Debian's, with their libraries.
PROGRAMS = {"fdisk": "sbin/sfdisk", "e2fsprogs": "sbin/mke2fs"}
LIBRARIES = (
    "libfdisk1", "libsmartcols1", "libext2fs2", "libcom-err2", "libreadline8", "libtinfo6", "libblkid1",
    "libuuid1", "libzstd1",
)  # fmt: skip
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
CONTROL = """\
Package: serval-lab-{name}
Version: 1
Architecture: amd64
Maintainer: The laboratory <root@localhost>
Section: debian-installer
Priority: required
Installer-Menu-Item: {number}
Depends: {depends}
Provides: {provides}
Description: {text}
"""
TEMPLATES = """\
Template: debian-installer/serval-lab-{name}/title
Type: text
Description: {text}

Template: partman-auto/disk
Type: string
Description: The disk to install to
"""
#: Name → place in the installer's menu, what comes first, what it does in place of others, its line there.
STEPS = {
    "disk": (4200, "", "mounted-partitions, created-fstab, debootstrap-udeb", "Partition the disk"),
    "finish": (9000, "installed-base", "", "Finish the installation"),
}


def mirror(cache: Path) -> Path:
    """A folder for /install/debian12/x86_64, with the installer's kernel and initrd.

    Built when the cache does not hold it. Raises UnavailableError when it cannot be built.
    """
    steps = [(HERE / "installer" / name).read_text(encoding="utf-8") for name in STEPS]
    inputs = (SUITE, NETBOOT, *SYSTEM, *UDEBS, *MODULES, *PROGRAMS, *LIBRARIES, CONTROL, TEMPLATES, *steps)
    return cached(cache, "mirror", inputs, build)


def build(folder: Path) -> None:
    """Kernel, initrd, packages and their index."""
    pool = folder / "pool"
    pool.mkdir()
    with tempfile.TemporaryDirectory(prefix="serval-lab-") as work:
        scratch = Path(work)
        kernel = unpack_installer(scratch, folder / "debian-installer/amd64")
        fetch_system(scratch, pool)
        fetch_udebs(scratch, pool, kernel)
        for name in STEPS:
            make_step(scratch / "steps" / name, pool, name)
    index(folder)


def unpack_installer(scratch: Path, folder: Path) -> str:
    """Kernel and initrd of the installer; the kernel's release, such as 6.1.0-50-amd64."""
    run("apt-get", "download", NETBOOT, cwd=scratch)
    (archive,) = scratch.glob("*.deb")
    run("dpkg-deb", "-x", str(archive), "netboot", cwd=scratch)
    folder.mkdir(parents=True)
    (initrd,) = scratch.glob("netboot/usr/lib/debian-installer/images/*/amd64/text/*/amd64/initrd.gz")
    for name in ("linux", "initrd.gz"):
        shutil.copy(initrd.with_name(name), folder / name)
    listed = run("bash", "-o", "pipefail", "-c", f"zcat '{initrd}' | cpio --quiet -t 'lib/modules/*'")
    return next(line.split("/")[2] for line in listed.splitlines() if line.count("/") > 1)


def fetch_system(scratch: Path, pool: Path) -> None:
    """Every package of the installed system, into the pool."""
    words = apt(scratch / "system", pool)
    run(*words, "install", "--no-install-recommends", "?priority(required)", "apt", *SYSTEM)
    shutil.rmtree(pool / "partial")
    (pool / "lock").unlink()
    for archive in pool.glob("*%3a*"):  # the colon of an epoch, which a web server would take for a letter
        archive.rename(archive.with_name(archive.name.replace("%3a", ".")))


def fetch_udebs(scratch: Path, pool: Path, kernel: str) -> None:
    """Debian's packages of the installer, which apt does not list by itself, into the pool."""
    folder = scratch / "udebs"
    words = apt(folder, pool)
    (folder / "sources.list").write_text(
        f"deb [arch=amd64 signed-by={KEYRING}] {debian_mirror()} {SUITE} main/debian-installer\n",
        encoding="utf-8",
    )
    for option in ("State::lists", "Etc::sourceparts"):
        words += ["-o", f"Dir::{option}={folder / option}"]
        (folder / option).mkdir()
    words += ["-o", f"Dir::Etc::sourcelist={folder / 'sources.list'}"]
    run(*words, "update")
    run(*words, "download", *UDEBS, *(f"{name}-{kernel}-di" for name in MODULES), cwd=pool)


def apt(folder: Path, archives: Path) -> list[str]:
    """apt-get as on a machine where nothing is installed, which keeps what it fetches in `archives`."""
    folder.mkdir()
    (folder / "status").touch()
    settings = {
        "Dir::State::status": folder / "status",
        "Dir::Cache::archives": archives,
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Sandbox::User": "root",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    return ["apt-get", "--yes", "--quiet", "--download-only", *options]


def make_step(tree: Path, pool: Path, name: str) -> None:
    """One of our own packages of the installer."""
    number, depends, provides, text = STEPS[name]
    control = tree / "DEBIAN"
    control.mkdir(parents=True)
    fields = CONTROL.format(name=name, number=number, depends=depends, provides=provides, text=text)
    lines = [line for line in fields.splitlines(keepends=True) if not line.endswith(": \n")]
    (control / "control").write_text("".join(lines), encoding="utf-8")
    (control / "templates").write_text(TEMPLATES.format(name=name, text=text), encoding="utf-8")
    shutil.copy(HERE / "installer" / name, control / "postinst")
    if name == "disk":
        put_programs(tree, pool)
    made = pool / f"serval-lab-{name}_1_amd64.udeb"
    run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(made))


def put_programs(tree: Path, pool: Path) -> None:
    """sfdisk and mke2fs with their libraries, and debootstrap, out of Debian's packages into a package."""
    folder, own = tree.parent / "programs", tree / "usr/lib/serval-lab"
    folder.mkdir()
    own.mkdir(parents=True)
    run("apt-get", "download", *PROGRAMS, *LIBRARIES, cwd=folder)
    for archive in folder.glob("*.deb"):
        run("dpkg-deb", "-x", str(archive), str(folder))
    for file in (*(folder / path for path in PROGRAMS.values()), *folder.glob("**/lib*.so.*")):
        shutil.copy(file, own / file.name)
    run("apt-get", "download", "debootstrap", cwd=tree.parent)
    (archive,) = tree.parent.glob("debootstrap_*.deb")
    run("dpkg-deb", "-x", str(archive), str(tree))
    for useless in ("doc", "man"):
        shutil.rmtree(tree / "usr/share" / useless)


def index(folder: Path) -> None:
    """dists: what lies in the pool, as apt, debootstrap and the installer look for it."""
    top = folder / "dists" / SUITE
    sums = []
    for kind, place in (("deb", "main/binary-amd64"), ("udeb", "main/debian-installer/binary-amd64")):
        listed = run("dpkg-scanpackages", "--multiversion", "--type", kind, "pool", cwd=folder).encode()
        (top / place).mkdir(parents=True)
        for name, data in (("Packages", listed), ("Packages.gz", gzip.compress(listed, mtime=0))):
            (top / place / name).write_bytes(data)
            sums.append(f" {hashlib.sha256(data).hexdigest()} {len(data)} {place}/{name}\n")
        about = f"Archive: {SUITE}\nComponent: main\nArchitecture: amd64\n"
        (top / place / "Release").write_text(about, encoding="utf-8")
    now = format_datetime(datetime.now(UTC))
    lines = (
        f"Suite: {SUITE}",
        f"Codename: {SUITE}",
        "Architectures: amd64",
        "Components: main",
        f"Date: {now}",
    )
    text = "".join(f"{line}\n" for line in lines) + "SHA256:\n" + "".join(sums)
    (top / "Release").write_text(text, encoding="utf-8")
