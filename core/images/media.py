"""Which distribution a DVD or a tree of packages is, from the few files that say so (xCAT copycds(8)).

Debian and Ubuntu: `.disk/info`, `dists/*/Release`, and the `version.info` of an installer for the network. EL
and Fedora: `.treeinfo`, `.discinfo`, `media.repo`. SUSE: `content` and `media.1`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from core.errors import DefinitionError
from core.images.sources import Kind

Texts = Mapping[str, str]

#: The files that are read of a medium, if they are there.
MARKS = (
    ".disk/info", "version.info", "README.diskdefines", ".treeinfo", ".discinfo", "media.repo", "content",
    "media.1/media", "media.1/products",
)  # fmt: skip
RELEASE = re.compile(r"dists/[a-z0-9][a-z0-9.-]{0,60}/Release")
#: What distributions call an architecture → xCAT's word.
ARCHES = {"amd64": "x86_64", "arm64": "aarch64", "ppc64el": "ppc64le", "ppc": "ppc64"}
ARCH = re.compile(r"\b(x86_64|amd64|aarch64|arm64|ppc64le|ppc64el|ppc64|ppc|s390x|riscv64|i[3-6]86)\b")
#: What a family calls itself, in small letters → the letters of osvers. The first that is found counts.
REDHAT = {
    "red hat enterprise linux": "rhels",
    "centos stream": "centos-stream",
    "centos": "centos",
    "rocky": "rocky",
    "alma": "alma",
    "oracle linux": "ol",
    "fedora": "fedora",
    "scientific linux": "SL",
    "openeuler": "openeuler",
    "anolis": "anolis",
}
VERSION = re.compile(r"\d+(?:\.\d+)*")
DEBIAN = re.compile(r"(Debian GNU/Linux|Ubuntu(?:-Server)?) (\d+(?:\.\d+)*)")
NETBOOT = re.compile(r"debian-installer/([a-z0-9]+)/linux")
INSTALLER = re.compile(r"Debian version:\s+(\d+)\b")
DISC = re.compile(r"\bBinary-(\d+)\b")
SLE = re.compile(r"\bSLE-(\d+)(?:-SP(\d+))?-")
SLES = re.compile(r"\b(?:sles|sled):(\d+)(?::sp(\d+))?\b")


@dataclass(frozen=True, slots=True)
class Medium:
    """What a medium says of itself; empty where it does not."""

    osvers: str
    osarch: str = ""
    disc: str = ""
    #: It holds not all packages of the distribution, as a medium for installing from the network.
    partial: bool = False

    @property
    def folder(self) -> str:
        """Where its files lie below `<os>/<arch>`: SUSE's discs have a folder each, as in xCAT."""
        suse = Kind(self.osvers, self.osarch, "compute").distribution == "sles"
        return self.disc or "1" if suse else ""


def recognise(texts: Texts, names: Iterable[str] = ()) -> Medium | None:
    """The distribution that these files of a medium tell of: name → text of `marks`, and all its names."""
    for look in (_installer, _debian, _mirror, _redhat, _suse):
        if found := look(texts):
            kernels = (NETBOOT.fullmatch(name) for name in names)
            arch = found.osarch or next((arch_word(one[1]) for one in kernels if one), "")
            return replace(found, osarch=arch)
    return None


def decided(found: Medium | None, osvers: str, osarch: str, where: str) -> Medium:
    """The medium, with what the administrator says of it (empty: nothing).

    Raises DefinitionError where nobody knows, or both know otherwise.
    """
    if found is None and not osvers:
        raise DefinitionError(
            f"copycds could not identify {where}; say what it is with -n, such as -n rocky9.4"
        )
    medium = found or Medium(osvers)
    if osvers:
        medium = replace(medium, osvers=osvers)
    osarch = arch_word(osarch)
    if osarch and medium.osarch and osarch != medium.osarch:
        raise DefinitionError(f"Requested architecture {osarch}, but {where} is {medium.osarch}")
    medium = replace(medium, osarch=osarch or medium.osarch)
    if not medium.osarch:
        raise DefinitionError(f"copycds could not identify the architecture of {where}; say it with -a")
    Kind(medium.osvers, medium.osarch, "compute")
    return medium


def arch_word(word: str) -> str:
    """xCAT's word for an architecture."""
    return "x86" if re.fullmatch(r"i[3-6]86", word) else ARCHES.get(word, word)


def _arch(text: str) -> str:
    found = ARCH.search(text)
    return arch_word(found[1]) if found else ""


