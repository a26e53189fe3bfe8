"""Images of Debian and Ubuntu: mmdebstrap(1) for the first packages, then the image's own apt."""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import DefinitionError
from core.images.pkglist import Entry, Transaction
from drivers.images import dracut
from drivers.images.aptindex import has_index, index
from drivers.images.jail import Jail
from drivers.images.recipe import Cause, Recipe, folders
from drivers.services.runner import program

SUITES = {
    "debian11": "bullseye",
    "debian12": "bookworm",
    "debian13": "trixie",
    "ubuntu20.04": "focal",
    "ubuntu22.04": "jammy",
    "ubuntu24.04": "noble",
}
#: xCAT's word for an architecture → Debian's.
ARCHES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el"}
#: What an image needs to boot over the network, whatever the lists say.
BOOTING = (
    "dracut", "dracut-network", "dracut-live", "curl", "zstd", "kmod", "udev", "iproute2", "procps",
    "systemd-sysv",
)  # fmt: skip
HOOKS = "/usr/share/mmdebstrap/hooks"
#: Without a RAM disk of each kernel package's own, questions, and services that start.
QUIET = {"DEBIAN_FRONTEND": "noninteractive", "INITRD": "No"}
APT = (
    "apt-get",
    "--yes",
    "--no-install-recommends",
    "-oDpkg::Use-Pty=0",
    "-oDpkg::Options::=--force-confold",
    "-oDpkg::Options::=--force-unsafe-io",
)
STRICT = (
    "-oAPT::AutoRemove::RecommendsImportant=false",
    "-oAPT::AutoRemove::SuggestsImportant=false",
    "-oAPT::Protect-Kernels=false",
)
#: Serval's sources of the build, gone from the finished image.
SOURCES = "etc/apt/sources.list.d/serval-build.list"
POLICY = "usr/sbin/policy-rc.d"
#: mmdebstrap keeps --dpkgopt here: a build that is cut short is thrown away, so nothing need be synced.
DPKG = "etc/dpkg/dpkg.cfg.d/99mmdebstrap"
URL = re.compile(r"(https?|ftp)://[A-Za-z0-9._:/~%+-]+( [A-Za-z0-9._/-]+)+")
UNKNOWN = re.compile(
    r"Unable to locate package (\S+)|Package '?([^\s']+)'? has no installation candidate"
    r"|Version '\S+' for '(\S+)' was not found"
)
#: mmdebstrap's hook before anything is installed: apt reads the indexes, which are needed anyway, and looks
#: for what the lists name. What else it complains of may be otherwise when it comes to it.
ASK = """#!/bin/sh
APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"; export APT_CONFIG
apt-get update && ! apt-get --simulate --no-install-recommends install -- {} 2>&1 |
grep -E '^E: (Unable to locate package|Package .* has no installation candidate|Version .* was not found)'
"""
UNREACHED = ("Failed to fetch", "Could not connect", "Temporary failure resolving", "Could not resolve")


@dataclass(frozen=True, slots=True)
class Debian:
    """Debian and Ubuntu."""

    def begin(self, jail: Jail, recipe: Recipe, root: Path) -> None:
        """Make the smallest system that boots. Raises DefinitionError for a release that is not known."""
        command = bootstrap(recipe, suite_of(recipe.kind.osvers), root)
        refuse_unknown(recipe.others, recipe.otherpkgdir)
        work = root.parent / "tmp"
        work.mkdir()
        jail.outside(*command, env=QUIET | {"TMPDIR": str(work)})
        start_nothing(root)

    def install(self, jail: Jail, recipe: Recipe, root: Path, block: Transaction, *, other: bool) -> None:
        """One transaction by apt in the image; a package of otherpkgs may come from any of their folders."""
        shown = folders(recipe.sources)
        if other:
            places = list(dict.fromkeys(recipe.otherpkgdir / entry.folder for entry in block.install))
            repositories = [place for place in places if has_index(place)]
            refuse_bare(block.install, recipe.otherpkgdir)
            lines = [f"deb [trusted=yes] file:{place} ./\n" for place in repositories]
            (root / SOURCES).write_text("".join(lines), encoding="utf-8")
            shown += repositories
            jail.inside(root, "apt-get", "update", env=QUIET, shown=shown)
        for verb, entries in (("purge", block.before), ("install", block.install), ("purge", block.after)):
            names = [entry.name for entry in entries]
            if verb == "purge":  # what is not there need not be known to any repository
                there = self.installed(root)
                names = [name for name in names if name in there]
            if names:
                words = [*APT, verb, "--", *names]
                jail.inside(root, *words, env={**QUIET, **block.environment}, shown=shown)

    def refresh(self, jail: Jail, recipe: Recipe, root: Path, gone: Sequence[str], *, newest: bool) -> None:
        """Newest versions by dist-upgrade; what is gone is as if a package had brought it along."""
        start_nothing(root)
        (root / DPKG).write_text("force-unsafe-io\n", encoding="utf-8")
        shown = folders(recipe.sources)
        jail.inside(root, "apt-get", "update", env=QUIET, shown=shown)
        if there := [name for name in gone if name in self.installed(root)]:
            jail.inside(root, "apt-mark", "auto", "--", *there)
        if newest:
            jail.inside(root, *APT, "dist-upgrade", env=QUIET, shown=shown)

    def tidy(self, jail: Jail, recipe: Recipe, root: Path) -> None:
        """What is only recommended is not needed, and of kernels only the newest."""
        jail.inside(root, *APT, *STRICT, "autoremove", "--purge", env=QUIET)

    def initrd(self, jail: Jail, recipe: Recipe, root: Path) -> tuple[Path, Path]:
        """Kernel and RAM disk, below the root."""
        release = dracut.release(root, recipe.kernel)
        return dracut.kernel_file(root, release), dracut.build(jail, recipe, root, release)

    def installed(self, root: Path) -> dict[str, str]:
        """Every package of the image with its version."""
        found = {}
        for paragraph in (root / "var/lib/dpkg/status").read_text(encoding="utf-8").split("\n\n"):
            fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line[1:])
            if fields.get("Status", "").endswith(" installed"):
                found[fields["Package"]] = fields["Version"]
        return found

    def finish(self, jail: Jail, root: Path) -> None:
        """Take out what only the build needed: sources of folders, apt's lists and cache."""
        jail.inside(root, "apt-get", "clean")
        for name in (SOURCES, POLICY, DPKG):
            (root / name).unlink(missing_ok=True)
        for file in (root / "var/lib/apt/lists").glob("*_*"):
            file.unlink()

    def cause(self, said: str) -> Cause:
        """What apt complains of."""
        if found := UNKNOWN.search(said):
            return Cause(package=found[1] or found[2] or found[3])
        if line := next((line for line in said.splitlines() if any(word in line for word in UNREACHED)), ""):
            return Cause(sentence=f"a mirror cannot be reached: {line.strip()[:300]}")
        return Cause()


