"""Joining the package indexes of several discs of Debian or Ubuntu: Packages and Release, as apt has them."""

import hashlib
from collections.abc import Iterable, Mapping

#: The parts of a Release file that list files, and their hashes.
SUMS = {"MD5Sum": hashlib.md5, "SHA1": hashlib.sha1, "SHA256": hashlib.sha256}
#: Fields that name what may differ between discs.
UNITED = ("Architectures", "Components")


def packages(texts: Iterable[str]) -> str:
    """One Packages file of several: every version of every package once, in their order."""
    found: dict[tuple[str, ...], str] = {}
    for text in texts:
        for paragraph in text.split("\n\n"):
            if paragraph.strip():
                fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line)
                key = tuple(fields.get(name, "") for name in ("Package", "Version", "Architecture"))
                found.setdefault(key, paragraph.strip("\n"))
    return "".join(f"{paragraph}\n\n" for paragraph in found.values())


def release(texts: Iterable[str], files: Mapping[str, bytes]) -> str:
    """One Release file of several, for these index files (path below it → content)."""
    united: dict[str, list[str]] = {}
    for text in texts:
        for name, value in _fields(text):
            words = united.setdefault(name, [])
            if not words:
                words.append(value)
            elif name in UNITED:
                words[0] = " ".join(dict.fromkeys([*words[0].split(), *value.split()]))
    lines = [f"{name}: {words[0]}" for name, words in united.items() if name not in SUMS]
    for name, digest in SUMS.items():
        lines.append(f"{name}:")
        for path, content in sorted(files.items()):
            hashed = digest(content, usedforsecurity=False).hexdigest()
            lines.append(f" {hashed} {len(content):>16} {path}")
    return "\n".join(lines) + "\n"


def _fields(text: str) -> Iterable[tuple[str, str]]:
    """The fields that have their value in their own line."""
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and value.strip() and not name.startswith((" ", "-")):
            yield name, value.strip()