def _installer(texts: Texts) -> Medium | None:
    """Debian's installer for the network, as in the package debian-installer-12-netboot-amd64."""
    found = INSTALLER.search(texts.get("version.info", ""))
    return Medium(f"debian{found[1]}", partial=True) if found else None


def _debian(texts: Texts) -> Medium | None:
    """`Debian GNU/Linux 12.5.0 "Bookworm" - Official amd64 DVD Binary-1 with firmware 20240210-11:27`."""
    told = texts.get(".disk/info", "").split("\n")[0]
    found = DEBIAN.match(told)
    if not found:
        return None
    numbered = DISC.search(told) or re.search(r"DISKNUM\s+(\d+)", texts.get("README.diskdefines", ""))
    disc = numbered[1] if numbered else ""
    name, version = found.groups()
    if name.startswith("Ubuntu"):
        return Medium(f"ubuntu{'.'.join(version.split('.')[:2])}", _arch(told), disc, partial=True)
    return Medium(f"debian{version.split('.')[0]}", _arch(told), disc, partial="NETINST" in told)


def _mirror(texts: Texts) -> Medium | None:
    """A copy of a mirror: the fields of `dists/bookworm/Release`."""
    for name, text in sorted(texts.items()):
        if not RELEASE.fullmatch(name):
            continue
        fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line and line[0] != " ")
        origin, version = fields.get("Origin", ""), VERSION.match(fields.get("Version", ""))
        if version and origin in ("Debian", "Ubuntu"):
            parts = 1 if origin == "Debian" else 2
            release = ".".join(version[0].split(".")[:parts])
            arches = {arch_word(word) for word in fields.get("Architectures", "").split()} - {"all"}
            return Medium(f"{origin.lower()}{release}", arches.pop() if len(arches) == 1 else "")
    return None


def _redhat(texts: Texts) -> Medium | None:
    """`.treeinfo` says most; `.discinfo` has time, name, architecture and disc in a line each."""
    tree, lines = texts.get(".treeinfo", ""), [*texts.get(".discinfo", "").split("\n"), "", "", "", ""]
    told = [
        _value(tree, "family"),
        _value(tree, "name"),
        lines[1],
        _value(texts.get("media.repo", ""), "name"),
    ]
    letters = _first(REDHAT, told)
    versions = [_value(tree, "version"), *(text for text in told if VERSION.search(text))]
    numbers = [found[0] for text in versions if (found := VERSION.search(text))]
    if not letters or not numbers:
        return None
    version = next((more for more in numbers if more.startswith(f"{numbers[0]}.")), numbers[0])
    disc = _value(tree, "discnum") or (lines[3].strip() if lines[3].strip().isdecimal() else "")
    return Medium(f"{letters}{version}", arch_word(_value(tree, "arch") or lines[2].strip()), disc)


def _suse(texts: Texts) -> Medium | None:
    """`SUSE - SLE-15-SP5-Full-x86_64-Build…-Media` in media.1/media; `sles:12:sp5` in content before 15."""
    media, products = texts.get("media.1/media", ""), texts.get("media.1/products", "")
    content = texts.get("content", "")
    if leap := re.search(r"openSUSE-Leap[- ](\d+\.\d+)", f"{media}\n{products}"):
        return Medium(f"leap{leap[1]}", _arch(media) or _arch(products), "1")
    found = SLE.search(media)
    letters = "sle"
    if not found:
        found, letters = SLES.search(content), "sles"
    if not found:
        return None
    version = f"{found[1]}.{found[2]}" if found[2] else found[1]
    disc = "2" if "Packages" in media or "SOURCE" in media else "1"
    return Medium(f"{letters}{version}", _arch(media) or _arch(content), disc)


def _value(text: str, key: str) -> str:
    """The first value of a key in a file of `key = value`."""
    found = re.search(rf"^{key}[ \t]*=[ \t]*(.*?)[ \t]*$", text, re.MULTILINE)
    return found[1] if found else ""


def _first(words: Mapping[str, str], texts: Iterable[str]) -> str:
    """What the first of the words means that one of the texts holds."""
    said = "\n".join(texts).lower()
    return next((meaning for word, meaning in words.items() if word in said), "")


def marks(names: Iterable[str]) -> list[str]:
    """The names among those of a medium that `recognise` wants to read; at most 40."""
    there = [name for name in names if name in MARKS or RELEASE.fullmatch(name)]
    return there[:40]