def bootstrap(recipe: Recipe, suite: str, root: Path) -> list[str]:
    """mmdebstrap's command, with the files beside the root that it needs. Raises DefinitionError."""
    arch = ARCHES.get(recipe.kind.osarch, recipe.kind.osarch)
    named = [entry.name for block in recipe.packages for entry in block.install]
    kernel = [] if any(name.startswith("linux-image") for name in named) else [usual_kernel(recipe, arch)]
    command = [program("mmdebstrap", "mmdebstrap"), "--mode=root", "--variant=minbase"]
    command += ["--format=directory", f"--architectures={arch}", "--skip=cleanup/apt"]
    command += ["--dpkgopt=force-unsafe-io"]
    command += ["--include=" + ",".join([*BOOTING, *kernel])]
    command += [f"--hook-dir={HOOKS}/maybe-merged-usr"]
    if named:
        asking = root.parent / "ask"
        asking.write_text(ASK.format(shlex.join(named)), encoding="utf-8")
        asking.chmod(0o755)
        command.append(f"--setup-hook={asking}")
    if folders(recipe.sources):
        command += [f"--hook-dir={HOOKS}/file-mirror-automount"]
    command += [suite, str(root)]
    if recipe.sources:
        listed = root.parent / "sources.list"
        listed.write_text(source_lines(recipe.sources, suite), encoding="utf-8")
        command.append(str(listed))
    return command


def suite_of(osvers: str) -> str:
    """`bookworm` of debian12 and debian12.5.0. Raises DefinitionError for a release that is not known."""
    found = next((suite for name, suite in SUITES.items() if f"{osvers}.".startswith(f"{name}.")), "")
    if not found:
        raise DefinitionError(f"how {osvers} is built is not known; known are {', '.join(SUITES)}")
    return found


def start_nothing(root: Path) -> None:
    """Let packages start no service while the image is built."""
    policy = root / POLICY
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    policy.chmod(0o755)


def usual_kernel(recipe: Recipe, arch: str) -> str:
    """The kernel of a list that names none."""
    if recipe.kernel and recipe.kernel[0].isdigit():
        return f"linux-image-{recipe.kernel}"
    return "linux-image-generic" if recipe.kind.distribution == "ubuntu" else f"linux-image-{arch}"


def source_lines(sources: Iterable[str], suite: str) -> str:
    """The lines of sources.list. Raises DefinitionError for what is neither a folder nor a mirror."""
    lines = []
    for source in sources:
        if source.startswith("/"):
            if not (Path(source) / "dists").is_dir():
                raise DefinitionError(f"pkgdir {source} is no copy of Debian's media: it has no folder dists")
            lines.append(f"deb [trusted=yes] file:{source} {suite} main\n")
        elif URL.fullmatch(source):
            lines.append(f"deb {source}\n")
        else:
            said = "it is neither a folder nor 'http://MIRROR SUITE COMPONENT …'"
            raise DefinitionError(f"pkgdir {source[:200]!r}: {said}")
    return "".join(lines)


def refuse_unknown(blocks: Iterable[Transaction], top: Path) -> None:
    """Raises DefinitionError for a package that its folder's index does not name."""
    entries = [entry for block in blocks for entry in block.install if entry.folder]
    refuse_bare(entries, top)
    places = {top / entry.folder for entry in entries}
    texts = [index(place) for place in places]
    known = {found for text in texts for found in re.findall(r"^Package: *(\S+)", text, re.MULTILINE)}
    for entry in entries:
        if re.split(r"[:=]", entry.name)[0] not in known and "*" not in entry.name:
            where = top / entry.folder
            raise DefinitionError(f"{entry.place}: there is no package {entry.name} in {where}")


def refuse_bare(entries: Iterable[Entry], top: Path) -> None:
    """Raises DefinitionError for a package whose folder has no index."""
    for entry in entries:
        place = top / entry.folder
        if entry.folder and not has_index(place):
            make = f"cd {place} && dpkg-scanpackages -m . > Packages"
            raise DefinitionError(f"{entry.place}: {place} is no repository; make it one with: {make}")
