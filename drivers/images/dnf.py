"""Images of EL and Fedora: dnf(8) of this host with --installroot, from what copycds filled or from mirrors.

`filesystem` comes first and alone: it owns /proc, /sys and /dev, on which nothing may be mounted then.
"""

import platform
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import DefinitionError, UnavailableError
from core.images.pkglist import Entry, Transaction
from drivers.images import dracut
from drivers.images.jail import Failed, Jail
from drivers.images.recipe import Cause, Recipe
from drivers.services.runner import program

#: What an image needs to boot over the network, whatever the lists say.
BOOTING = (
    "dracut", "dracut-network", "dracut-live", "curl", "dhcp-client", "iproute", "iputils", "procps-ng",
    "tar", "cpio", "gzip", "zstd", "systemd",
)  # fmt: skip
KEYS = "RPM-GPG-KEY*"
#: What can stand in a .repo file.
FOLDER = re.compile(r"/[A-Za-z0-9._/:~%+@=-]+")
URL = re.compile(r"https://[A-Za-z0-9._:/~%+-]+")
UNKNOWN = re.compile(
    r"(?:No match for argument|Unable to find a match|Module or Group '?):? *(\S+?)'?(?:\s|$)"
)
UNSIGNED = re.compile(
    r"^.*(?:is not signed|not correct|Public key for .* is not installed|GPG Keys? .*failed).*$", re.MULTILINE
)
UNREACHED = ("Cannot download", "Failed to download metadata", "Curl error", "Cannot retrieve")


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository; with keys, its packages must be signed by one of them."""

    url: str
    keys: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Dnf:
    """EL, its relatives, and Fedora."""

    def begin(self, jail: Jail, recipe: Recipe, root: Path) -> None:
        """Make the smallest system that boots. Raises DefinitionError."""
        if recipe.kind.osarch != platform.machine():
            raise DefinitionError(
                f"an image for {recipe.kind.osarch} cannot be built on {platform.machine()}"
            )
        named = [entry.name for block in recipe.packages for entry in block.install]
        kernel = [] if any(name.startswith("kernel") for name in named) else [usual_kernel(recipe)]
        sources = repositories(recipe)
        self._ask(jail, recipe, root, sources)
        root.mkdir()
        jail.outside(*dnf(recipe, root, sources), "install", "filesystem")
        jail.around(root, *dnf(recipe, root, sources), "install", *BOOTING, *kernel)

    def _ask(self, jail: Jail, recipe: Recipe, root: Path, sources: list[Repository]) -> None:
        """Look for all packages of the lists before any is installed. Raises Failed for an unknown one."""
        entries = [entry for block in (*recipe.packages, *recipe.others) for entry in block.install]
        others = [entry for block in recipe.others for entry in block.install]
        words = dnf(recipe, root.parent / "asked", sources + other_repositories(others, recipe.otherpkgdir))
        try:
            jail.outside(*words, "--assumeno", "install", *(entry.name for entry in entries))
        except (
            Failed
        ) as failed:  # it always fails; all but an unknown name may be otherwise when it comes to it
            if self.cause(failed.said).package:
                raise

    def install(self, jail: Jail, recipe: Recipe, root: Path, block: Transaction, *, other: bool) -> None:
        """One transaction."""
        sources = repositories(recipe)
        if other:
            sources += other_repositories(block.install, recipe.otherpkgdir)
        for verb, entries in (("remove", block.before), ("install", block.install), ("remove", block.after)):
            if entries:
                words = [*dnf(recipe, root, sources), verb, *(entry.name for entry in entries)]
                jail.around(root, *words, env=block.environment)

    def refresh(self, jail: Jail, recipe: Recipe, root: Path, gone: Sequence[str], *, newest: bool) -> None:
        """Newest versions by distro-sync; what is gone is as if a package had brought it along."""
        words = dnf(recipe, root, repositories(recipe))
        if there := [name for name in gone if name in self.installed(root)]:
            jail.around(root, *words, "mark", "remove", *there)
        if newest:
            jail.outside(*words, "upgrade", "filesystem")
            jail.around(root, *words, "distro-sync")

    def tidy(self, jail: Jail, recipe: Recipe, root: Path) -> None:
        """What nothing requires any more."""
        jail.around(root, *dnf(recipe, root, repositories(recipe)), "autoremove")

    def initrd(self, jail: Jail, recipe: Recipe, root: Path) -> tuple[Path, Path]:
        """Kernel and RAM disk, below the root."""
        release = dracut.release(root, recipe.kernel)
        return dracut.kernel_file(root, release), dracut.build(jail, recipe, root, release)

    def installed(self, root: Path) -> dict[str, str]:
        """Every package of the image with its version."""
        form = "%{NAME} %{VERSION}-%{RELEASE}\\n"
        command = [program("rpm", "rpm"), "--root", str(root), "-qa", "--queryformat", form]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UnavailableError(f"rpm cannot list the packages of the image: {done.stderr.strip()[-300:]}")
        lines = (line for line in sorted(done.stdout.splitlines()) if not line.startswith("gpg-pubkey "))
        return dict(line.split(" ", 1) for line in lines)

    def finish(self, jail: Jail, root: Path) -> None:
        """Nothing: what only the build needed lies beside the tree."""

    def cause(self, said: str) -> Cause:
        """What dnf complains of."""
        if found := UNKNOWN.search(said):
            return Cause(package=found[1])
        if found := UNSIGNED.search(said):
            return Cause(sentence=f"the packages are not signed as they should be: {found[0].strip()[:300]}")
        if line := next((line for line in said.splitlines() if any(word in line for word in UNREACHED)), ""):
            return Cause(sentence=f"a mirror cannot be reached: {line.strip()[:300]}")
        return Cause()


def dnf(recipe: Recipe, root: Path, found: Sequence[Repository]) -> list[str]:
    """The words before `install` or `remove`; nothing of this host's own configuration counts."""
    digits = re.search(r"\d+", recipe.kind.osvers)
    release = digits[0] if digits else ""
    listed = root.parent / "repositories"
    listed.mkdir(exist_ok=True)
    (listed / "serval.repo").write_text(repository_file(found), encoding="utf-8")
    words = [program("dnf", "dnf"), "--assumeyes", f"--installroot={root}", f"--releasever={release}"]
    words += [f"--setopt=reposdir={listed}", "--setopt=install_weak_deps=False", "--setopt=keepcache=False"]
    return [*words, f"--setopt=cachedir={root.parent / 'dnf'}", f"--setopt=logdir={root.parent}"]


def repository_file(found: Iterable[Repository]) -> str:
    """The repositories in dnf's words."""
    sections = []
    for number, one in enumerate(found):
        lines = [
            f"[serval{number}]",
            f"name={one.url}",
            f"baseurl={one.url}",
            f"gpgcheck={int(bool(one.keys))}",
        ]
        if one.keys:
            lines.append("gpgkey=" + " ".join(f"file://{key}" for key in one.keys))
        sections.append("\n".join(lines) + "\n")
    return "\n".join(sections)


def usual_kernel(recipe: Recipe) -> str:
    """The kernel of a list that names none."""
    return f"kernel-{recipe.kernel}" if recipe.kernel else "kernel"


def repositories(recipe: Recipe) -> list[Repository]:
    """The repositories of pkgdir: folders with repodata, or with folders that have it, and mirrors.

    Packages are checked against the keys of the site, and those that lie in the folder as on EL's media.
    Where there is none they are not checked, so a mirror must be reached by https. Raises DefinitionError.
    """
    found = []
    for source in recipe.sources:
        if URL.fullmatch(source):
            found.append(Repository(source, recipe.keys))
            continue
        top = Path(source)
        places = [place for place in (top, *sorted(top.glob("*"))) if (place / "repodata").is_dir()]
        if not FOLDER.fullmatch(source) or not places:
            said = "it is neither a folder with repodata (or such folders in it), nor an https URL"
            raise DefinitionError(f"pkgdir {source[:200]!r}: {said}")
        found += [Repository(f"file://{place}", (*recipe.keys, *keys_in(top))) for place in places]
    if not found:
        raise DefinitionError("there is no repository: run copycds, or set pkgdir of the osimage")
    return found


def other_repositories(entries: Iterable[Entry], top: Path) -> list[Repository]:
    """The repositories of otherpkgs, with keys that lie in them. Raises DefinitionError for no repository."""
    found: dict[Path, Repository] = {}
    for entry in entries:
        place = top / entry.folder
        if (place / "repodata").is_dir():
            found[place] = Repository(f"file://{place}", keys_in(place))
        elif entry.folder:
            raise DefinitionError(f"{entry.place}: {place} is no repository; try: createrepo_c {place}")
    return list(found.values())


def keys_in(folder: Path) -> tuple[Path, ...]:
    """The public keys that packages are signed with, as media of EL have them."""
    return tuple(path for path in sorted(folder.glob(KEYS)) if FOLDER.fullmatch(str(path)) and path.is_file())
